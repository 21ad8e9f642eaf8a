"""Everything around the gateway, started together: a Twilio, a Flowroute, a relay with carriers and mailboxes, one
journal.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeVar

from gateway.simulator import control
from gateway.simulator.account import Account, OwnNumber
from gateway.simulator.carrier_mails import Answer
from gateway.simulator.flowroute import Flowroute
from gateway.simulator.hooks import Hooks
from gateway.simulator.journal import Journal, Mailed, Sent
from gateway.simulator.lookup import Lookups
from gateway.simulator.mail import Relay
from gateway.simulator.texts import Text
from gateway.simulator.twilio import Twilio

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowrouteLogin:
    """What [flowroute] holds."""

    access_key: str
    secret_key: str
    hook_secret: str


class World:
    """`api_url` is for [twilio], `mail.host` and `mail.port` for [relay].  Loopback only.  Use as `async with`."""

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        public_url: str = "",
        hooks: str = "",
        *,
        twilio_port: int = 0,
        smtp_port: int = 0,
        numbers: Collection[str] = (),
        services: Mapping[str, str] | None = None,
        flowroute: FlowrouteLogin | None = None,
    ) -> None:
        """`hooks` is where the gateway's public listener really is; it may become known later: `reach`."""
        self.journal = Journal()
        self.twilio = Twilio(
            self.journal,
            account_sid,
            auth_token,
            hooks=Hooks(self.journal, auth_token, public_url, hooks),
            port=twilio_port,
            numbers=numbers,
            services=services,
        )
        self.account = Account(self.journal, account_sid, auth_token)
        for phone in numbers:
            self.account.add(OwnNumber(phone=phone))
        self.twilio.serve(self.account.routes())
        self.lookups = Lookups(self.journal, account_sid, auth_token)
        self.twilio.serve(self.lookups.routes())
        self.flowroute = _flowroute(self.journal, flowroute, public_url, hooks) if flowroute else None
        self.mail = Relay(self.journal, smtp_port)
        self.twilio.serve(control.routes(self.journal, self.twilio, self.mail))
        self._rooms = AsyncExitStack()

    async def __aenter__(self) -> World:
        """Listens.  Raises OSError when a port is taken."""
        async with AsyncExitStack() as rooms:
            await rooms.enter_async_context(self.twilio)
            await rooms.enter_async_context(self.mail)
            if self.flowroute is not None:
                await rooms.enter_async_context(self.flowroute)
            self._rooms = rooms.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._rooms.aclose()

    def reach(self, hooks: str, door: str = "") -> None:
        """Says where the gateway's public listener is, http://127.0.0.1:PORT, and its listen_public, 127.0.0.1:PORT."""
        self.mail.carriers.door = door or self.mail.carriers.door
        self.twilio.hooks.base = hooks
        if self.flowroute is not None:
            self.flowroute.hooks.base = hooks

    @property
    def api_url(self) -> str:
        return self.twilio.url

    @property
    def mails(self) -> list[Mailed]:
        """The mails that were taken over, oldest first."""
        return self.mail.mails

    @property
    def surprises(self) -> list[str]:
        """What a real counterpart would have complained of."""
        return self.journal.surprises

    def phone(self, number: str) -> list[Text]:
        """What the person with that phone sees: texts from and to it, oldest first, whatever became of them."""
        return self.twilio.texts.all(number)

    async def customer_texts(
        self, phone: str, number: str, body: str, media: Sequence[tuple[str, bytes]] = (), *, missed: bool = False
    ) -> int:
        """A customer's text to one of our numbers; the HTTP status of the webhook, 0 = no answer.

        `media` are content types and bytes; `missed`: no webhook is called, only the list shows it.
        """
        status, _ = await self.twilio.phones.customer_texts(phone, number, body, media, missed=missed)
        return status

    async def employee_answers(self, address: str, answer: Answer) -> Sent:
        """What the phone at that carrier's address texts back to the newest text that it shows, or to `answer.to`.

        Raises ValueError.
        """
        return await self.mail.answers(address, answer)

    async def wait(self, predicate: Callable[[World], T], seconds: float = 10) -> T:
        """The first true answer of `predicate`, asked at once and after every change.

        Raises TimeoutError, with the last entries of the journal in its words.
        """
        return await self.journal.wait(lambda: predicate(self), seconds)


def _flowroute(journal: Journal, login: FlowrouteLogin, public_url: str, hooks: str) -> Flowroute:
    return Flowroute(
        journal,
        login.access_key,
        login.secret_key,
        hook_secret=login.hook_secret,
        public_url=public_url,
        hooks=hooks,
    )
