"""How long whoever guesses passwords must wait, whatever number of connections he opens.

Counted are failures by address (of IPv6 its /64, which is one customer's) and by name.  An address that guesses is
turned away for a while.  A name at which many addresses guess has an owner too: tries at it are only held up for some
seconds, and not at all from an address that has logged in under it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network

BY_ADDRESS = 5  # failures that cost nothing
BY_NAME = 20
LONGEST = 900.0  # seconds, for an address
LONGEST_PAUSE = 5.0  # seconds, at a name: its owner may be a machine that gives up soon
FORGOTTEN = 3600.0  # seconds after the last failure
MOST = 10_000  # addresses and names that are remembered; the one that failed longest ago is forgotten first

Key = tuple[str, str]


@dataclass(slots=True)
class _Record:
    failures: int
    at: float  # of the last one


class Throttle:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` answers seconds that never go back."""
        self._clock = clock
        self._records: dict[Key, _Record] = {}  # that which failed last is last
        self._welcome: dict[tuple[str, str], None] = {}  # (address, name) that logged in, the newest last

    def wait(self, peer: str) -> float:
        """Seconds until the address may try again; 0 = now."""
        record = self._records.get(("address", _network(peer)))
        if record is None or record.failures < BY_ADDRESS:
            return 0.0
        return max(0.0, record.at + _doubled(record.failures - BY_ADDRESS, LONGEST) - self._clock())

    def pause(self, peer: str, name: str) -> float:
        """Seconds for which a try at that name is held up before it is looked at."""
        record = self._records.get(("name", name))
        if record is None or record.failures < BY_NAME or (_network(peer), name) in self._welcome:
            return 0.0
        stale = self._clock() - record.at > FORGOTTEN
        return 0.0 if stale else _doubled(record.failures - BY_NAME, LONGEST_PAUSE)

    def failed(self, peer: str, name: str) -> None:
        """Counts a wrong password."""
        now = self._clock()
        for key in (("address", _network(peer)), ("name", name)):
            known = self._records.pop(key, None)
            fresh = known is None or now - known.at > FORGOTTEN
            self._records[key] = _Record(1 if fresh or known is None else known.failures + 1, now)
        while len(self._records) > MOST:
            self._records.pop(next(iter(self._records)))

    def succeeded(self, peer: str, name: str) -> None:
        """Forgets the failures of the address: its owner knows the password."""
        address = _network(peer)
        self._records.pop(("address", address), None)
        self._welcome.pop((address, name), None)
        self._welcome[address, name] = None
        while len(self._welcome) > MOST:
            self._welcome.pop(next(iter(self._welcome)))


def _doubled(times: int, most: float) -> float:
    return min(2.0 ** min(times, 20), most)


def _network(peer: str) -> str:
    try:
        address = ip_address(peer)
    except ValueError:
        return peer
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
