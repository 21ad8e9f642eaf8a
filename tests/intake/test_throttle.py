"""Whoever guesses passwords waits longer with each guess, and nobody else does."""

from __future__ import annotations

import pytest

from gateway.intake import throttle
from gateway.intake.throttle import BY_ADDRESS, BY_NAME, FORGOTTEN, LONGEST, LONGEST_PAUSE, Throttle


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guesses(clock: Clock) -> Throttle:
    return Throttle(clock)


def fail(guesses: Throttle, times: int, peer: str = "192.0.2.7", name: str = "jobs") -> None:
    for _ in range(times):
        guesses.failed(peer, name)


def test_a_few_wrong_passwords_cost_nothing(guesses: Throttle) -> None:
    fail(guesses, BY_ADDRESS - 1)

    assert guesses.wait("192.0.2.7", "anybody") == 0


@pytest.mark.parametrize(("more", "seconds"), [(0, 1), (1, 2), (4, 16), (9, 512), (10, LONGEST), (5000, LONGEST)])
def test_each_further_one_doubles_the_wait_up_to_a_quarter_of_an_hour(
    guesses: Throttle, more: int, seconds: float
) -> None:
    fail(guesses, BY_ADDRESS + more, name="a")

    assert guesses.wait("192.0.2.7", "anybody") == seconds


def test_the_wait_passes(guesses: Throttle, clock: Clock) -> None:
    fail(guesses, BY_ADDRESS + 3)
    clock.now += 7

    assert guesses.wait("192.0.2.7", "anybody") == 1
    clock.now += 1
    assert guesses.wait("192.0.2.7", "anybody") == 0


def test_other_addresses_may_log_in_meanwhile(guesses: Throttle) -> None:
    fail(guesses, BY_ADDRESS)

    assert guesses.wait("192.0.2.8", "anybody") == 0


def test_many_addresses_that_guess_at_one_name_are_slowed_as_well(guesses: Throttle) -> None:
    for n in range(BY_NAME):
        guesses.failed(f"198.51.100.{n}", "jobs")

    assert guesses.wait("203.0.113.1", "anybody") == 0, "its owner may be there"
    assert guesses.pause("203.0.113.1", "jobs") == 1
    assert guesses.pause("203.0.113.1", "office") == 0


def test_the_owner_of_a_name_is_not_held_up_by_those_who_guess_at_it(guesses: Throttle) -> None:
    guesses.succeeded("192.0.2.7", "jobs")
    for n in range(BY_NAME + 10):
        guesses.failed(f"198.51.100.{n}", "jobs")

    assert guesses.pause("192.0.2.7", "jobs") == 0
    assert guesses.pause("192.0.2.8", "jobs") == LONGEST_PAUSE


def test_who_has_logged_in_is_held_up_by_the_guesses_of_his_own_address_and_not_turned_away(guesses: Throttle) -> None:
    guesses.succeeded("192.0.2.7", "jobs")
    fail(guesses, BY_ADDRESS + 10)

    assert guesses.wait("192.0.2.7", "office") == LONGEST
    assert guesses.wait("192.0.2.7", "jobs") == 0
    assert guesses.pause("192.0.2.7", "jobs") == LONGEST_PAUSE


def test_a_right_password_forgives_the_failures_of_its_address(guesses: Throttle) -> None:
    fail(guesses, BY_ADDRESS + 5)
    guesses.succeeded("192.0.2.7", "jobs")

    assert guesses.wait("192.0.2.7", "anybody") == 0


def test_an_hour_without_a_failure_is_a_new_beginning(guesses: Throttle, clock: Clock) -> None:
    fail(guesses, BY_ADDRESS + 5)
    clock.now += FORGOTTEN + 1
    fail(guesses, 1)

    assert guesses.wait("192.0.2.7", "anybody") == 0


def test_the_addresses_of_one_ipv6_network_are_one(guesses: Throttle) -> None:
    for n in range(BY_ADDRESS):
        guesses.failed(f"2001:db8:0:1::{n:x}", f"name{n}")

    assert guesses.wait("2001:db8:0:1:ffff::1", "anybody") == 1
    assert guesses.wait("2001:db8:0:2::1", "anybody") == 0


def test_an_address_in_ipv6_form_is_the_ipv4_one(guesses: Throttle) -> None:
    fail(guesses, BY_ADDRESS, peer="::ffff:192.0.2.7", name="a")

    assert guesses.wait("::ffff:192.0.2.9", "anybody") == 0
    assert guesses.wait("192.0.2.7", "anybody") == 1


def test_memory_is_bounded_and_the_oldest_guess_is_forgotten_first(
    guesses: Throttle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle, "MOST", 10)
    fail(guesses, BY_ADDRESS, peer="192.0.2.1", name="first")
    for n in range(20):
        guesses.failed(f"198.51.100.{n}", f"name{n}")

    assert guesses.wait("192.0.2.1", "anybody") == 0
    assert len(guesses._records) == 10


def test_long_names_are_not_kept(guesses: Throttle) -> None:
    fail(guesses, 1, name="\N{WRENCH}" * 12_000)

    assert max(len(kind) + len(mark) for kind, mark in guesses._records) < 60
