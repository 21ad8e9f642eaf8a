"""More of the language of the stories: what the account at Twilio is like, and mails whose order is not known."""

from __future__ import annotations

from typing import Any, Protocol

from daemon import SECONDS
from house import House

from gateway.simulator.journal import Mailed

_SAID = {"yes": True, "no": False}


class Telling(Protocol):
    """What the verbs here need of the story."""

    house: House
    _seen_mails: set[int]

    def _new_mails(self, address: str = "@") -> list[tuple[int, Mailed]]: ...

    def _fits_file(self, file: str, mail: Mailed) -> bool: ...


class AccountVerbs:
    """Mixed into Story, whose file lists the verbs."""

    async def v_account(self: Telling, *settings: str) -> None:
        phones: Any = self.house.world.twilio.phones
        for one in settings:
            name, _, value = one.partition("=")
            assert isinstance(getattr(phones, name), bool), f"{name} is no setting of the account"
            setattr(phones, name, _SAID[value])

    async def v_among(self: Telling, address: str, *files: str) -> None:
        left = list(files)

        def taken() -> bool:
            for number, mail in self._new_mails(address):
                file = next((f for f in left if self._fits_file(f, mail)), None)
                if file is not None:
                    left.remove(file)
                    self._seen_mails.add(number)
            return not left

        try:
            await self.house.world.wait(lambda _: taken(), SECONDS)
        except TimeoutError:
            shown = "\n\n".join(mail.raw.decode("utf-8", "replace") for _, mail in self._new_mails(address))
            raise AssertionError(f"none is like {', '.join(left)}; there are:\n{shown}") from None
