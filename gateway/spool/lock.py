"""The lock of the state directory: one daemon, or one command without a daemon, owns the store.

The kernel drops the lock when its owner dies, however it dies; holding it proves that every lease in the store is dead.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType

NAME = "lock"


class StateLocked(Exception):
    """Another process owns the state directory."""

    def __init__(self, directory: Path, pid: int | None) -> None:
        owner = f"process {pid}" if pid is not None else "another process"
        super().__init__(f"{directory} is in use by {owner}")
        self.directory = directory
        self.pid = pid  # None when the owner has not written it yet


class StateLock:
    """Holds `<directory>/lock` between `take` and `drop`, or as a context.  The directory must exist."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._fd: int | None = None

    def take(self) -> None:
        """Takes the lock at once or raises StateLocked; OSError where the directory cannot be used."""
        fd = os.open(self.directory / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.fchmod(fd, 0o600)
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError:
            pid = _pid(fd)
            os.close(fd)
            raise StateLocked(self.directory, pid) from None
        except OSError:
            os.close(fd)
            raise
        self._fd = fd

    def drop(self) -> None:
        """Gives the lock back; the file stays, because removing it would let two owners lock two files."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> StateLock:
        self.take()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.drop()


def _pid(fd: int) -> int | None:
    text = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
    return int(text) if text.isdecimal() else None
