"""Mail without a relay: real mail hosts at several loopback addresses, and a name server that leads to them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st
from relays import Net, Script, Zone
from test_mail import PARCEL, send

from gateway.core.work import Accepted, Deferred, Refused, Unclear
from gateway.courier.direct import ordered, public

DOMAIN = "carrier.example"


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    made = Net()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: made, ("127.0.0.1", 0))
    made.transport = transport
    made.dns_port = transport.get_extra_info("sockname")[1]
    with socket.create_server(("127.0.0.1", 0)) as bound:
        made.port = bound.getsockname()[1]
    yield made
    for courier in made.couriers:
        await courier.close()
    transport.close()
    for server in made.servers:
        server.close()
    for hop in made.hops:
        await hop.gone(hop.sessions)


def two_hosts(net: Net) -> None:
    net.zone[DOMAIN, "MX"] = ["20 second.example.", "10 first.example."]
    net.zone["first.example", "A"] = ["127.0.0.2"]
    net.zone["second.example", "A"] = ["127.0.0.3"]


async def test_the_host_of_the_lowest_preference_gets_the_mail(net: Net) -> None:
    two_hosts(net)
    first, second = await net.hop("127.0.0.2"), await net.hop("127.0.0.3")

    outcome = await send(net.courier())

    assert outcome == Accepted(remote_id="4Q1", note="handed over to first.example: 250 2.0.0 Ok: queued as 4Q1")
    assert (len(first.mails), second.sessions) == (1, 0)
    assert first.mails[0].rcpt_tos == [PARCEL.rcpt_to]


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(None, id="not there"),
        pytest.param(Script(greeting=b"421 4.3.2 too many\r\n"), id="greeting 4xx"),
        pytest.param(Script(greeting=b"554 5.3.2 not here\r\n"), id="greeting 5xx"),
        pytest.param(Script(replies={"MAIL": b"451 4.7.1 later\r\n"}), id="MAIL 4xx"),
        pytest.param(Script(replies={"MAIL": b""}), id="lost at MAIL"),
        pytest.param(Script(replies={"DATA": b""}), id="lost before the content"),
    ],
)
async def test_the_next_host_is_tried_where_the_first_took_nothing(net: Net, first: Script | None) -> None:
    two_hosts(net)
    if first is not None:
        await net.script("127.0.0.2", replace(first, lines=[], over=asyncio.Event()))
    second = await net.hop("127.0.0.3")

    assert isinstance(await send(net.courier()), Accepted)
    assert len(second.mails) == 1


@pytest.mark.parametrize(
    ("replies", "kind"),
    [
        pytest.param({"MAIL": b"550 5.7.1 your address is blocked\r\n"}, Refused, id="MAIL 5xx"),
        pytest.param({"RCPT": b"450 4.7.1 greylisted\r\n"}, Deferred, id="RCPT 4xx"),
        pytest.param({"RCPT": b"550 5.1.1 no such user\r\n"}, Refused, id="RCPT 5xx"),
        pytest.param({"DATA": b"451 4.3.0 full\r\n"}, Deferred, id="DATA 4xx"),
        pytest.param({".": b"451 4.3.0 full\r\n"}, Deferred, id="the content 4xx"),
        pytest.param({".": b""}, Unclear, id="lost after the dot"),
    ],
)
async def test_no_other_host_is_tried_after_a_word_about_the_mail_or_its_content(
    net: Net, replies: dict[str, bytes], kind: type[Deferred | Refused | Unclear]
) -> None:
    two_hosts(net)
    await net.script("127.0.0.2", Script(replies=replies))
    second = await net.hop("127.0.0.3")

    outcome = await send(net.courier())

    assert isinstance(outcome, kind)
    assert "first.example" in outcome.reason
    assert not getattr(outcome, "sender_wide", False)
    assert second.sessions == 0


async def test_a_domain_whose_hosts_are_all_down_is_deferred_alone(net: Net) -> None:
    two_hosts(net)

    outcome = await send(net.courier())

    assert isinstance(outcome, Deferred)
    assert (outcome.code, outcome.sender_wide) == ("4.4.1", False)
    assert f"second.example:{net.port} cannot be reached" in outcome.reason


async def test_a_host_is_tried_at_each_of_its_addresses(net: Net) -> None:
    net.zone[DOMAIN, "MX"] = ["10 first.example."]
    net.zone["first.example", "A"] = ["127.0.0.2"]
    net.zone["first.example", "AAAA"] = ["::1"]
    last = await net.hop("::1")

    assert isinstance(await send(net.courier()), Accepted)
    assert len(last.mails) == 1


async def test_a_domain_without_mx_takes_mail_at_its_own_address(net: Net) -> None:
    net.zone[DOMAIN, "A"] = ["127.0.0.2"]
    host = await net.hop("127.0.0.2")

    assert isinstance(await send(net.courier()), Accepted)
    assert len(host.mails) == 1


@pytest.mark.parametrize(
    ("zone", "kind", "code"),
    [
        pytest.param({}, Refused, "5.1.2", id="no such domain"),
        pytest.param({(DOMAIN, "MX"): ["0 ."]}, Refused, "5.1.10", id="null MX"),
        pytest.param({(DOMAIN, "TXT"): ["x"]}, Refused, "5.4.4", id="neither MX nor address"),
        pytest.param({(DOMAIN, "MX"): ["10 gone.example."]}, Refused, "5.4.4", id="hosts that do not exist"),
        pytest.param({(DOMAIN, "MX"): dns.rcode.SERVFAIL}, Deferred, "4.4.3", id="no answer for MX"),
        pytest.param(
            {(DOMAIN, "MX"): ["10 a.example."], ("a.example", "A"): dns.rcode.SERVFAIL},
            Deferred,
            "4.4.3",
            id="no answer for the address",
        ),
    ],
)
async def test_what_dns_says_of_a_domain_is_its_own_affair(
    net: Net, zone: Zone, kind: type[Deferred | Refused], code: str
) -> None:
    net.zone.update(zone)

    outcome = await send(net.courier())

    assert isinstance(outcome, kind)
    assert outcome.code == code
    assert DOMAIN in outcome.reason
    assert not getattr(outcome, "sender_wide", False)


async def test_a_host_whose_address_is_unknown_does_not_hide_the_others(net: Net) -> None:
    two_hosts(net)
    net.zone["first.example", "A"] = dns.rcode.SERVFAIL
    second = await net.hop("127.0.0.3")

    assert isinstance(await send(net.courier()), Accepted)
    assert len(second.mails) == 1


async def test_hosts_at_reserved_addresses_are_not_spoken_to(net: Net) -> None:
    two_hosts(net)
    host = await net.hop("127.0.0.2")

    outcome = await send(net.courier(reserved=False))

    assert isinstance(outcome, Refused)
    assert outcome.code == "5.4.4"
    assert host.sessions == 0


@pytest.mark.parametrize("rcpt_to", ["nobody", "a@", "a@[127.0.0.1]", "a@b_c.example", "a@-x.example"])
async def test_a_recipient_without_a_mail_domain_is_refused_unasked(net: Net, rcpt_to: str) -> None:
    outcome = await send(net.courier(), replace(PARCEL, rcpt_to=rcpt_to))

    assert isinstance(outcome, Refused)
    assert outcome.code == "5.1.2"
    assert net.asked == []


async def test_required_tls_goes_to_no_host_without_it(net: Net) -> None:
    two_hosts(net)
    hosts = [await net.hop("127.0.0.2"), await net.hop("127.0.0.3")]

    outcome = await send(net.courier(tls="required"))

    assert isinstance(outcome, Deferred)
    assert "STARTTLS" in outcome.reason
    assert not outcome.sender_wide
    assert [host.steps for host in hosts] == [[], []]


async def test_a_connection_and_an_answer_of_dns_serve_the_next_mail_too(net: Net) -> None:
    two_hosts(net)
    host = await net.hop("127.0.0.2")
    mine = net.courier()

    for _ in range(3):
        assert isinstance(await send(mine), Accepted)

    assert (host.sessions, len(host.mails)) == (1, 3)
    assert net.asked.count((DOMAIN, "MX")) == 1


async def test_at_most_two_connections_are_open_to_one_host(net: Net) -> None:
    two_hosts(net)
    host = await net.hop("127.0.0.2")
    mine = net.courier()

    outcomes = await asyncio.gather(*(send(mine) for _ in range(12)))

    assert {type(outcome) for outcome in outcomes} == {Accepted}
    assert (host.most, len(host.mails)) == (2, 12)


async def test_at_most_sixteen_connections_are_open_in_all_idle_ones_too(net: Net) -> None:
    host = await net.hop("127.0.0.2")
    domains = [f"d{n}.example" for n in range(24)]
    for domain in domains:
        net.zone[domain, "MX"] = [f"10 mx.{domain}."]
        net.zone[f"mx.{domain}", "A"] = ["127.0.0.2"]
    mine = net.courier()

    outcomes = await asyncio.gather(*(send(mine, replace(PARCEL, rcpt_to=f"a@{domain}")) for domain in domains))

    assert {type(outcome) for outcome in outcomes} == {Accepted}
    await host.gone(8)
    assert (host.sessions, host.left) == (24, 8)


async def test_a_slow_host_does_not_take_the_connections_of_others(net: Net) -> None:
    two_hosts(net)
    slow, other = await net.hop("127.0.0.2"), await net.hop("127.0.0.3")
    net.zone["other.example", "A"] = ["127.0.0.3"]
    mine, go_on = net.courier(), asyncio.Event()

    async def hold(_server: object) -> None:
        await go_on.wait()

    slow.does["MAIL"] = hold
    waiting = [asyncio.create_task(send(mine)) for _ in range(20)]
    assert isinstance(await send(mine, replace(PARCEL, rcpt_to="a@other.example")), Accepted)
    go_on.set()

    assert {type(outcome) for outcome in await asyncio.gather(*waiting)} == {Accepted}
    assert (len(slow.mails), len(other.mails)) == (20, 1)


HOSTS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["a", "b", "c", "d"])), unique_by=lambda host: host[1])


@given(HOSTS, st.text())
def test_hosts_are_tried_by_preference_and_each_once(hosts: list[tuple[int, str]], seed: str) -> None:
    ranks = {name: rank for rank, name in hosts}

    tried = ordered(hosts, seed)

    assert sorted(tried) == sorted(ranks)
    assert [ranks[name] for name in tried] == sorted(ranks.values())


def test_mails_spread_over_hosts_of_one_preference() -> None:
    firsts = {ordered([(10, "a"), (10, "b"), (10, "c")], f"b-{n}@sms.example.com")[0] for n in range(50)}

    assert firsts == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("address", "open_to_all"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("192.168.1.1", False),
        ("172.16.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_only_addresses_of_the_internet_are_public(address: str, open_to_all: bool) -> None:
    assert public(address) is open_to_all
