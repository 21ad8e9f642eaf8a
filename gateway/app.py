"""The open house: doors, signals, readiness, shutdown.  With house.py the only file that knows every room."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Coroutine, Sequence
from datetime import datetime
from typing import Any, TypeVar

from prometheus_client import Gauge

from gateway import heap
from gateway.activation import Passed
from gateway.config import Config, ConfigError, Listener, load
from gateway.core.model import Consent, Door
from gateway.core.work import Writes
from gateway.events import REGISTRY, emit, fault
from gateway.house import GRACE_SECONDS, House, StartError, open_spool, owned, read_by, tls_context
from gateway.intake.control import ControlDoor
from gateway.intake.smtp import Limits, MailDoor
from gateway.intake.webhook import AdminDoor, WebDoor
from gateway.lag import Lag
from gateway.notify import notify, watchdog_seconds
from gateway.outward import hook_readers
from gateway.ports import SpoolUnavailable

GAUGE_SECONDS = 5.0
CLOSE_SECONDS = 35.0  # all of it: systemd's TimeoutStopSec is 45
# Read at the start alone.
_FIXED = ("state", "database", "smtp", "http", "relay", "twilio", "flowroute", "dns_servers", "dns_watch", "retention")
_SIZE = Gauge("gateway_queue", "Rows and bytes of the store, see docs/metrics.md", ["what"], registry=REGISTRY)
_OPEN = Gauge("gateway_smtp_sessions", "Open SMTP sessions", registry=REGISTRY)
T = TypeVar("T")


class Serving:
    """The open house: its doors, loops and signals."""

    def __init__(self, house: House) -> None:
        self.house = house
        config = self._begun_with = house.config
        smtp = config.smtp
        limits = Limits(
            max_bytes=smtp.max_bytes,
            recipients=smtp.max_recipients,
            connections=smtp.max_connections,
            connections_per_address=smtp.max_connections_per_address,
            commands=smtp.max_commands,
            command_seconds=smtp.command_timeout.total_seconds(),
            content_seconds=smtp.data_timeout.total_seconds(),
            session_seconds=smtp.session_timeout.total_seconds(),
        )
        self._tls = tls_context(config)
        self.mail = MailDoor(house.doorman, limits, config.rules.domain, self._tls)
        self.control = ControlDoor(house.commands.run)
        self.admin = AdminDoor(self._ready, self._gauges)
        self.web = WebDoor(
            hook_readers(house.config, lambda: house.config.rules),
            house.doorman.hook,
            house.clock,
            media=house.spool.media,
            max_connections=config.http.max_connections,
        )
        self.ports: dict[str, list[str]] = {}
        self._passed = Passed()
        self._lag = Lag()
        self._signal = asyncio.Event()
        self._loops: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[None]] = set()

    def _obey_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signal.set)
        loop.add_signal_handler(signal.SIGHUP, self.reload)

    async def open(self, *, signals: bool = True) -> None:
        """Opens the store, the loops and then the doors; `signals`: obeys them from then on.  Raises StartError."""
        house = self.house
        await open_spool(house)
        again = await house.engine.recover(house.clock.now())
        await house.spool.write(Writes(consents=_employees(house.config, house.clock.now())))
        await house.reader.start()
        self._loops = asyncio.create_task(house.engine.run())
        if signals:
            self._obey_signals()
        self._lag.start()
        await self.control.listen(house.config.state / "control.sock")
        smtp, http = house.config.smtp, house.config.http
        await self._listen("smtp", smtp.listen, Door.SUBMISSION, implicit=False)
        await self._listen("smtp_tls", smtp.listen_tls, Door.SUBMISSION, implicit=True)
        await self._listen("smtp_public", smtp.listen_public, Door.PUBLIC, implicit=False)
        for place in self._passed.left():
            emit(
                "config.warned",
                file=str(house.config.path),
                note=f"hangs up at {place}, a socket for no [smtp] listener",
            )
        for name, listener, door in (("http", http.public, self.web), ("admin", http.admin, self.admin)):
            if listener is not None:
                port = await _bound(listener, door.listen(listener.host, listener.port))
                self.ports[name] = [str(Listener(listener.host, port))]
        emit("engine.started", doors=self.ports, unfinished=again, state=str(house.config.state))

    async def _listen(self, name: str, listeners: Sequence[Listener], door: Door, *, implicit: bool) -> None:
        for one in listeners:
            opened = self._passed.take(one)
            if opened is None:
                opening = self.mail.listen(one.host, one.port, door, implicit_tls=implicit)
            else:
                opening = self.mail.listen_on(opened, door, implicit_tls=implicit)
            port = await _bound(one, opening)
            self.ports.setdefault(name, []).append(str(Listener(one.host, port)))

    async def run(self) -> None:
        """Serves until SIGTERM or SIGINT; SIGHUP reads the rules anew."""
        self._spawn(self.house.catch_up.run())
        self._spawn(self.house.almanac.run())
        self._spawn(self.house.timekeeper.run())
        self._spawn(self.house.watch.run())
        notify("READY=1", f"STATUS=listening on {', '.join(p for ports in self.ports.values() for p in ports)}")
        assert self._loops is not None
        watching = asyncio.create_task(self._watch())
        waiting = asyncio.create_task(self._signal.wait())
        await asyncio.wait({waiting, self._loops}, return_when=asyncio.FIRST_COMPLETED)
        watching.cancel()
        waiting.cancel()
        if self._loops.done():
            self._loops.result()

    def stop(self) -> None:
        """The same as SIGTERM."""
        self._signal.set()

    def reload(self) -> None:
        """One validated snapshot of the rules, or the old one; listeners, store and accounts need a restart."""
        try:
            fresh = load(self.house.config.path)
        except ConfigError as error:
            emit("config.rejected", error=str(error))
            return
        try:
            self._renew_certificate(fresh)
        except OSError as error:  # ssl.SSLError is one: the files have changed since they were checked
            emit("config.rejected", error=f"{fresh.smtp.tls_certificate}: {error.strerror or error}")
            return
        old, self.house.config = self.house.config, fresh
        if read_by(fresh.rules) != read_by(old.rules):
            self.house.reader.configure(*read_by(fresh.rules))
        self._spawn(self._enter_employees())
        needs_restart = [name for name in _FIXED if getattr(fresh, name) != getattr(self._begun_with, name)]
        emit("config.reloaded", warnings=len(fresh.warnings), needs_restart=needs_restart)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _renew_certificate(self, config: Config) -> None:
        """New sessions get the certificate that lies there now; load has proven that it and its key fit."""
        smtp = config.smtp
        if self._tls is not None and smtp.tls_certificate is not None and smtp.tls_key is not None:
            self._tls.load_cert_chain(smtp.tls_certificate, smtp.tls_key)

    async def _enter_employees(self) -> None:
        try:
            await self.house.spool.write(Writes(consents=_employees(self.house.config, self.house.clock.now())))
        except SpoolUnavailable as error:
            emit("spool.failed", error=str(error), during="reload")

    async def close(self) -> None:
        """Takes nothing new: 421, 503, no further text.  What is under way may end; then the store is closed."""
        notify("STOPPING=1")
        emit("engine.stopping")
        self.house.engine.stop()
        ending = [self.mail.close(GRACE_SECONDS), self.web.close(), self.control.close(), self._drained()]
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.gather(*ending)
        except TimeoutError:
            emit("engine.failed", loop="stop", error=f"not everything ended within {CLOSE_SECONDS:g} s")
        for task in self._background:
            task.cancel()
        await self.admin.close()
        self._passed.close()
        self._lag.stop()
        await self.house.close()
        emit("engine.stopped")

    async def _drained(self) -> None:
        if self._loops is not None:
            await asyncio.gather(self._loops, return_exceptions=True)

    async def _watch(self) -> None:
        """Keeps the gauges fresh, and feeds systemd's watchdog while store and loops move."""
        every = watchdog_seconds()
        pause = min(GAUGE_SECONDS, every / 2) if every else GAUGE_SECONDS
        while True:
            try:
                await self._gauges()
                await self.house.spool.ping()
                stuck = self._stuck()
                if stuck:
                    # Where there is a watchdog it ends us soon: this line says why.
                    emit("engine.failed", loop="watch", error="; ".join(stuck))
                else:
                    notify("WATCHDOG=1")
            except SpoolUnavailable as error:
                emit("spool.failed", error=str(error), during="gauges")
            except Exception as error:
                emit("engine.failed", loop="watch", **fault(error))
            await asyncio.sleep(pause)

    async def _gauges(self) -> None:
        sizes = await self.house.spool.sizes()
        for name, value in sizes.items():
            _SIZE.labels(what=name).set(value)
        _OPEN.set(self.mail.open_sessions)
        self._lag.show()
        smtp = self.house.config.smtp
        unfinished = sum(sizes.get(f"fate_{fate}", 0) for fate in ("waiting", "sending", "unknown", "held"))
        enough = sizes.get("free_bytes", float("inf")) >= smtp.min_free_disk
        self.house.room = unfinished + sizes.get("unplanned", 0) < smtp.max_queue and enough

    def _stuck(self) -> list[str]:
        if self._loops is None or self._loops.done():
            return ["the engine does not run"]
        return [f"the {name} does not move" for name in self.house.engine.stuck()]

    async def _ready(self) -> list[str]:
        await self.house.spool.ping()
        reasons = [] if self.house.room else ["no room: the queue or the disk is full"]
        reasons += self._stuck()
        if self.mail.stopping:
            reasons.append("the daemon is stopping")
        return reasons


def _employees(config: Config, now: datetime) -> tuple[Consent, ...]:
    """An employee's entry is his consent: it goes into the ledger once per name and phone (P10)."""
    rules = config.rules
    return tuple(
        Consent(
            id=f"employee.{e.name}.{e.phone}",
            brand=rules.brand,
            phone=e.phone,
            at=now,
            action="grant",
            method="employee",
            evidence=f"[[employee]] {e.name}",
            recorded_by="config",
        )
        for e in rules.employees
    )


async def _bound(listener: Listener, opening: Coroutine[Any, Any, int]) -> int:
    try:
        return await opening
    except OSError as error:
        raise StartError(f"cannot listen on {listener}: {error.strerror or error}", 69) from error


async def serve(config: Config) -> None:
    """Runs the daemon until a signal; everything that was accepted is in the store when it returns."""
    with owned(config):
        serving = Serving(House(config))
        for problem in config.warnings:
            remedy = f"; {problem.remedy}" if problem.remedy else ""
            emit("config.warned", file=f"{problem.file}:{problem.line}", note=f"{problem.text}{remedy}")
        try:
            await serving.open()
            await serving.run()
        finally:
            await serving.close()


def run(main: Coroutine[Any, Any, T]) -> T:
    """`main` on the fastest loop that this machine has."""
    # Hand-over between loop and writer thread stalls for the interpreter's default of 5 ms otherwise.
    sys.setswitchinterval(0.0005)
    gc.freeze()
    heap.settle()
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)
