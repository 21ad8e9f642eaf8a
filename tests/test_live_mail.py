"""How `gateway check --live` judges our mail: by a real name server and a real relay on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from names import SERVFAIL, Names, Zone, name_server

from gateway.cli import live_mail
from gateway.cli.live_spf import Spf, SpfError, judged
from gateway.config import load
from gateway.courier.signer import Signer
from gateway.courier.twilio_finding import UNREACHABLE, Finding
from gateway.mx import Names as Resolver
from gateway.simulator.journal import Journal
from gateway.simulator.mail import Relay

DOMAIN, KEY = "sms.example.com", "gw1._domainkey.sms.example.com"
OURS = "8.8.4.4"  # the address from which this machine is said to send; only an address of the internet is judged
MX: Zone = {(DOMAIN, "MX"): ["10 mx.example.com."], ("mx.example.com", "A"): ["192.0.2.25"]}
PRIVATE = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
DKIM = '[dkim]\nselector = "gw1"\nkey = { file = "dkim.pem" }\n'
EMPLOYEE = '[[employee]]\nname = "bob"\nphone = "+12025550102"\ncarrier = "verizon"\n'


@dataclass
class Office:
    """A shop's config, its name server and its relay."""

    folder: Path
    names: Names
    relay: Relay
    relay_keys: str = ""
    smtp: str = ""
    tables: str = ""
    own: list[str] = field(default_factory=lambda: [OURS])

    def text(self) -> str:
        host = f'host = "127.0.0.1"\nport = {self.relay.port}\ntls = "off"\n'
        relay = self.relay_keys if "host" in self.relay_keys else host + self.relay_keys
        return f"""
domain = "{DOMAIN}"
[smtp]
listen = ["127.0.0.1:0"]
{self.smtp}
[relay]
{relay}
[[sender]]
name = "jobs"
networks = ["127.0.0.0/8"]
{self.tables}
"""

    async def told(self, what: str) -> Finding | None:
        """The finding of that kind; there is at most one."""
        (self.folder / "config.toml").write_text(self.text())
        config = load(self.folder / "config.toml")
        resolver = Resolver(["127.0.0.1"], port=self.names.port, seconds=2.0)
        found = [f for f in await live_mail.look(config, resolver, self.own) if f.what == what]
        assert len(found) < 2
        return found[0] if found else None

    async def level(self, what: str) -> str:
        """Its level, "" where there is no such finding."""
        found = await self.told(what)
        return found.level if found else ""

    async def says(self, what: str) -> str:
        """Its words, remedy included."""
        found = await self.told(what)
        return f"{found.level}: {found.text} | {found.remedy}" if found else ""


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    (tmp_path / "dkim.pem").touch(mode=0o600)
    (tmp_path / "dkim.pem").write_bytes(PRIVATE)
    async with name_server() as names, Relay(Journal()) as relay:
        yield Office(tmp_path, names, relay)


def direct(office: Office) -> None:
    office.relay_keys = 'host = "direct"\n'


async def test_the_mx_of_our_domain_is_told_with_its_host_and_whose_it_is(office: Office) -> None:
    office.names.zone |= MX

    assert (await office.says("mx")).startswith(
        "ok: mail for sms.example.com goes to mx.example.com (192.0.2.25, which must hand it in here)"
    )
    office.smtp = 'authserv_id = "mx.example.com"\nupstream = ["192.0.2.0/24"]'
    assert "the upstream of [smtp]" in await office.says("mx")
    office.own = ["192.0.2.25"]
    assert "this machine" in await office.says("mx")


NO_MX = [
    pytest.param({}, "the domain does not exist", id="no such domain"),
    pytest.param({(DOMAIN, "MX"): ["0 ."]}, "takes no mail (null MX)", id="null MX"),
    pytest.param({(DOMAIN, "TXT"): ["x"]}, "has no MX", id="neither MX nor address"),
    pytest.param({(DOMAIN, "MX"): ["10 gone.example.com."]}, "has no address", id="hosts without address"),
]


@pytest.mark.parametrize(("zone", "words"), NO_MX)
async def test_no_way_back_is_an_error_where_something_must_come_back(office: Office, zone: Zone, words: str) -> None:
    office.names.zone |= zone

    assert words in await office.says("mx")
    assert await office.level("mx") == "warning"
    office.smtp = 'listen_public = ["127.0.0.1:0"]'
    assert await office.level("mx") == "error"
    office.smtp, office.tables = "", EMPLOYEE
    assert await office.level("mx") == "error"


async def test_a_domain_without_mx_but_with_an_address_is_a_warning(office: Office) -> None:
    office.names.zone[DOMAIN, "A"] = ["192.0.2.25"]
    office.tables = EMPLOYEE

    assert await office.level("mx") == "warning"


@pytest.mark.parametrize(
    ("records", "level", "words"),
    [
        pytest.param([], "warning", "has no SPF record", id="none"),
        pytest.param(["v=spf10 -all"], "warning", "has no SPF record", id="of another version"),
        pytest.param(["v=spf1 -all", "v=spf1 ~all"], "error", "has 2 SPF records", id="two"),
        pytest.param(["v=spf1 ip4:192.0.2.1 +all"], "warning", "lets everybody", id="+all"),
        pytest.param(["v=spf1 all"], "warning", "lets everybody", id="all"),
        pytest.param(["v=spf1 ipv4:192.0.2.1 -all"], "error", "nothing that SPF knows", id="misspelt"),
        pytest.param(["v=spf1 ip4:192.0.2 -all"], "error", "not an IP network", id="no network"),
        pytest.param(["v=spf1 include:nothing.example -all"], "error", "has no SPF record", id="includes none"),
        pytest.param(["v=spf1 include:loop.example -all"], "error", "more than 10 look-ups", id="loop"),
        pytest.param(["v=spf1" + " a" * 11 + " -all"], "error", "more than 10 look-ups", id="eleven"),
        pytest.param(["v=spf1" + " a" * 10 + " -all"], "ok", "not judged", id="ten"),
        pytest.param(["V=SPF1 INCLUDE:good.example -ALL", "a note"], "ok", "not judged", id="beside a note"),
    ],
)
async def test_an_spf_record_must_be_one_that_receivers_can_use(
    office: Office, records: list[str], level: str, words: str
) -> None:
    office.names.text(DOMAIN, *records)
    office.names.text("loop.example", "v=spf1 include:loop.example -all")
    office.names.text("good.example", "v=spf1 ip4:192.0.2.0/24 -all")
    said = await office.says("spf")

    assert said.startswith(f"{level}: ")
    assert words in said


@pytest.mark.parametrize(
    ("record", "covers"),
    [
        ("v=spf1 ip4:8.8.4.4 -all", True),
        ("v=spf1 ip4:8.8.4.0/24 -all", True),
        ("v=spf1 ip4:8.8.8.8 -all", False),
        ("v=spf1 -ip4:8.8.4.4 +ip4:8.8.0.0/16 -all", False),
        ("v=spf1 ip6:2001:db8::/32 -all", False),
        ("v=spf1 a -all", True),
        ("v=spf1 a:other.example -all", False),
        ("v=spf1 a:other.example/8 -all", True),
        ("v=spf1 mx -all", True),
        ("v=spf1 mx:other.example -all", False),
        ("v=spf1 include:in.example -all", True),
        ("v=spf1 include:out.example ~all", False),
        ("v=spf1 redirect=in.example", True),
        ("v=spf1 -all redirect=in.example", False),
        ("v=spf1", False),
        ("v=spf1 ?all", False),
        ("v=spf1 ptr -all", None),
        ("v=spf1 exists:%{i}.x.example -all", None),
        ("v=spf1 ip4:8.8.4.4 ptr -all", True),
        ("v=spf1 unknown=1 exp=why.example a -all", True),
    ],
)
async def test_the_first_mechanism_that_fits_the_address_decides(
    office: Office, record: str, covers: bool | None
) -> None:
    office.names.zone |= {(DOMAIN, "A"): [OURS], (DOMAIN, "MX"): ["10 out.example.com."]}
    office.names.zone |= {("out.example.com", "A"): [OURS], ("other.example", "A"): ["8.9.9.9"]}
    office.names.text(DOMAIN, record)
    office.names.text("in.example", "v=spf1 ip4:8.8.4.4 -all")
    office.names.text("out.example", "v=spf1 ip4:8.8.8.8 -all")
    found = await judged(DOMAIN, Resolver(["127.0.0.1"], port=office.names.port), OURS)

    assert found == Spf(record=record, covers=covers)


async def test_a_network_that_is_none_is_no_answer_of_another_kind(office: Office) -> None:
    office.names.text(DOMAIN, "v=spf1 ip4:a.b.c.d -all")

    with pytest.raises(SpfError, match="not an IP network"):
        await judged(DOMAIN, Resolver(["127.0.0.1"], port=office.names.port), OURS)


@pytest.mark.parametrize(
    ("record", "own", "level"),
    [
        pytest.param("v=spf1 ip4:8.8.4.4 -all", OURS, "ok", id="named"),
        pytest.param("v=spf1 mx -all", OURS, "error", id="not named"),
        pytest.param("v=spf1 ptr -all", OURS, "warning", id="not judged"),
        pytest.param("v=spf1 ip4:8.8.4.4 -all", "10.0.0.7", "warning", id="behind a router"),
    ],
)
async def test_without_a_relay_spf_must_name_this_machine(office: Office, record: str, own: str, level: str) -> None:
    direct(office)
    office.own = [own]
    office.names.zone |= MX
    office.names.text(DOMAIN, record)

    assert await office.level("spf") == level


async def test_without_a_relay_a_missing_spf_record_is_an_error_that_shows_one(office: Office) -> None:
    direct(office)

    assert '"v=spf1 ip4:8.8.4.4 -all"' in await office.says("spf")
    assert await office.level("spf") == "error"


def published(office: Office) -> str:
    """What DNS must hold for the key."""
    (office.folder / "config.toml").write_text(office.text())
    dkim = load(office.folder / "config.toml").dkim
    assert dkim is not None
    assert dkim.key is not None
    name, record = Signer(domain=dkim.domain, selector=dkim.selector, key=dkim.key).record()
    assert name == KEY
    return record


@pytest.mark.parametrize(
    ("written", "level"),
    [
        pytest.param(lambda record: [record], "ok", id="as it should"),
        pytest.param(lambda record: [record.replace("p=", "p = ").replace("MII", "M II")], "ok", id="with spaces"),
        pytest.param(lambda record: ["a note", record], "ok", id="beside a note"),
        pytest.param(lambda record: [record.replace("k=rsa; ", "t=s; k=rsa; ")], "ok", id="with a flag"),
        pytest.param(lambda record: [record[:-20]], "error", id="cut off"),
        pytest.param(lambda _: ["v=DKIM1; k=rsa; p="], "error", id="withdrawn"),
        pytest.param(lambda _: [], "error", id="nothing"),
    ],
)
async def test_dns_must_hold_the_key_that_signs(
    office: Office, written: Callable[[str], list[str]], level: str
) -> None:
    office.tables = DKIM
    record = published(office)
    if written(record):
        office.names.text(KEY, *written(record))
    said = await office.says("dkim")

    assert said.startswith(f"{level}: ")
    assert (f'publish the TXT record {KEY}: "{record}"' in said) == (level == "error")


async def test_mail_that_nothing_here_signs_is_told(office: Office) -> None:
    assert "there is no [dkim]: only 127.0.0.1 can sign our mail" in await office.says("dkim")
    direct(office)
    assert "there is no [dkim]: nothing signs our mail" in await office.says("dkim")


async def test_a_from_that_our_key_may_not_sign_is_told(office: Office) -> None:
    office.tables, office.relay_keys = DKIM, 'sender = "texts@other.example"\n'

    assert "the From of our mail is at other.example" in await office.says("dkim")
    assert await office.level("dkim") == "warning"


@pytest.mark.parametrize(
    ("at", "record", "level"),
    [
        pytest.param(DOMAIN, "v=DMARC1; p=none", "ok", id="none"),
        pytest.param(DOMAIN, "v=DMARC1; p=reject", "warning", id="reject"),
        pytest.param("example.com", "v=DMARC1; p=Quarantine", "warning", id="of the domain above"),
        pytest.param("example.com", "v=DMARC1; p=reject; sp=none", "ok", id="milder for what is below"),
        pytest.param("com", "v=DMARC1; p=reject", "warning", id="of a top-level domain is nobody's"),
        pytest.param(DOMAIN, "p=reject", "warning", id="no such record"),
    ],
)
async def test_a_dmarc_policy_that_our_mail_cannot_pass_is_a_warning(
    office: Office, at: str, record: str, level: str
) -> None:
    office.names.text(f"_dmarc.{at}", record)

    assert await office.level("dmarc") == level


async def test_a_dmarc_policy_that_spf_or_dkim_can_pass_is_fine(office: Office) -> None:
    office.tables = DKIM
    office.names.text(f"_dmarc.{DOMAIN}", "v=DMARC1; p=reject")
    assert await office.level("dmarc") == "warning"
    office.names.text(KEY, published(office))
    assert await office.level("dmarc") == "ok"
    del office.names.zone[KEY, "TXT"]
    office.names.text(DOMAIN, "v=spf1 include:in.example -all")
    office.names.text("in.example", "v=spf1 -all")

    assert await office.level("dmarc") == "ok"


REVERSE = "4.4.8.8.in-addr.arpa"


@pytest.mark.parametrize(
    ("zone", "level"),
    [
        pytest.param({}, "error", id="no name"),
        pytest.param({(REVERSE, "PTR"): ["mx.example.com."]}, "error", id="a name without an address"),
        pytest.param({(REVERSE, "PTR"): ["a.b."], ("a.b", "A"): ["192.0.2.1"]}, "error", id="leads elsewhere"),
        pytest.param({(REVERSE, "PTR"): ["a.b."], ("a.b", "A"): ["192.0.2.1", OURS]}, "ok", id="leads back"),
        pytest.param({(REVERSE, "PTR"): SERVFAIL}, "warning", id="no answer"),
    ],
)
async def test_without_a_relay_the_address_must_have_a_name_that_leads_back(
    office: Office, zone: Zone, level: str
) -> None:
    direct(office)
    office.names.zone |= zone

    assert await office.level("ptr") == level


async def test_behind_a_relay_nobody_asks_for_the_name_of_this_machine(office: Office) -> None:
    assert await office.told("ptr") is None


async def test_the_relay_is_tried_up_to_the_sender_and_gets_no_mail(office: Office) -> None:
    said = await office.says("relay")

    assert said.startswith(f"ok: 127.0.0.1:{office.relay.port} takes mail from postmaster@{DOMAIN}")
    assert office.relay.mails == []


async def test_a_relay_without_the_tls_that_is_required_is_an_error(office: Office) -> None:
    office.relay_keys = f'host = "127.0.0.1"\nport = {office.relay.port}\ntls = "required"\n'

    assert "does not offer STARTTLS" in await office.says("relay")
    assert await office.level("relay") == "error"


async def test_a_relay_that_is_not_there_is_unreachable(office: Office) -> None:
    office.relay_keys = 'host = "127.0.0.1"\nport = 1\ntls = "off"\n'

    assert await office.level(UNREACHABLE) == "error"


async def test_with_one_sender_for_all_mail_bounces_are_said_to_go_there(office: Office) -> None:
    office.relay_keys = 'sender = "texts@other.example"\n'

    assert "bounces of our mail go to texts@other.example" in await office.says("bounce")
    office.relay_keys = ""
    assert await office.told("bounce") is None


async def test_no_answer_from_dns_is_a_warning_and_never_an_error(office: Office) -> None:
    office.tables, office.names.failing = f"{DKIM}{EMPLOYEE}", True
    direct(office)

    assert [await office.level(what) for what in ("mx", "spf", "dkim", "dmarc", "ptr")] == ["warning"] * 5
