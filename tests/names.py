"""A name server on loopback for records of any type."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

SERVFAIL = dns.rcode.SERVFAIL
Zone = dict[tuple[str, str], list[str] | dns.rcode.Rcode]


@dataclass
class Names(asyncio.DatagramProtocol):
    """Rows by (name, type); a name without any does not exist."""

    zone: Zone = field(default_factory=dict)
    failing: bool = False  # SERVFAIL for everything
    port: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)
    transport: asyncio.DatagramTransport | None = None

    def text(self, name: str, *records: str) -> None:
        """Puts TXT records at `name`."""
        pieces = [[record[at : at + 200] for at in range(0, len(record), 200)] for record in records]
        self.zone[name, "TXT"] = [" ".join(f'"{piece}"' for piece in record) for record in pieces]

    def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        found = SERVFAIL if self.failing else self.zone.get((name, kind), [])
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if isinstance(found, dns.rcode.Rcode):
            answer.set_rcode(found)
        elif found:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *found))
        elif name not in {known for known, _ in self.zone}:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        assert self.transport is not None
        self.transport.sendto(answer.to_wire(), peer)


@asynccontextmanager
async def name_server(host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Names]:
    """Raises OSError where the port cannot be had."""
    made = Names()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: made, (host, port))
    made.transport, made.port = transport, transport.get_extra_info("sockname")[1]
    try:
        yield made
    finally:
        transport.close()
