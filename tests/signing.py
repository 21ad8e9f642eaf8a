"""Keys made for a test, mails signed with them, and a DNS server on loopback that knows the keys."""

from __future__ import annotations

import asyncio
import base64
import functools
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from email.utils import format_datetime
from typing import Any

import dkim
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
from clock import NOON

SELECTOR, DOMAIN = "sel", "shop.example.com"
NAME = f"{SELECTOR}._domainkey.{DOMAIN}"
TO = "r-aaaaaaaaaaaa@sms.example.com"
COVERED = (b"from", b"to", b"cc", b"subject", b"date", b"content-type")
FAILS, SILENT = "SERVFAIL", "SILENT"  # instead of a record
_E = 65537


def answer(*to: str, at: datetime = NOON) -> bytes:
    """An answer of the shop's desk to these addresses, not signed."""
    return (
        f"From: Front desk <desk@shop.example.com>\r\nTo: {', '.join(to or (TO,))}\r\nSubject: Re: RO 1042\r\n"
        f"Date: {format_datetime(at)}\r\nMessage-ID: <1@shop.example.com>\r\nContent-Type: text/plain\r\n\r\n"
        "It is ready.\r\n"
    ).encode()


MAIL = answer()


def _der(tag: int, *parts: bytes) -> bytes:
    inner = b"".join(parts)
    length = len(inner).to_bytes((len(inner).bit_length() + 7) // 8 or 1, "big")
    return bytes([tag]) + (length if len(inner) < 128 else bytes([0x80 | len(length)]) + length) + inner


def _sequence(*numbers: int) -> bytes:
    return _der(0x30, *(_der(0x02, n.to_bytes(n.bit_length() // 8 + 1, "big")) for n in numbers))


@functools.cache
def _primes(bits: int) -> tuple[int, int]:
    """Two primes whose product has that many bits; by Fermat's test, which is enough here."""
    chance, found = random.Random(bits), []
    while len(found) < 2:
        n = chance.getrandbits(bits // 2) | 3 << (bits // 2 - 2) | 1
        if (n - 1) % _E and pow(2, n - 1, n) == 1:
            found.append(n)
    return found[0], found[1]


def _private(bits: int) -> bytes:
    """PKCS #1 in PEM."""
    p, q = _primes(bits)
    d = pow(_E, -1, (p - 1) * (q - 1))
    der = _sequence(0, p * q, _E, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
    return b"-----BEGIN RSA PRIVATE KEY-----\n" + base64.encodebytes(der) + b"-----END RSA PRIVATE KEY-----\n"


def record(bits: int = 1024, tags: str = "") -> str:
    """The TXT record of the key of that size."""
    p, q = _primes(bits)
    algorithm = _der(0x30, _der(0x06, bytes.fromhex("2a864886f70d010101")), _der(0x05))  # rsaEncryption
    public = _der(0x30, algorithm, _der(0x03, b"\0", _sequence(p * q, _E)))
    return f"v=DKIM1; k=rsa; {tags}p={base64.b64encode(public).decode()}"


def signed(
    raw: bytes = MAIL,
    *,
    domain: str = DOMAIN,
    selector: str = SELECTOR,
    bits: int = 1024,
    headers: Sequence[bytes] = COVERED,
    length: bool = False,
    algorithm: bytes = b"rsa-sha256",
    identity: str | None = None,
) -> bytes:
    """`raw` with one more signature on top."""
    mark: bytes = dkim.sign(
        raw,
        selector.encode(),
        domain.encode(),
        _private(bits),
        identity=identity.encode() if identity else None,
        canonicalize=(b"relaxed", b"relaxed"),
        signature_algorithm=algorithm,
        include_headers=list(headers),
        length=length,
    )
    return mark + raw


def expiring(at: int, raw: bytes = MAIL) -> bytes:
    """`raw` with a valid signature that ends at `at` (x=), in Unix seconds."""
    signer = dkim.DKIM(raw)
    original = signer.gen_header

    def with_end(fields: list[tuple[bytes, bytes]], *rest: object, **named: object) -> bytes:
        began = [(name, value) for name, value in fields if name != b"t"]
        made: bytes = original([*began[:-1], (b"x", str(at).encode()), began[-1]], *rest, **named)
        return made

    signer.gen_header = with_end
    mark: bytes = signer.sign(SELECTOR.encode(), DOMAIN.encode(), _private(1024), include_headers=list(COVERED))
    return mark + raw


class _Answers(asyncio.DatagramProtocol):
    def __init__(self, zone: dict[str, str | list[str]], asked: list[str]) -> None:
        self._zone = zone
        self._asked = asked

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        self._asked.append(name)
        found = self._zone.get(name)
        if found == SILENT:
            return
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if found is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif found == FAILS:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif found:
            texts = [found] if isinstance(found, str) else found
            rows = [" ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200)) for text in texts]
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", "TXT", *rows))
        self._transport.sendto(answer.to_wire(), peer)


class Dns:
    """A name server: `zone` holds TXT records by name, `asked` the names in the order in which they were looked up."""

    def __init__(self) -> None:
        self.zone: dict[str, str | list[str]] = {}
        self.asked: list[str] = []
        self.port = 0


@asynccontextmanager
async def name_server() -> AsyncIterator[Dns]:
    made = Dns()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Answers(made.zone, made.asked), ("127.0.0.1", 0))
    made.port = transport.get_extra_info("sockname")[1]
    try:
        yield made
    finally:
        transport.close()
