"""The gateway as a shop runs it: the real daemon, its config and its store in a folder of its own."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Program, descendants, free_port, run
from benchmarks.system import CARRIER, DOMAIN, TECHS, tech, tech_phone

TOKEN = "0123456789abcdef0123456789abcdef"  # noqa: S105  # of an account that exists in the simulator only
ACCOUNT = "AC" + "0" * 32
NUMBERS = ("+12025550150", "+12025550151")
PUBLIC_URL = f"https://{DOMAIN}"
REPLY_TO = "desk@shop.example.com"

_CONFIG = """\
domain = "{domain}"
brand = "Example Auto"

[smtp]
listen = ["127.0.0.1:{port}"]
max_connections = 2000
max_connections_per_address = 2000
max_commands = 10000000
max_queue = 10000000

[http]
public = "{public}"
admin = "127.0.0.1:{admin}"
{public_url}

[relay]
host = "127.0.0.1"
port = {relay}
tls = "off"

[dns]
watch = "0 s"

[text]
max_segments = 1
too_long = "cut"
job = 'RO (\\d+)'
first = ""
"""

_SENDER = """
[[sender]]
name = "jobs{n}"
networks = ["127.0.0.0/8"]
mail_from = ["{mail_from}"]
reply_to = "{reply_to}"
vouches = true
segments_per_day = 0
"""

_PAID = """
[twilio]
account_sid = "{account}"
auth_token = {{ file = "token" }}
api_url = "{api_url}"
"""

_NUMBER = """
[[number]]
name = "number{n}"
phone = "{phone}"
provider = "twilio"
segments_per_second = 1000
"""

# A carrier of its own: the benchmarks must not change with what becomes of the carriers of the shipped table.
_CARRIERS = f"""\
[bench]
name = "A carrier on loopback"
country = "US"
[bench.sms]
address = "{{national}}@{CARRIER}"
status = "active"
max_chars = 160
source = "https://{CARRIER}/"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """What differs between the cases: where the relay is, and the provider's API, if there is one."""

    relay: int
    api_url: str = ""
    hooks: bool = False  # whether the provider tells what comes in, instead of being asked


class Gateway:
    """system.System; `words` stand before its own: a tracer, a profiler."""

    def __init__(self, folder: Path, shop: Shop, *, words: tuple[str, ...] = ()) -> None:
        self._folder = folder / "gateway"
        self._shop = shop
        self._words = words
        self._port, self._public, self._admin = free_port(), free_port(), free_port()
        self._daemon = Program(folder / "gateway.log")

    @property
    def port(self) -> int:
        return self._port

    @property
    def hooks(self) -> str:
        """Where its webhooks are."""
        return f"http://127.0.0.1:{self._public}"

    @property
    def folder(self) -> Path:
        return self._folder

    @property
    def database(self) -> Path:
        return self._folder / "gateway.db"

    @property
    def pids(self) -> list[int]:
        return [self._daemon.pid, *descendants(self._daemon.pid)]

    def prepare(self) -> None:
        """Writes its configuration; a store that is already there stays."""
        self._folder.mkdir(parents=True, exist_ok=True)
        token = self._folder / "token"
        token.write_text(TOKEN)
        token.chmod(0o600)
        (self._folder / "carriers.toml").write_text(_CARRIERS)
        (self._folder / "config.toml").write_text(self._config())

    async def __aenter__(self) -> Gateway:
        """Listens.  Raises processes.Failed."""
        self.prepare()
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._daemon.stop()

    async def start(self) -> None:
        interpreter = [*self._words, *([] if self._words else [sys.executable])]
        # Nothing of the caller's may lead it to another config or state.
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("GATEWAY_", "STATE_", "NOTIFY_"))}
        await self._daemon.start(*interpreter, "-m", "gateway", "--config", self._file, "serve", env=clean)
        try:
            await self._daemon.listens(self._port)
        except BaseException:
            await self._daemon.stop(kill=True)
            raise

    async def stop(self) -> None:
        await self._daemon.stop()

    async def command(self, *words: str) -> str:
        """What `gateway WORDS` printed."""
        return await run(sys.executable, "-m", "gateway", "--config", self._file, *words)

    def said(self) -> str:
        """Its last events."""
        return self._daemon.said()

    @property
    def _file(self) -> str:
        return str(self._folder / "config.toml")

    def _config(self) -> str:
        shop = self._shop
        text = _CONFIG.format(
            domain=DOMAIN,
            port=self._port,
            relay=shop.relay,
            public=f"127.0.0.1:{self._public}" if shop.api_url else "",
            admin=self._admin,
            public_url=f'public_url = "{PUBLIC_URL}"' if shop.hooks else "",
        )
        text += "".join(
            f'\n[[employee]]\nname = "{tech(n)}"\nphone = "+1{tech_phone(n)}"\ncarrier = "bench"\nfallback = "none"\n'
            for n in range(TECHS)
        )
        if not shop.api_url:
            return text + _SENDER.format(n=0, mail_from="*", reply_to=REPLY_TO)
        text += _PAID.format(account=ACCOUNT, api_url=shop.api_url)
        for n, phone in enumerate(NUMBERS):
            text += _NUMBER.format(n=n, phone=phone)
            text += _SENDER.format(n=n, mail_from=f"shop{n}@*", reply_to=REPLY_TO) + f'number = "number{n}"\n'
        return text
