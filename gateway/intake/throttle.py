"""How long whoever guesses passwords must wait, whatever number of connections he opens.

Counted are failures by address (of IPv6 its /64, which is one customer's) and by name.  An address that guesses is
turned away for a while.  A name at which many addresses guess has an owner too: tries at it are only held up for some
seconds.  An address that has logged in under a name is not held up by others, and by itself for some seconds only.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
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

    def wait(self, peer: str, name: str) -> float:
        """Seconds until the address may try again; 0 = now.  Who has logged in from there is held up at most."""
        record = self._records.get(("address", network_of(peer)))
        if record is None or record.failures < BY_ADDRESS or self._is_welcome(peer, name):
            return 0.0
        return max(0.0, record.at + _doubled(record.failures - BY_ADDRESS, LONGEST) - self._clock())

    def pause(self, peer: str, name: str) -> float:
        """Seconds for which a try at that name is held up before it is looked at."""
        key, free = ("name", _mark(name)), BY_NAME
        if self._is_welcome(peer, name):
            key, free = ("address", network_of(peer)), BY_ADDRESS
        record = self._records.get(key)
        if record is None or record.failures < free or self._clock() - record.at > FORGOTTEN:
            return 0.0
        return _doubled(record.failures - free, LONGEST_PAUSE)

    def _is_welcome(self, peer: str, name: str) -> bool:
        return (network_of(peer), _mark(name)) in self._welcome

    def failed(self, peer: str, name: str) -> None:
        """Counts a wrong password."""
        now = self._clock()
        for key in (("address", network_of(peer)), ("name", _mark(name))):
            known = self._records.pop(key, None)
            fresh = known is None or now - known.at > FORGOTTEN
            self._records[key] = _Record(1 if fresh or known is None else known.failures + 1, now)
        while len(self._records) > MOST:
            self._records.pop(next(iter(self._records)))

    def succeeded(self, peer: str, name: str) -> None:
        """Forgets the failures of the address: its owner knows the password."""
        address, mark = network_of(peer), _mark(name)
        self._records.pop(("address", address), None)
        self._welcome.pop((address, mark), None)
        self._welcome[address, mark] = None
        while len(self._welcome) > MOST:
            self._welcome.pop(next(iter(self._welcome)))


def _doubled(times: int, most: float) -> float:
    return min(2.0 ** min(times, 20), most)


def _mark(name: str) -> str:
    """A name as it is remembered: clients may send long ones."""
    return hashlib.blake2b(name.encode("utf-8", "replace"), digest_size=16).hexdigest()


@lru_cache(maxsize=1024)
def network_of(peer: str) -> str:
    """What of an address is one customer's: an IPv4 address, or an IPv6 /64."""
    try:
        address = ip_address(peer)
    except ValueError:
        return peer
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
