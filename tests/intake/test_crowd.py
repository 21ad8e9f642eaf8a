"""Who is let in by the door for mail: customers of one IPv6 network are one, and nobody shuts the others out."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest
import pytest_asyncio
from smtp_house import RecordingHost

from gateway.core.model import Door
from gateway.intake.limits import Crowd, Guest, Limits
from gateway.intake.smtp import MailDoor

LONE = Path(__file__).with_name("smtp_two_networks.py")


def guest() -> Guest:
    """Somebody whom the crowd only counts."""
    return cast(Guest, object())


def enter(crowd: Crowd, peer: str, times: int = 1, *, known: bool = False) -> list[str]:
    """The different answers to so many guests of that address."""
    return sorted({crowd.enter(guest(), peer, known=known) for _ in range(times)})


FULL = "too many connections from this address"


def test_the_addresses_of_one_ipv6_network_share_their_places() -> None:
    crowd = Crowd(Limits(connections_per_address=3))
    answers = [crowd.enter(guest(), f"2001:db8:0:1:{n:x}::{n:x}") for n in range(4)]

    assert answers == ["", "", "", FULL]
    assert crowd.enter(guest(), "2001:db8:0:2::1") == ""
    assert crowd.enter(guest(), "192.0.2.7") == ""


def test_who_had_gone_before_it_was_asked_who_he_is_leaves_his_place_too() -> None:
    crowd = Crowd(Limits(connections=4))
    for _ in range(10):
        gone = guest()
        assert crowd.enter(gone, "") == ""  # uvloop tells no address of a connection that was reset
        crowd.leave(gone)
        crowd.leave(gone)

    assert crowd.empty.is_set()
    assert enter(crowd, "192.0.2.7", 3) == [""]


def test_a_place_that_one_address_of_a_network_leaves_is_free_for_another() -> None:
    crowd = Crowd(Limits(connections_per_address=1))
    first = guest()
    assert crowd.enter(first, "2001:db8:0:1::1") == ""
    assert crowd.enter(guest(), "2001:db8:0:1::2") == FULL
    crowd.leave(first)

    assert crowd.enter(guest(), "2001:db8:0:1::2") == ""


def test_an_ipv4_address_in_ipv6_form_is_the_same_one() -> None:
    crowd = Crowd(Limits(connections_per_address=1))

    assert crowd.enter(guest(), "::ffff:192.0.2.7") == ""
    assert crowd.enter(guest(), "192.0.2.7") == FULL
    assert crowd.enter(guest(), "::ffff:192.0.2.8") == ""


def test_strangers_find_a_place_beside_a_known_sender_who_takes_all_that_he_may() -> None:
    crowd = Crowd(Limits())

    assert enter(crowd, "10.0.0.7", 150, known=True) == [""]
    assert enter(crowd, "10.0.0.7", known=True) == [FULL]
    assert enter(crowd, "192.0.2.1", 20) == [""]
    assert enter(crowd, "192.0.2.2", 20) == [""]
    assert enter(crowd, "192.0.2.3", 10) == [""]
    assert enter(crowd, "192.0.2.4") == ["too many connections"]


def test_a_known_sender_finds_a_place_beside_strangers_who_take_all_that_they_may() -> None:
    crowd = Crowd(Limits())
    for n in range(1, 8):
        assert enter(crowd, f"192.0.2.{n}", 20) == [""]
    assert enter(crowd, "192.0.2.8", 20) == ["", "too many connections"]

    assert enter(crowd, "10.0.0.7", 50, known=True) == [""]


@pytest_asyncio.fixture
async def six() -> AsyncIterator[int]:
    """The port of a door on ::1 that lets two of a network in."""
    if not socket.has_ipv6:
        pytest.skip("there is no IPv6 here")
    door = MailDoor(RecordingHost(), Limits(connections_per_address=2), "mx.example.com")
    try:
        yield await door.listen("::1", 0, Door.SUBMISSION)
    finally:
        await door.close(0)


async def test_connections_by_ipv6_are_counted(six: int) -> None:
    streams = [await asyncio.open_connection("::1", six) for _ in range(3)]
    async with asyncio.timeout(20):
        answers = [(await reader.readline())[:9] for reader, _ in streams]
    for _, writer in streams:
        writer.transport.abort()

    assert answers == [b"220 mx.ex", b"220 mx.ex", b"421 4.7.0"]


def test_clients_of_one_ipv6_network_are_turned_away_together_and_those_of_another_are_not() -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rn", "ip", "link"], check=False, capture_output=True).returncode:
        pytest.skip("network namespaces are not allowed here")
    done = subprocess.run(
        [unshare, "-rn", sys.executable, str(LONE)], check=False, capture_output=True, text=True, timeout=60
    )

    assert done.stdout.split() == ["220", "220", "421", "220"], done.stderr
