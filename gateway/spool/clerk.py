"""One thread with one connection, and the hand-over between it and the loop.

Jobs of the same moment share one transaction and one fsync (group commit); what only reads is answered before the
others write.  A job that fails takes back its own rows only.  Answers go back after the commit, all in one call into
the loop.  When the file cannot be written every waiting job fails with SpoolUnavailable; after an I/O error the file is
opened and checked again before anything else is committed.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, Protocol, TypeVar

import apsw

from gateway import heap
from gateway.events import emit, fault
from gateway.ports import SpoolUnavailable
from gateway.spool.database import SpoolCorrupt, SpoolUnusable

T = TypeVar("T")

BATCH = 500  # jobs in one transaction: the last one waits for all
REOPEN_SECONDS = 1.0
REST_SECONDS = 2.0  # without a job, after MANY of them: then the memory that they took is given back
MANY = 100

# After these nothing is known about the state of the connection: it is closed and the file is checked.
_BROKEN = (
    apsw.IOError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.ProtocolError,
    apsw.MisuseError,
    SpoolCorrupt,
    SpoolUnusable,
    OSError,
)
# These pass by themselves, or when somebody makes room.
_PASSING = (apsw.FullError, apsw.BusyError, apsw.LockedError, apsw.NoMemError, apsw.InterruptError)
_STORAGE = (*_BROKEN, *_PASSING)


class Task(Protocol):
    """A job as the thread sees it, whatever its answer is."""

    reads: bool  # it changes nothing

    def run(self, connection: apsw.Connection) -> None: ...

    def fail(self, error: Exception) -> None: ...

    def hand_back(self) -> None: ...


class Job(Generic[T]):
    __slots__ = ("_answer", "_call", "_error", "_future", "reads")

    def __init__(self, call: Callable[[apsw.Connection], T], future: asyncio.Future[T], *, reads: bool) -> None:
        self.reads = reads
        self._call = call
        self._future = future
        self._error: Exception | None = None

    def run(self, connection: apsw.Connection) -> None:
        """In the thread: keeps the answer until the commit."""
        self._answer = self._call(connection)

    def fail(self, error: Exception) -> None:
        """In the thread: this is the answer."""
        self._error = error

    def hand_back(self) -> None:
        """In the loop: wakes the caller, unless he was cancelled meanwhile."""
        if self._future.done():
            return
        if self._error is not None:
            self._future.set_exception(self._error)
        else:
            self._future.set_result(self._answer)


class Clerk:
    """`connect` opens the file anew, and checks it, after an I/O error.  `batch` bounds the jobs of a transaction."""

    def __init__(self, name: str, connect: Callable[[], apsw.Connection], *, batch: int = BATCH) -> None:
        self._name = name
        self._connect = connect
        self._batch = batch
        self._asked: list[Task] = []  # in this turn of the loop
        self._turns: queue.SimpleQueue[list[Task]] = queue.SimpleQueue()  # [] wakes the thread to its end
        self._open = False
        self._connection: apsw.Connection | None = None
        self._failed: set[str] = set()  # kinds of transactions, by how they begin
        self._retry_at = 0.0
        self._served = 0  # since memory was given back

    def start(self, connection: apsw.Connection) -> None:
        """Begins to serve the running loop; the connection belongs to the thread from now on."""
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._open = True
        # A daemon thread: an interpreter that ends without `stop` loses no more than a kill would.
        threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def ask(self, call: Callable[[apsw.Connection], T], *, reads: bool = False) -> asyncio.Future[T]:
        """What `call` answers, after the commit.  It runs even if the caller is cancelled while he waits.

        `call` may run twice, the first time in vain: it changes the file and nothing else, with `reads` not even that.
        """
        if not self._open:
            raise SpoolUnavailable("the spool is closed")
        future: asyncio.Future[T] = self._loop.create_future()
        if not self._asked:
            # At the end of the loop's turn: a thread that wakes for the first job commits it alone.
            self._loop.call_soon(self._hand_over)
        self._asked.append(Job(call, future, reads=reads))
        return future

    async def stop(self) -> None:
        """Takes no more jobs; returns when all that were taken are answered and the file is closed."""
        if self._open:
            # First: a thread that sees the end before the last jobs would leave them.
            self._hand_over()
            self._open = False
            self._turns.put([])
            await self._ended.wait()

    def _hand_over(self) -> None:
        asked, self._asked = self._asked, []
        self._turns.put(asked)

    def _run(self) -> None:
        while self._open or not self._turns.empty():
            jobs = self._next()
            while len(jobs) < self._batch and not self._turns.empty():
                jobs += self._turns.get()
            for first in range(0, len(jobs), self._batch):
                self._serve(jobs[first : first + self._batch])
        self._drop_connection()
        self._to_loop(self._ended.set)

    def _next(self) -> list[Task]:
        if self._served >= MANY:
            try:
                return self._turns.get(timeout=REST_SECONDS)
            except queue.Empty:
                self._served = 0
                self._slim()
        return self._turns.get()

    def _slim(self) -> None:
        try:
            if self._connection is not None:
                self._connection.pragma("shrink_memory")
            heap.trim()
        except Exception as error:  # a cache that stays is no reason to end the thread
            emit("engine.failed", loop=self._name, **fault(error))

    def _serve(self, jobs: Sequence[Task]) -> None:
        """Reads first: they wait for no disk, and what they lead to may share the next commit."""
        self._served += len(jobs)
        reads = [job for job in jobs if job.reads]
        writes = [job for job in jobs if not job.reads]
        if reads:
            self._transact("BEGIN", reads)
        if writes:
            self._transact("BEGIN IMMEDIATE", writes)

    def _transact(self, begin: str, jobs: Sequence[Task]) -> None:
        error: Exception | None = None
        try:
            self._commit(begin, jobs)
        except _STORAGE as failed:
            error = SpoolUnavailable(f"{type(failed).__name__}: {failed}")
            self._take_back(failed)
        except Exception as failed:  # the edge of this thread's loop: callers must hear of a fault of ours
            error = failed
            self._drop_connection()
        if error is not None:
            for job in jobs:
                job.fail(error)
        self._to_loop(partial(_hand_back, jobs))
        self._tell(begin, error)

    def _commit(self, begin: str, jobs: Sequence[Task]) -> None:
        connection = self._connected()
        connection.execute(begin)
        try:
            for job in jobs:
                job.run(connection)
        except _STORAGE:
            raise
        except Exception:  # of one of them, which is found by running each apart: that is dear, and almost never needed
            connection.execute("ROLLBACK")
            connection.execute(begin)
            for job in jobs:
                _run_apart(connection, job)
        connection.execute("COMMIT")

    def _connected(self) -> apsw.Connection:
        if self._connection is None:
            if time.monotonic() < self._retry_at:
                raise apsw.CantOpenError("it was not usable a moment ago")
            self._retry_at = time.monotonic() + REOPEN_SECONDS
            self._connection = self._connect()
        return self._connection

    def _take_back(self, error: Exception) -> None:
        """Ends the transaction; what broke the connection ends that too."""
        connection = self._connection
        if isinstance(error, _BROKEN) or connection is None:
            self._drop_connection()
            return
        # SQLite takes some transactions back by itself, for example on a full disk.
        if connection.get_autocommit():
            return
        try:
            connection.execute("ROLLBACK")
        except apsw.Error:
            self._drop_connection()
            return

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.close(True)
        except apsw.Error:
            return  # closing tidies the log up, which needs a disk that works; the next to open the file does it

    def _tell(self, begin: str, error: Exception | None) -> None:
        """One event when it begins to fail, one when all works again: a full disk can still be read."""
        before = bool(self._failed)
        if error is not None:
            self._failed.add(begin)
        else:
            self._failed.discard(begin)
        if bool(self._failed) == before:
            return
        try:
            if error is not None:
                emit("spool.failed", error=str(error) or repr(error), thread=self._name)
            else:
                emit("spool.recovered", thread=self._name)
        except OSError:
            return  # nobody reads our events any more: the thread must go on for those who wait

    def _to_loop(self, call: Callable[[], object]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:
            return  # the loop is gone, and with it everybody who waited


def _run_apart(connection: apsw.Connection, job: Task) -> None:
    """A job that fails takes back its own rows only."""
    connection.execute("SAVEPOINT job")
    try:
        job.run(connection)
    except _STORAGE:
        raise
    except Exception as error:  # a fault of this job alone, whatever it is, belongs to its caller
        job.fail(error)
        connection.execute("ROLLBACK TO job")
    connection.execute("RELEASE job")


def _hand_back(jobs: Sequence[Task]) -> None:
    for job in jobs:
        job.hand_back()
