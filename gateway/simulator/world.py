"""Everything around the gateway, started together: a Twilio, a relay with carriers and mailboxes, one journal."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TypeVar

from gateway.simulator import control
from gateway.simulator.hooks import Hooks
from gateway.simulator.journal import Journal, Mailed
from gateway.simulator.mail import Relay
from gateway.simulator.texts import Text
from gateway.simulator.twilio import Twilio

T = TypeVar("T")


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
    ) -> None:
        """`hooks` is where the gateway's public listener really is; it may become known later: `twilio.hooks.base`."""
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
        self.mail = Relay(self.journal, smtp_port)
        self.twilio.serve(control.routes(self.journal, self.twilio, self.mail))
        self._rooms = AsyncExitStack()

    async def __aenter__(self) -> World:
        """Listens.  Raises OSError when a port is taken."""
        async with AsyncExitStack() as rooms:
            await rooms.enter_async_context(self.twilio)
            await rooms.enter_async_context(self.mail)
            self._rooms = rooms.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._rooms.aclose()

    @property
    def api_url(self) -> str:
        return self.twilio.url

    @property
    def mails(self) -> list[Mailed]:
        """The mails that arrived, oldest first."""
        return self.mail.mails

    @property
    def surprises(self) -> list[str]:
        """What a real counterpart would have complained of."""
        return self.journal.surprises

    def phone(self, number: str) -> list[Text]:
        """What the person with that phone sees: texts from and to it, oldest first, whatever became of them."""
        return self.twilio.texts.all(number)

    async def customer_texts(self, phone: str, number: str, body: str, media: Sequence[tuple[str, bytes]] = ()) -> int:
        """A customer's text to one of our numbers; the HTTP status of the webhook, 0 = no answer.

        `media` are content types and bytes.
        """
        status, _ = await self.twilio.phones.customer_texts(phone, number, body, media)
        return status

    async def wait(self, predicate: Callable[[World], T], seconds: float = 10) -> T:
        """The first true answer of `predicate`, asked at once and after every change.

        Raises TimeoutError, with the last entries of the journal in its words.
        """
        return await self.journal.wait(lambda: predicate(self), seconds)
