"""Whose phone a carrier's mail comes from: the address in From as E.164, and the carriers that write it so.

The address says who claims to write, and can be forged: what it is worth is told by the signature of its domain and by
the r- address that the mail was sent to.
"""

from __future__ import annotations

import re

from gateway.core import phone as phones
from gateway.core.carrier import Carrier, CarrierTable
from gateway.core.model import Phone

# "12025550143", "+12025550143", "2025550143/TYPE=PLMN"
_NUMBER = re.compile(r"(\+?[0-9]{7,15})(?:/type=[a-z]{1,20})?", re.IGNORECASE)
_PLACE = re.compile(r"\{(?:national|e164)\}")


def author(address: str, country: str, table: CarrierTable) -> tuple[Phone, tuple[str, ...]] | None:
    """The phone that `address`, the From of a mail, stands for, and the ids of the carriers whose phones write from its
    domain; None where the domain is no carrier's, or no number stands before it.

    A number without a plus is read as those carriers' countries write it, then as `country` does.  What a row's address
    has around its number may stand there too.  Subdomains are other domains: carriers' machines write from them.
    """
    local, _, domain = address.rpartition("@")
    domain = domain.lower()
    ids = table.reply_domains.get(domain, ())
    carriers = [table.carriers[ident] for ident in ids]
    found = _NUMBER.fullmatch(local) or _NUMBER.fullmatch(_within(local, carriers))
    if not carriers or found is None:
        return None
    countries = dict.fromkeys([*(carrier.country for carrier in carriers if carrier.country), country])
    read = (_phone(found[1], one) for one in countries)
    phone = next((phone for phone in read if phone is not None), None)
    return None if phone is None else (phone, ids)


def _within(local: str, carriers: list[Carrier]) -> str:
    """What stands in `local` where an address of the carriers has its number; "" when it is like none of them."""
    for carrier in carriers:
        for channel in carrier.channels.values():
            around = _PLACE.split(channel.address.partition("@")[0])
            if any(around):
                before, after = around
                found = re.fullmatch(f"{re.escape(before)}([0-9]+){re.escape(after)}", local)
                if found:
                    return found[1]
    return ""


def _phone(number: str, country: str) -> Phone | None:
    """`number` as E.164: in the country's own form, else, outside of +1, with its country code and no plus."""
    own = phones.parse(number, country)
    return own if own is not None or country in phones.NANP else phones.parse(f"+{number.lstrip('+')}", country)
