from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config import Config

Loader = Callable[..., Config]
ACCOUNT = "AC" + "0" * 32
NUMBER = '[[number]]\nname = "service"\nphone = "202-555-0100"\nprovider = "twilio"\n'
FLOWROUTE = '[flowroute]\naccess_key = "0123abcd"\nsecret_key = { env = "SET_BY_TESTS" }\n'
TWILIO = f'[twilio]\naccount_sid = "{ACCOUNT}"\nauth_token = {{ env = "SET_BY_TESTS" }}\n'


def texts(config: Config) -> list[str]:
    return [warning.text for warning in config.warnings]


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        pytest.param(
            'answer_from = ["*@example.com"]\n',
            "sender.answer_from has no effect without [smtp] listen_public, where such answers come in",
            id="answers without a door",
        ),
        pytest.param(
            NUMBER,
            "texts to customers by number 'service' are refused until [twilio] is configured",
            id="number without account",
        ),
        pytest.param(
            NUMBER.replace("twilio", "flowroute"),
            "texts to customers by number 'service' are refused until [flowroute] is configured",
            id="number without an account of its provider",
        ),
        pytest.param(TWILIO, "[twilio] is configured, but there is no [[number]] to text from", id="no number"),
        pytest.param(
            NUMBER + TWILIO + FLOWROUTE,
            "[flowroute] is configured, but there is no [[number]] to text from",
            id="no number of that account",
        ),
        pytest.param(
            '[[template]]\nname = "visit"\ntext = "See you at 5. Reply CANCEL to cancel your visit."\n',
            "template.text invites people to answer CANCEL, which is taken for a STOP: no text goes to them any more",
            id="a template that invites a keyword",
        ),
        pytest.param(
            '[[answer]]\nname = "visit"\ntext = "Text YES to confirm."\n',
            "answer.text invites people to answer YES, which is taken for a START",
            id="an answer that invites a keyword",
        ),
        pytest.param(
            '[text]\nfirst = "{text} Reply INFO for the price."\n',
            "text.first invites people to answer INFO, which is taken for a question for help",
            id="a first text that invites a keyword",
        ),
        pytest.param(
            NUMBER + 'unmonitored = "Nobody reads this. Reply END to end the call."\n' + TWILIO,
            "number.unmonitored invites people to answer END, which is taken for a STOP: no text goes to them any more",
            id="an unmonitored number that invites a keyword",
        ),
        pytest.param(
            'login = "jobs"\npassword_hash = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0$'
            'aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"\n',
            "sender.password_hash takes 64 MB of memory for each login",
            id="heavy hash",
        ),
        pytest.param(
            '[[sender]]\nname = "all"\nnetworks = ["0.0.0.0/0"]\n',
            "sender.networks: 0.0.0.0/0 lets everybody who reaches the door send texts as 'all'",
            id="everybody",
        ),
    ],
)
def test_what_the_admin_should_know_is_a_warning(loaded: Loader, tables: str, expected: str) -> None:
    assert texts(loaded(tables=tables)) == [expected]


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        pytest.param(
            '[policy]\nquiet_hours = ""\nflood_per_minute = 0\nfallback_after = "1 h"\n[replies]\nask = false\n',
            [],
            id="defaults that are written out",
        ),
        pytest.param(NUMBER + TWILIO, [], id="number and account"),
        pytest.param(NUMBER.replace("twilio", "flowroute") + FLOWROUTE, [], id="number and account of the other"),
        pytest.param(
            'vouches = true\n[replies]\nask = true\n[policy]\nquiet_hours = "20:00-08:00"\nflood_per_minute = 5\n'
            '[[rule]]\nclass = "marketing"\n[[template]]\nname = "ready"\ntext = "Ready."\n'
            '[[answer]]\nname = "closed"\ntext = "We are closed."\n',
            [],
            id="what works",
        ),
    ],
)
def test_what_changes_nothing_is_no_warning(loaded: Loader, tables: str, expected: list[str]) -> None:
    assert texts(loaded(tables=tables)) == expected


@pytest.mark.parametrize(
    ("employee", "paid", "expected"),
    [
        pytest.param('carrier = "mine"', "", [], id="a carrier that works"),
        pytest.param("", NUMBER + TWILIO, [], id="no carrier, and an account"),
        pytest.param(
            "", "", ["texts to alice are refused: neither a carrier nor a provider can bring them"], id="no way"
        ),
        pytest.param(
            'carrier = "att"', "", ["texts to alice are refused: AT&T closed txt.att.net on 2025-06-17"], id="retired"
        ),
        pytest.param(
            'carrier = "att"\nfallback = "provider"',
            NUMBER + TWILIO,
            ["texts to alice go by the paid provider: AT&T closed txt.att.net on 2025-06-17"],
            id="retired, with a fallback",
        ),
        pytest.param(
            'carrier = "ended"',
            "",
            ["texts to alice are refused: Ended closed ended.example on 2020-01-31"],
            id="ended",
        ),
        pytest.param(
            'carrier = "maybe"',
            "",
            ["texts to alice are refused until confirmed: nobody has shown that maybe.example works"],
            id="unverified",
        ),
        pytest.param(
            'carrier = "mine"\nchannel = "mms"',
            "",
            ["texts to alice are refused: Mine has no mms gateway"],
            id="no mms",
        ),
    ],
)
def test_an_employee_who_is_not_texted_by_carrier_is_a_warning(
    loaded: Loader, tmp_path: Path, employee: str, paid: str, expected: list[str]
) -> None:
    (tmp_path / "carriers.toml").write_text("""
[mine]
name = "Mine"
[mine.sms]
address = "{national}@mine.example"
status = "active"
[ended]
name = "Ended"
[ended.sms]
address = "{national}@ended.example"
status = "retiring"
ends = 2020-01-31
[maybe]
name = "Maybe"
[maybe.sms]
address = "{national}@maybe.example"
status = "unverified"
""")

    config = loaded(tables=f'{paid}[[employee]]\nname = "alice"\nphone = "202-555-0101"\n{employee}\n', public=True)

    assert texts(config) == expected


LATE = "policy.fallback_after is no shorter than expires_after: no late text to an employee falls back"


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        pytest.param('expires_after = "15 min"', [LATE], id="as long"),
        pytest.param('fallback_after = "5 h"', [LATE], id="longer"),
        pytest.param('expires_after = "16 min"', [], id="shorter"),
    ],
)
def test_a_fallback_that_comes_after_all_is_over_is_a_warning(loaded: Loader, tables: str, expected: list[str]) -> None:
    paid = f'{NUMBER}{TWILIO}[[employee]]\nname = "alice"\nphone = "202-555-0101"\ncarrier = "verizon"\n'

    assert texts(loaded(tables=f"{paid}[policy]\n{tables}\n", public=True)) == expected
    without = paid.replace(NUMBER + TWILIO, "")
    assert texts(loaded(tables=f"{without}fallback = 'none'\n[policy]\n{tables}\n", public=True)) == []


CLOSED = "bounces and answers from {} cannot come in without [smtp] listen_public"


@pytest.mark.parametrize(
    ("carriers", "expected"),
    [
        pytest.param(["att"], [], id="closed"),
        pytest.param([""], [], id="by the provider"),
        pytest.param(["verizon"], [CLOSED.format("the carrier of one0")], id="one"),
        pytest.param(["verizon", "", "verizon"], [CLOSED.format("the carriers of 2 employees")], id="several"),
    ],
)
def test_what_carriers_send_back_needs_a_way_in(loaded: Loader, carriers: list[str], expected: list[str]) -> None:
    people = "".join(
        f'[[employee]]\nname = "one{n}"\nphone = "202-555-011{n}"\n' + (f'carrier = "{name}"\n' if name else "")
        for n, name in enumerate(carriers)
    )
    found = loaded(tables=NUMBER + TWILIO + people).warnings

    assert expected == [w.text for w in found if "listen_public" in w.text]
    assert all("an MX record for sms.example.com" in w.remedy for w in found if "listen_public" in w.text)
    assert not any("listen_public" in text for text in texts(loaded(tables=NUMBER + TWILIO + people, public=True)))


def test_with_one_sender_what_carriers_send_back_goes_to_its_mailbox(loaded: Loader) -> None:
    whole = """
domain = "sms.example.com"
alarm_to = ["admin@example.com"]
[smtp]
listen = ["127.0.0.1:0"]
[relay]
host = "127.0.0.1"
tls = "off"
sender = "texts@example.com"
[[sender]]
name = "jobs"
networks = ["192.0.2.10"]
[[employee]]
name = "alice"
phone = "202-555-0111"
carrier = "verizon"
"""

    assert [] == [text for text in texts(loaded(whole=whole)) if "listen_public" in text]
