"""What is said of our account at Flowroute, for every answer that it may give."""

from __future__ import annotations

import socket
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from gateway.core.model import Phone
from gateway.core.rules import Number
from gateway.courier.flowroute_account import FlowrouteAccount
from gateway.courier.session import Timeouts
from gateway.courier.twilio_finding import Finding

KEY, SECRET = "8d1f0c5b", "a secret key that only tests know"
PUBLIC = "https://sms.example.com"
NUMBER = Number(name="spare", phone=Phone("+12025550109"), provider="flowroute")
QUICK = Timeouts(connect=1.0, read=1.0, total=2.0)


@dataclass
class Flowroute:
    """The numbers and messages of an account; `refuse` answers a path with that status."""

    numbers: list[str] = field(default_factory=lambda: ["12025550109", "120255501090"])
    refuse: dict[str, int] = field(default_factory=dict)
    own: bool = True  # the refusal is Flowroute's, not a proxy's
    asked: list[tuple[str, str]] = field(default_factory=list)
    api: FlowrouteAccount = field(init=False)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.path))
        login = "Basic " + b64encode(f"{KEY}:{SECRET}".encode()).decode()
        status = self.refuse.get(request.path, 200 if request.headers["Authorization"] == login else 403)
        if status != 200:
            errors = {"errors": [{"title": "Forbidden", "detail": "no access to 12025550109"}]}
            return web.json_response(errors if self.own else {}, status=status)
        starts = request.query.get("starts_with", "none")
        found = [each for each in self.numbers if each.startswith(starts)]
        rows = [{"type": "number", "id": each, "attributes": {"value": each}} for each in found]
        return web.json_response({"data": rows})

    async def found(self, public_url: str = PUBLIC) -> dict[str, Finding]:
        """The findings by what they are about."""
        return {finding.what: finding for finding in await self.api.look([NUMBER], public_url)}


@pytest.fixture
async def flowroute() -> AsyncIterator[Flowroute]:
    made = Flowroute()
    app = web.Application()
    app.router.add_get("/{any:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    made.api = FlowrouteAccount(access_key=KEY, secret_key=SECRET, api_url=url, timeouts=QUICK)
    yield made
    await made.api.close()
    await runner.cleanup()


async def test_what_was_asked_is_ok_and_what_was_not_is_a_warning(flowroute: Flowroute) -> None:
    found = await flowroute.found()

    assert {what: finding.level for what, finding in found.items()} == {
        "account": "ok",
        "ours": "ok",
        "webhook": "warning",
        "registration": "warning",
    }
    assert all("not asked" in found[what].text for what in ("webhook", "registration"))
    assert flowroute.asked == [("GET", "/v2.2/messages"), ("GET", "/v2/numbers")]


async def test_without_public_url_texts_are_polled_and_that_is_well(flowroute: Flowroute) -> None:
    assert (await flowroute.found(""))["webhook"].level == "ok"


async def test_a_number_that_the_account_does_not_have_is_an_error(flowroute: Flowroute) -> None:
    flowroute.numbers = ["120255501090"]

    assert (await flowroute.found())["ours"].level == "error"


@pytest.mark.parametrize("own", [True, False])
async def test_a_list_of_numbers_that_cannot_be_had_says_nothing_of_the_number(flowroute: Flowroute, own: bool) -> None:
    flowroute.refuse, flowroute.own = {"/v2/numbers": 404}, own
    found = (await flowroute.found())["ours"]

    assert found.level == "warning"
    assert "is not known: Flowroute answered 404" in found.text


async def test_keys_that_are_not_taken_are_an_error_without_numbers_and_end_the_questions(flowroute: Flowroute) -> None:
    flowroute.refuse = {"/v2.2/messages": 403}
    found = await flowroute.found()

    assert [(each.what, each.level) for each in found.values()] == [("account", "error")]
    assert "does not take the keys" in found["account"].text
    assert "2025550109" not in found["account"].text


async def test_a_no_of_something_before_flowroute_is_no_word_on_the_keys(flowroute: Flowroute) -> None:
    flowroute.refuse, flowroute.own = {"/v2.2/messages": 403}, False

    assert list(await flowroute.found()) == ["unreachable"]


async def test_a_flowroute_out_of_reach_is_a_finding() -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        gone = f"http://127.0.0.1:{bound.getsockname()[1]}"
    api = FlowrouteAccount(access_key=KEY, secret_key=SECRET, api_url=gone, timeouts=QUICK)
    (found,) = await api.look([NUMBER], PUBLIC)
    await api.close()

    assert (found.what, found.level) == ("unreachable", "error")
