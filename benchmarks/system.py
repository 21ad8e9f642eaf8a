"""What a mail system is to a benchmark, and the shop that all of them serve."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

DOMAIN = "sms.example.com"
CARRIER = "carrier.example"
TECHS = 20  # employees; a load is spread over them, as the gateway takes one mail for a person at a time
CUSTOMERS = 40


class System(Protocol):
    """A mail system in processes of its own; use as `async with`: it listens inside, and is gone behind."""

    @property
    def port(self) -> int:
        """Where it takes mail, on 127.0.0.1."""
        ...

    @property
    def folder(self) -> Path:
        """What it must not lose lies below."""
        ...

    @property
    def pids(self) -> list[int]:
        """All its processes."""
        ...

    async def __aenter__(self) -> System: ...

    async def __aexit__(self, *_: object) -> None: ...


def tech(n: int) -> str:
    """The local part of an employee's address."""
    return f"tech{n % TECHS}"


def tech_phone(n: int) -> str:
    """Ten digits."""
    return f"20255501{n % TECHS:02d}"


def customer(n: int) -> str:
    """Ten digits of a customer's phone; none is an employee's."""
    return f"20255501{60 + n % CUSTOMERS:02d}"
