"""The shop around a daemon: its config written out, a simulator as relay, carriers, mailboxes and Twilio."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit
import trustme
from daemon import Daemon

from gateway.config import hash_password
from gateway.simulator.world import FlowrouteLogin, World

SHOP = Path(__file__).with_name("shop.toml")
ACCOUNT = "AC" + "0" * 32
OURS = ("+12025550100", "+12025550101")
PASSWORD = "a passphrase that only this test knows"


@dataclass(slots=True)
class House:
    """A daemon and its world.  `config` is what config.toml holds; `write` after a change."""

    daemon: Daemon
    world: World
    config: Any
    token: str  # the auth token of Twilio
    names: dict[str, str] = field(default_factory=dict)  # what {name} stands for

    @property
    def folder(self) -> Path:
        return self.daemon.folder

    def write(self) -> None:
        (self.folder / "config.toml").write_text(tomlkit.dumps(self.config))

    async def start(self) -> None:
        await self.daemon.start()
        if "http" in self.daemon.doors:
            self.world.reach(f"http://{self.daemon.doors['http'][0]}")

    def merge(self, text: str) -> None:
        """Puts what `text`, a part of a config.toml, says over what stands."""
        merge(self.config, tomlkit.parse(text))


@asynccontextmanager
async def opened(folder: Path, differences: str = "") -> AsyncIterator[House]:
    """The shop of shop.toml with `differences`, not started yet."""
    token = secrets.token_hex(16)
    secret = folder / "token"
    secret.touch(mode=0o600)
    secret.write_text(token)
    _certificate(folder)
    login = _flowroute(folder)
    world = World(ACCOUNT, token, "https://sms.example.com", numbers=OURS, flowroute=login)
    async with world, Daemon(folder) as daemon:
        house = House(daemon, world, tomlkit.parse(SHOP.read_text()), token)
        house.merge(f'[relay]\nport = {world.mail.port}\n[twilio]\napi_url = "{world.api_url}"\n')
        if "[flowroute]" in differences and world.flowroute is not None:
            house.merge(f'[flowroute]\naccess_key = "{login.access_key}"\napi_url = "{world.flowroute.url}"\n')
        house.merge(differences.replace("{password_hash}", hash_password(PASSWORD)))
        house.write()
        yield house


def _flowroute(folder: Path) -> FlowrouteLogin:
    """The login of the Flowroute account; its two secrets lie in the files flowkey and flowhook."""
    login = FlowrouteLogin(
        access_key="0a1b2c3d", secret_key=secrets.token_hex(16), hook_secret=secrets.token_urlsafe(16)
    )
    for name, secret in (("flowkey", login.secret_key), ("flowhook", login.hook_secret)):
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(secret)
    return login


def merge(under: Any, over: Mapping[str, Any]) -> None:
    """Writes `over` into `under`: tables are merged, anything else is replaced."""
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(under.get(key), Mapping):
            merge(under[key], value)
        else:
            under[key] = value


def _certificate(folder: Path) -> None:
    made = trustme.CA().issue_cert("sms.example.com", "127.0.0.1")
    made.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    made.private_key_pem.write_to_path(folder / "key.pem")
