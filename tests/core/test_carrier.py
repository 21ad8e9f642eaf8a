from __future__ import annotations

import tomllib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import carrier as carriers
from gateway.core.carrier import CarrierTable, Channel, Problem
from gateway.core.model import Phone

PHONE = Phone("+12025550143")
BRITISH = Phone("+442071838750")
TODAY = date(2026, 11, 21)

SHIPPED = """
[att]
name = "AT&T"
country = "US"
[att.sms]
address = "{national}@txt.att.net"
status = "retired"
ends = 2025-06-17
max_chars = 160
source = "https://example.com/att"
[att.mms]
address = "{national}@mms.att.net"
[cricket]
name = "Cricket Wireless"
successor = "att"
mccmnc = ["310-150"]
[cricket.sms]
domain = "txt.att.net"
seen = 2023-11-18
"""


def build(*layers: str) -> tuple[CarrierTable, list[Problem]]:
    return carriers.build([(f"layer {n}", tomllib.loads(text)) for n, text in enumerate(layers)])


def gateway(status: str = "active", address: str = "{national}@vtext.com", ends: date | None = None) -> Channel:
    domain = address.partition("@")[2]
    return Channel(
        carrier="verizon", name="Verizon", channel="sms", address=address, domain=domain, status=status, ends=ends
    )


def test_a_table_holds_what_the_file_says() -> None:
    table, problems = build(SHIPPED)

    assert problems == []
    assert table.carriers["att"].channels["sms"] == Channel(
        carrier="att",
        name="AT&T",
        channel="sms",
        address="{national}@txt.att.net",
        domain="txt.att.net",
        status="retired",
        ends=date(2025, 6, 17),
        max_chars=160,
        source="https://example.com/att",
    )
    assert table.carriers["att"].channels["mms"].status == "unverified"
    cricket = table.carriers["cricket"]
    assert (cricket.name, cricket.successor, cricket.mccmnc) == ("Cricket Wireless", "att", ("310-150",))
    assert cricket.channels["sms"].seen == date(2023, 11, 18)
    assert cricket.origin == "layer 0"


def test_a_table_holds_what_a_gateway_does_to_a_text() -> None:
    table, problems = build(
        """
        [x]
        name = "X"
        sms.quirks = ["no_colon", "ascii", "no_colon"]
        mms.max_bytes = 600_000
        """
    )

    assert problems == []
    assert table.carriers["x"].channels["sms"].quirks == ("no_colon", "ascii")
    assert table.carriers["x"].channels["mms"].max_bytes == 600_000


def test_a_domain_leads_to_all_carriers_whose_phones_may_answer_from_it() -> None:
    own = """
    [cricket]
    aliases = ["mms.att.net", "mms.mycricket.com", "mms.mycricket.com"]
    [local]
    name = "Local"
    aliases = ["txt.att.net"]
    [local.sms]
    status = "no_gateway"
    """
    table, problems = build(SHIPPED, own)

    assert problems == []
    assert table.carriers["cricket"].aliases == ("mms.att.net", "mms.mycricket.com")
    assert table.reply_domains == {
        "txt.att.net": ("att", "cricket", "local"),
        "mms.att.net": ("att", "cricket"),
        "mms.mycricket.com": ("cricket",),
    }
    assert carriers.by_domain(table, "mms.mycricket.com") == ()


def test_every_brand_at_a_shared_domain_is_found() -> None:
    table, _ = build(SHIPPED)

    assert [c.carrier for c in carriers.by_domain(table, "TXT.att.net")] == ["att", "cricket"]
    assert carriers.by_domain(table, "example.com") == ()


def test_a_later_layer_replaces_keys_and_whole_channels_and_leaves_the_rest() -> None:
    own = """
    [att]
    name = "AT and T"
    [att.sms]
    address = "{e164}@att.example.com"
    [local]
    name = "Local"
    [local.sms]
    status = "no_gateway"
    """
    table, problems = build(SHIPPED, own)

    assert problems == []
    att = table.carriers["att"]
    assert (att.name, att.country, att.origin) == ("AT and T", "US", "layer 1")
    assert att.channels["sms"] == Channel(
        carrier="att", name="AT and T", channel="sms", address="{e164}@att.example.com", domain="att.example.com"
    )
    assert att.channels["mms"].address == "{national}@mms.att.net"
    assert att.channels["mms"].name == "AT and T"
    assert table.carriers["local"].channels["sms"].status == "no_gateway"
    assert table.carriers["cricket"].origin == "layer 0"
    assert [c.carrier for c in carriers.by_domain(table, "txt.att.net")] == ["cricket"]


NAMED = 'x.name = "X"'
WRONG_CARRIERS = [
    pytest.param("X.name = 'X'", ("X",), "id of a carrier", "lower-case", id="id in capitals"),
    pytest.param("-x.name = 'X'", ("-x",), "id of a carrier", "lower-case", id="id begins with a hyphen"),
    pytest.param("x = 1", ("x",), "not a table", "[x]", id="carrier is no table"),
    pytest.param("x.country = 'US'", ("x",), "no name", "name =", id="name missing"),
    pytest.param("x.name = ''", ("x", "name"), "empty", "as people know it", id="name empty"),
    pytest.param("x.name = 1", ("x", "name"), "one line", "spaces", id="name is a number"),
    pytest.param(f"{NAMED}\nx.sms = 1", ("x", "sms"), "not a table", "[x.sms]", id="channel is no table"),
    pytest.param(f"{NAMED}\nx.contry = 'US'", ("x", "contry"), "no key contry", "country?", id="misspelt key"),
    pytest.param(f"{NAMED}\nx.zzz = 'US'", ("x", "zzz"), "no key zzz", "known are: name", id="unknown key"),
    pytest.param(f"{NAMED}\nx.smss.seen = 1", ("x", "smss"), "no key smss", "sms?", id="misspelt channel"),
    pytest.param(f"{NAMED}\nx.country = 'us'", ("x", "country"), "not a country", "capital", id="country"),
    pytest.param(f"{NAMED}\nx.mccmnc = '310-150'", ("x", "mccmnc"), "not a list", "310-150", id="code alone"),
    pytest.param(f"{NAMED}\nx.mccmnc = [310]", ("x", "mccmnc"), "310 is not", "310-150", id="code is a number"),
    pytest.param(f"{NAMED}\nx.mccmnc = ['310150']", ("x", "mccmnc"), "'310150'", "hyphen", id="code without hyphen"),
    pytest.param(f"{NAMED}\nx.aliases = 'a.com'", ("x", "aliases"), "not a list", "mms.att.net", id="alias alone"),
    pytest.param(f"{NAMED}\nx.aliases = ['A.com']", ("x", "aliases"), "'A.com'", "lower case", id="alias in capitals"),
    pytest.param(f"{NAMED}\nx.aliases = [1]", ("x", "aliases"), "1 is not", "lower case", id="alias is a number"),
    pytest.param(
        f"{NAMED}\nx.successor = 'y'", ("x", "successor"), "no carrier 'y'", "known are: x", id="no successor"
    ),
    pytest.param(f"{NAMED}\nx.successor = 'x'", ("x", "successor"), "lead back", "remove", id="its own successor"),
]
WRONG_CHANNELS = [
    pytest.param("stats = 'active'", "stats", "no key stats", "status?", id="misspelt key"),
    pytest.param("name = 'X'", "name", "no key name", "known are: address", id="key of the carrier"),
    pytest.param("status = 'retird'", "status", "'retird'", "retired?", id="misspelt status"),
    pytest.param("status = true", "status", "True", "spaces", id="status is no text"),
    pytest.param("seen = '2026-01-01'", "seen", "not a date", "quotes", id="date as text"),
    pytest.param("seen = 2026-01-01T00:00:00", "seen", "not a date", "time", id="date and time"),
    pytest.param("max_chars = 0", "max_chars", "0 is not a count", "above 0", id="no characters"),
    pytest.param("max_chars = true", "max_chars", "True", "above 0", id="length is true"),
    pytest.param("quirks = 'ascii'", "quirks", "not a list", "ascii", id="quirk alone"),
    pytest.param("quirks = ['ascii', 'no_colons']", "quirks", "'no_colons'", "no_colon?", id="misspelt quirk"),
    pytest.param("quirks = [['ascii']]", "quirks", "['ascii'] is not", "ascii?", id="quirk in a list"),
    pytest.param("max_bytes = 0", "max_bytes", "0 is not a count of bytes", "above 0", id="no bytes"),
    pytest.param("max_bytes = 5000", "max_bytes", "no pictures", "mms table", id="pictures by sms"),
    pytest.param('source = "a\\tb"', "source", "one line", "spaces", id="tab in the source"),
    pytest.param("domain = 'vtext.com '", "domain", "'vtext.com '", "spaces", id="space after the domain"),
    pytest.param("domain = 'Vtext.com'", "domain", "Vtext", "lower case", id="domain in capitals"),
    pytest.param("domain = 'vtext'", "domain", "vtext", "vtext.com", id="domain without a dot"),
    pytest.param("address = 1", "address", "not a mail address", "placeholder", id="address is a number"),
    pytest.param("address = '{national}'", "address", "not a mail address", "one @", id="no @"),
    pytest.param("address = '{national}@a@b.com'", "address", "not a mail address", "one @", id="two @"),
    pytest.param("address = 'number@vtext.com'", "address", "say once where", "{e164}", id="no placeholder"),
    pytest.param("address = '{national}{e164}@vtext.com'", "address", "say once", "{e164}", id="two placeholders"),
    pytest.param("address = '{number}@vtext.com'", "address", "say once", "{national}", id="unknown placeholder"),
    pytest.param("address = 'x@{national}.vtext.com'", "address", "say once", "{e164}", id="placeholder in the domain"),
    pytest.param("address = '{{national}}@vtext.com'", "address", "say once", "placeholder", id="doubled braces"),
    pytest.param("address = '{national} @vtext.com'", "address", "cannot stand", "placeholder", id="space"),
    pytest.param("address = '.{national}@vtext.com'", "address", "cannot stand", "placeholder", id="dot first"),
    pytest.param(f"address = '{'a' * 50}{{e164}}@vtext.com'", "address", "cannot stand", "one", id="too long"),
    pytest.param("address = '{national}@vtext.com '", "address", "not a mail domain", "spaces", id="space at the end"),
    pytest.param("address = '{national}@Vtext.com'", "address", "not a mail domain", "lower", id="capital"),
    pytest.param("ends = 2027-03-31", "ends", "unverified has no end", "seen", id="end of an unverified one"),
    pytest.param("status = 'no_gateway'\nends = 2027-03-31", "ends", "no end", "retired", id="end of none"),
    pytest.param("status = 'retiring'", "", "needs the day", "ends =", id="retiring without an end"),
    pytest.param("status = 'active'", "", "needs an address", "address =", id="active without an address"),
    pytest.param("address = '{e164}@a.com'\ndomain = 'b.com'", "domain", "not the domain", "leave", id="two domains"),
]


@pytest.mark.parametrize(("text", "path", "says", "remedy"), WRONG_CARRIERS)
def test_a_wrong_carrier_is_told_once_with_its_place_and_a_remedy(
    text: str, path: tuple[str, ...], says: str, remedy: str
) -> None:
    _, problems = build(text)

    assert [(p.origin, p.path, p.severity) for p in problems] == [("layer 0", path, "error")]
    assert says in problems[0].text
    assert remedy in problems[0].remedy


@pytest.mark.parametrize(("text", "key", "says", "remedy"), WRONG_CHANNELS)
def test_a_wrong_channel_is_told_once_with_its_place_and_a_remedy(text: str, key: str, says: str, remedy: str) -> None:
    _, problems = build(f"[x]\nname = 'X'\n[x.sms]\n{text}")

    path = ("x", "sms", key) if key else ("x", "sms")
    assert [(p.origin, p.path, p.severity) for p in problems] == [("layer 0", path, "error")]
    assert says in problems[0].text
    assert remedy in problems[0].remedy


def test_all_faults_are_told_at_once_and_the_rest_of_the_table_stands() -> None:
    table, problems = build(SHIPPED, "a.name = 1\nb.name = 'B'\nb.sms.status = 'x'\nc.name = 'C'")

    assert [p.path for p in problems] == [("a", "name"), ("b", "sms", "status")]
    assert {"att", "cricket", "b", "c"} <= set(table.carriers)


def test_a_wrong_successor_is_told_of_the_layer_that_names_it() -> None:
    _, problems = build("a.name = 'A'\nb.name = 'B'\na.successor = 'b'", "b.successor = 'a'", "b.country = 'US'")

    assert [(p.origin, p.path) for p in problems] == [("layer 0", ("a", "successor")), ("layer 1", ("b", "successor"))]


def test_a_carrier_that_leads_into_a_circle_is_not_itself_at_fault() -> None:
    _, problems = build("a.name = 'A'\nb.name = 'B'\na.successor = 'b'\nb.successor = 'b'")

    assert [p.path for p in problems] == [("b", "successor")]


def test_a_successor_may_come_from_a_later_layer() -> None:
    assert build("a.name = 'A'\na.successor = 'b'", "b.name = 'B'")[1] == []


def test_a_misspelt_successor_gets_a_suggestion() -> None:
    _, problems = build(SHIPPED, "x.name = 'X'\nx.successor = 'crickett'")

    assert [p.remedy for p in problems] == ["did you mean cricket?"]


TOML = st.recursive(
    st.one_of(st.text(max_size=12), st.integers(), st.booleans(), st.dates(), st.datetimes(), st.floats()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "sms",
                    "mms",
                    "address",
                    "domain",
                    "status",
                    "ends",
                    "successor",
                    "mccmnc",
                    "quirks",
                    "aliases",
                    "max_bytes",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.one_of(st.sampled_from(["a", "b"]), st.text(max_size=3)), TOML, max_size=3))
def test_no_table_raises(layer: dict[str, object]) -> None:
    table, problems = carriers.build([("x", layer)])

    assert set(table.carriers) <= set(layer)
    assert all(p.text and p.remedy and p.path[0] in layer for p in problems)


SILENT = Channel(carrier="x", name="X", channel="mms", domain="x.example.com")
PAST = gateway("retiring", ends=date(2026, 11, 20))
CLOSED = gateway("retired", ends=date(2025, 6, 17))


@pytest.mark.parametrize(
    ("channel", "why"),
    [
        pytest.param(gateway("active"), "", id="active"),
        pytest.param(gateway("unverified"), "", id="unverified"),
        pytest.param(gateway("retiring", ends=TODAY), "", id="retiring, the last day"),
        pytest.param(PAST, "Verizon closed vtext.com on 2026-11-20", id="retiring, past its end"),
        pytest.param(CLOSED, "Verizon closed vtext.com on 2025-06-17", id="retired"),
        pytest.param(gateway("retired"), "Verizon closed vtext.com", id="retired, no date"),
        pytest.param(gateway("retired", ""), "Verizon closed its mail-to-text gateway", id="retired, no domain"),
        pytest.param(gateway("no_gateway", ""), "Verizon has no mail-to-text gateway", id="no gateway"),
        pytest.param(gateway(address=""), "it is not known how Verizon writes its sms addresses", id="no address"),
        pytest.param(SILENT, "it is not known how X writes its mms addresses at x.example.com", id="domain only"),
    ],
)
def test_a_gateway_is_routable_or_says_why_not(channel: Channel, why: str) -> None:
    assert carriers.routable(channel, TODAY) == why


@pytest.mark.parametrize("status", carriers.STATUSES)
def test_only_an_unverified_gateway_needs_a_confirmation(status: str) -> None:
    assert carriers.needs_confirmation(gateway(status)) is (status == "unverified")


@pytest.mark.parametrize(
    ("ends", "days", "says"),
    [
        pytest.param(date(2027, 2, 20), 0, "", id="91 days"),
        pytest.param(date(2027, 2, 19), 90, "Verizon closes vtext.com on 2027-02-19, in 90 days", id="90 days"),
        pytest.param(date(2026, 12, 21), 30, "Verizon closes vtext.com on 2026-12-21, in 30 days", id="30 days"),
        pytest.param(date(2026, 11, 28), 7, "Verizon closes vtext.com on 2026-11-28, in 7 days", id="7 days"),
        pytest.param(date(2026, 11, 22), 7, "Verizon closes vtext.com on 2026-11-22, tomorrow", id="tomorrow"),
        pytest.param(TODAY, 7, "Verizon closes vtext.com on 2026-11-21, today", id="today"),
        pytest.param(date(2026, 11, 20), 0, "", id="yesterday"),
    ],
)
def test_the_end_of_a_gateway_is_announced_90_30_and_7_days_ahead(ends: date, days: int, says: str) -> None:
    channel = gateway("retiring", ends=ends)

    assert carriers.notice(channel, TODAY) == days
    assert carriers.warning(channel, TODAY) == says


def test_a_gateway_without_a_coming_end_is_not_announced() -> None:
    assert carriers.warning(gateway("retired", ends=TODAY), TODAY) == ""
    assert carriers.warning(gateway("unverified"), TODAY) == ""


@pytest.mark.parametrize(
    ("address", "phone", "expected"),
    [
        pytest.param("{national}@vtext.com", PHONE, "2025550143@vtext.com", id="national"),
        pytest.param("{e164}@x.example.com", PHONE, "12025550143@x.example.com", id="e164"),
        pytest.param("{e164}@x.example.com", BRITISH, "442071838750@x.example.com", id="e164 elsewhere"),
        pytest.param("+{e164}.iws@x.example.com", PHONE, "+12025550143.iws@x.example.com", id="literals around it"),
        pytest.param("{national}@vtext.com", BRITISH, None, id="another plan on a national row"),
        pytest.param("", PHONE, None, id="no address"),
    ],
)
def test_an_address_is_rendered_for_the_phones_that_the_row_takes(
    address: str, phone: Phone, expected: str | None
) -> None:
    assert carriers.render(gateway(address=address), phone) == expected
