"""What Lookup v2 says of a phone: line, network and name, or why it says nothing."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from aiohttp import web

from gateway.core.model import Phone
from gateway.courier.session import Timeouts
from gateway.courier.twilio_lookup import LOOKUPS_URL, Line, NoLine, TwilioLookup
from gateway.simulator.hooks import Hooks
from gateway.simulator.journal import Journal
from gateway.simulator.lookup import KnownLine, Lookups
from gateway.simulator.twilio import Twilio

ACCOUNT = "AC" + "0123456789abcdef" * 2
TOKEN = "8d1f0c5b"
PHONE = Phone("+12025550143")
QUICK = Timeouts(connect=1.0, read=2.0, total=3.0)


@dataclass
class Desk:
    """The simulated look-ups, and our way to them."""

    lookups: Lookups
    api: TwilioLookup
    url: str

    async def said(self, line: KnownLine) -> Line | NoLine:
        self.lookups.lines[PHONE] = line
        return await self.api.line(PHONE)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    journal = Journal()
    twilio = Twilio(journal, ACCOUNT, TOKEN, hooks=Hooks(journal, TOKEN, "https://sms.example.com", ""))
    lookups = Lookups(journal, ACCOUNT, TOKEN)
    twilio.serve(lookups.routes())
    async with twilio:
        api = TwilioLookup(ACCOUNT, TOKEN, twilio.url, timeouts=QUICK)
        yield Desk(lookups, api, twilio.url)
        await api.close()
    assert journal.surprises == []


async def test_a_mobile_has_a_network_and_a_name(desk: Desk) -> None:
    said = await desk.said(KnownLine(code="310-260", name="T-Mobile  USA, Inc."))

    assert said == Line(kind="mobile", code="310-260", name="T-Mobile USA, Inc.")
    assert desk.lookups.asked == [PHONE]


async def test_a_network_code_keeps_its_zeros(desk: Desk) -> None:
    assert await desk.said(KnownLine(code="310-030")) == Line(kind="mobile", code="310-030")


@pytest.mark.parametrize("kind", ["landline", "fixedVoip", "nonFixedVoip", "tollFree"])
async def test_other_lines_have_a_kind_alone(desk: Desk, kind: str) -> None:
    said = await desk.said(KnownLine(kind=kind, name="Bandwidth/13 - Bandwidth.com - SVR"))

    assert said == Line(kind=kind, name="Bandwidth/13 - Bandwidth.com - SVR")


async def test_a_line_that_twilio_does_not_know_has_no_kind(desk: Desk) -> None:
    assert await desk.api.line(PHONE) == Line(kind="")


@pytest.mark.parametrize(
    ("code", "words"),
    [(60601, "Canadian carriers only after an approval"), (60606, "may not look up line types"), (60600, "60600")],
)
async def test_what_twilio_refuses_is_said_in_plain_words_wherever_the_code_stands(
    desk: Desk, code: int, words: str
) -> None:
    inside = await desk.said(KnownLine(kind=None, error_code=code))
    desk.lookups.refuse = code
    outside = await desk.api.line(PHONE)

    for said in (inside, outside):
        assert isinstance(said, NoLine)
        assert said.what == "refused"
        assert words in said.text
        assert str(code) in said.text


async def test_a_number_that_cannot_exist_is_refused(desk: Desk) -> None:
    said = await desk.said(KnownLine(valid=False))

    assert isinstance(said, NoLine)
    assert (said.what, said.remedy) == ("refused", "look whether it is written right")


async def test_a_wrong_token_is_refused(desk: Desk) -> None:
    other = TwilioLookup(ACCOUNT, "not the token", desk.url, timeouts=QUICK)

    said = await other.line(PHONE)
    await other.close()

    assert isinstance(said, NoLine)
    assert said.what == "refused"
    assert "20003" in said.text


@pytest.mark.parametrize("code", [20429, 20503])
async def test_a_busy_twilio_is_out_of_reach(desk: Desk, code: int) -> None:
    desk.lookups.refuse = code

    said = await desk.api.line(PHONE)

    assert isinstance(said, NoLine)
    assert said.what == "unreachable"


async def test_nobody_there_is_out_of_reach_and_names_no_phone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    api = TwilioLookup(ACCOUNT, TOKEN, f"http://127.0.0.1:{port}", timeouts=QUICK)

    said = await api.line(PHONE)
    await api.close()

    assert isinstance(said, NoLine)
    assert said.what == "unreachable"
    assert "cannot be reached" in said.text
    assert PHONE[2:] not in said.text


async def answered(text: str) -> Line | NoLine:
    """What is made of an answer with 200 and these words."""

    async def strange(_request: web.Request) -> web.Response:
        return web.Response(text=text, content_type="application/json")

    app = web.Application()
    app.router.add_get("/{any:.*}", strange)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api = TwilioLookup(ACCOUNT, TOKEN, f"http://127.0.0.1:{runner.addresses[0][1]}", timeouts=QUICK)
    try:
        return await api.line(PHONE)
    finally:
        await api.close()
        await runner.cleanup()


async def test_an_answer_without_the_package_is_a_refusal_with_its_remedy() -> None:
    said = await answered('{"valid": true, "line_type_intelligence": null}')

    assert isinstance(said, NoLine)
    assert said.what == "refused"
    assert "turn on" in said.remedy


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("{", id="no-json"),
        pytest.param("[]", id="a-list"),
        pytest.param('{"valid": true, "line_type_intelligence": "mobile"}', id="a-word-for-an-object"),
    ],
)
async def test_an_answer_that_makes_no_sense_is_out_of_reach(answer: str) -> None:
    said = await answered(answer)

    assert isinstance(said, NoLine)
    assert said.what == "unreachable"


def test_away_from_loopback_the_question_goes_to_the_host_of_look_ups() -> None:
    assert TwilioLookup(ACCOUNT, TOKEN)._client.lookups.base_url == LOOKUPS_URL
