"""Secrets: read from a file or the environment, never from config.toml, never shown; and hashes of login passwords."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import argon2

# OWASP's small profile: 19 MiB and about 30 ms a login, so that logins cannot eat the machine.
_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_HASH = re.compile(r"\$argon2(id|i|d)\$v=19\$m=\d{1,7},t=\d{1,3},p=\d{1,2}\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{16,86}")
_LONGEST = 4096  # bytes of a secret
_PASTED = re.compile(r"[0-9a-fA-F]{32}|[A-Z]{2}[0-9a-fA-F]{32}")  # what a token or a SID looks like


class Secret:
    """A value that shows neither in repr nor in a log; `reveal` gives it to the one who must speak it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "Secret(...)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def reveal(self) -> str:
        """The value itself."""
        return self._value


class SecretError(Exception):
    """A secret that cannot be had; args are what is wrong and the remedy, neither holds the value."""


def from_file(path: Path) -> Secret:
    """The first line of `path`, UTF-8.

    Raises SecretError when the file is missing, empty, of several lines, or open to group or others.  Under
    $CREDENTIALS_DIRECTORY systemd guards the folder, and the mode of the file does not count (systemd.exec(5)).
    """
    raw = guarded(path, "write the secret into it")
    try:
        value = raw.decode()
    except UnicodeDecodeError:
        raise SecretError(f"{path} is not UTF-8 text", "write the secret alone into it") from None
    return _one_line(value, str(path))


def guarded(path: Path, absent: str) -> bytes:
    """The bytes of a file that only its owner can read, cut off behind the longest that a secret may be.

    Raises SecretError as `from_file` does; `absent` is what to do first where there is no file.
    """
    try:
        if not path.is_file():
            raise SecretError(f"there is no file {path}", f"{absent}, then: chmod 600 {path}")
        mode = stat.S_IMODE(path.stat().st_mode)
        raw = path.read_bytes()[: _LONGEST + 1]
    except OSError as error:
        who = "run as the user of the daemon, and let it own the file"
        raise SecretError(f"{path} cannot be read: {error.strerror}", who) from None
    if mode & 0o066 and not _by_systemd(path):
        raise SecretError(f"{path} is open to group or others (mode {mode:03o})", f"chmod 600 {path}")
    return raw


def from_environment(name: str) -> Secret:
    """The value of the variable.  Raises SecretError when it is not set, empty, or of several lines."""
    value = os.environ.get(name)
    if value is None:
        # A secret that was pasted in the place of a name must not be shown.
        shown = "..." if _PASTED.fullmatch(name) else name
        raise SecretError(f"the environment variable {shown} is not set", "set it where the daemon is started")
    return _one_line(value, f"the environment variable {name}")


def _by_systemd(path: Path) -> bool:
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    return bool(folder) and path.resolve().is_relative_to(Path(folder).resolve())


def _one_line(text: str, where: str) -> Secret:
    value = text.rstrip("\r\n")
    if not value.strip():
        raise SecretError(f"{where} is empty", "write the secret into it")
    if not value.isprintable() or len(value.encode()) > _LONGEST:
        raise SecretError(f"{where} holds more than one line of text", "let it hold the secret alone")
    return Secret(value)


def hash_password(password: str) -> str:
    """The argon2id hash for `password_hash`.  Blocks for about 30 ms."""
    return _HASHER.hash(password)


def verify(password_hash: str, password: str | bytes) -> bool:
    """Whether `password` belongs to the hash.  Blocks for about 30 ms: call it in a thread.

    Raises argon2.exceptions.InvalidHashError for what is no `legal_hash`.
    """
    try:
        return _HASHER.verify(password_hash, password)
    except argon2.exceptions.VerifyMismatchError:
        return False


def legal_hash(password_hash: str) -> bool:
    """Whether the text has the form of an argon2 hash."""
    return _HASH.fullmatch(password_hash) is not None


def hash_megabytes(password_hash: str) -> int:
    """The memory that each login with this hash takes, in MiB."""
    return argon2.extract_parameters(password_hash).memory_cost // 1024
