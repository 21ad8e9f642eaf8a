"""What is said of our account at Twilio, for every state of it; and what `point` changes there."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
from aiohttp import web

from gateway.core.model import Phone
from gateway.core.rules import Number
from gateway.courier.session import Timeouts
from gateway.courier.twilio_account import TwilioAccount
from gateway.courier.twilio_finding import Finding
from gateway.simulator.account import Account, OwnNumber, OwnService
from gateway.simulator.hooks import Hooks
from gateway.simulator.journal import Journal
from gateway.simulator.twilio import Twilio

ACCOUNT = "AC" + "0123456789abcdef" * 2
TOKEN = "8d1f0c5b"
PUBLIC = "https://sms.example.com"
HOOK = f"{PUBLIC}/hooks/twilio/message"
LOCAL = Number(name="service", phone=Phone("+12025550100"), provider="twilio")
FREE = Number(name="free", phone=Phone("+18335550100"), provider="twilio")
QUICK = Timeouts(connect=1.0, read=2.0, total=3.0)


@dataclass
class Owner:
    """The simulated account, and our view of it."""

    account: Account
    api: TwilioAccount
    journal: Journal

    async def found(self, number: Number, public_url: str = PUBLIC) -> dict[str, Finding]:
        """The findings by what they are about."""
        return {finding.what: finding for finding in await self.api.look([number], public_url)}


@pytest.fixture
async def owner() -> AsyncIterator[Owner]:
    journal = Journal()
    twilio = Twilio(journal, ACCOUNT, TOKEN, hooks=Hooks(journal, TOKEN, PUBLIC, ""))
    account = Account(journal, ACCOUNT, TOKEN)
    twilio.serve(account.routes())
    async with twilio:
        api = TwilioAccount(ACCOUNT, TOKEN, twilio.url, timeouts=QUICK)
        yield Owner(account, api, journal)
        await api.close()
    assert journal.surprises == []


def in_service(owner: Owner, **values: object) -> tuple[Number, OwnNumber, OwnService]:
    """A number of ours that leads to us, in a messaging service with these values."""
    service = OwnService(use_webhook_on_number=True, campaign="VERIFIED")
    for name, value in values.items():
        setattr(service, name, value)
    own = owner.account.add(OwnNumber(phone=LOCAL.phone, sms_url=HOOK), service)
    return replace(LOCAL, messaging_service_sid=service.sid), own, service


async def test_a_registered_number_that_leads_to_us_is_all_well(owner: Owner) -> None:
    number, _, _ = in_service(owner)

    found = await owner.found(number)

    assert {what: finding.level for what, finding in found.items()} == dict.fromkeys(
        ["account", "ours", "service", "webhook", "registration"], "ok"
    )
    assert all(not finding.remedy and not finding.fixable for finding in found.values())


async def test_a_wrong_token_is_one_finding(owner: Owner) -> None:
    number, _, _ = in_service(owner)
    other = TwilioAccount(ACCOUNT, "not the token", owner.api._client.api.base_url)

    (finding,) = await other.look([number, FREE], PUBLIC)
    await other.close()

    assert (finding.number, finding.level, finding.what) == ("", "error", "account")
    assert "20003" in finding.text
    assert "auth_token" in finding.remedy


@pytest.mark.parametrize(
    ("status", "kind", "level"),
    [("suspended", "Full", "error"), ("closed", "Full", "error"), ("active", "Trial", "warning")],
)
async def test_an_account_that_texts_nobody_or_not_everybody_is_told(
    owner: Owner, status: str, kind: str, level: str
) -> None:
    number, _, _ = in_service(owner)
    owner.account.status, owner.account.kind = status, kind

    found = await owner.found(number)

    assert found["account"].level == level
    assert ("ours" in found) == (level == "warning"), "nothing more is asked of an account that cannot be used"


async def test_a_number_of_somebody_else_is_an_error_and_a_part_of_another_number_is_not_ours(owner: Owner) -> None:
    owner.account.add(OwnNumber(phone=f"{LOCAL.phone}9"))

    found = await owner.found(LOCAL)

    assert set(found) == {"account", "ours"}
    assert found["ours"].level == "error"
    assert "does not belong" in found["ours"].text


async def test_a_number_that_cannot_text_is_an_error(owner: Owner) -> None:
    owner.account.add(OwnNumber(phone=LOCAL.phone, can_text=False))

    assert (await owner.found(LOCAL))["ours"].level == "error"


@pytest.mark.parametrize(("mms", "level"), [(True, "warning"), (False, "ok")])
async def test_a_number_that_takes_no_pictures_is_a_warning_where_it_should_send_them(
    owner: Owner, mms: bool, level: str
) -> None:
    owner.account.add(OwnNumber(phone=LOCAL.phone, can_picture=False))

    assert (await owner.found(replace(LOCAL, mms=mms)))["ours"].level == level


@pytest.mark.parametrize(
    ("own", "level", "fixable", "says"),
    [
        pytest.param({"sms_url": HOOK}, "ok", False, HOOK, id="ours"),
        pytest.param({"sms_url": f"{HOOK}#rc=2&rp=all"}, "ok", False, HOOK, id="ours-with-retries"),
        pytest.param({"sms_url": ""}, "error", True, "empty", id="none"),
        pytest.param({"sms_url": "https://x:y@other.example/a?k=1"}, "error", True, "is other.example and", id="other"),
        pytest.param({"sms_url": f"{HOOK}/"}, "error", True, "is sms.example.com and not", id="another-path"),
        pytest.param({"sms_url": HOOK, "sms_method": "GET"}, "error", True, "by GET", id="by-get"),
        pytest.param({"sms_url": HOOK, "application_sid": "AP" + "0" * 32}, "error", False, "TwiML App", id="app"),
    ],
)
async def test_texts_to_a_number_come_to_us_or_it_is_told_where_they_go(
    owner: Owner, own: dict[str, str], level: str, fixable: bool, says: str
) -> None:
    owner.account.add(OwnNumber(phone=LOCAL.phone, **own))

    finding = (await owner.found(LOCAL))["webhook"]

    assert (finding.level, finding.fixable) == (level, fixable)
    assert says in finding.text
    assert bool(finding.remedy) == (level != "ok")


@pytest.mark.parametrize(
    ("own", "level"),
    [
        pytest.param({}, "ok", id="nobody-else"),
        pytest.param({"sms_url": "https://other.example/"}, "warning", id="somebody-else-may-answer"),
        pytest.param({"application_sid": "AP" + "0" * 32}, "warning", id="an-app-may-answer"),
    ],
)
async def test_without_a_public_url_texts_are_polled(owner: Owner, own: dict[str, str], level: str) -> None:
    owner.account.add(OwnNumber(phone=LOCAL.phone, **own))

    finding = (await owner.found(LOCAL, ""))["webhook"]

    assert (finding.level, finding.fixable) == (level, False)
    assert "polled" in finding.text


@pytest.mark.parametrize(
    ("values", "public_url", "level", "says"),
    [
        pytest.param({"inbound_url": HOOK}, PUBLIC, "ok", HOOK, id="ours"),
        pytest.param({"inbound_url": "https://other.example/"}, PUBLIC, "error", "its messaging service", id="other"),
        pytest.param({"inbound_url": HOOK, "inbound_method": "GET"}, PUBLIC, "error", "GET", id="by-get"),
        pytest.param({"inbound_url": None}, PUBLIC, "error", "drops", id="dropped"),
        pytest.param({"inbound_url": None}, "", "error", "cannot be polled", id="dropped-and-polled"),
    ],
)
async def test_the_address_of_the_service_counts_unless_it_defers_to_the_number(
    owner: Owner, values: dict[str, str], public_url: str, level: str, says: str
) -> None:
    number, _, _ = in_service(owner, use_webhook_on_number=False, **values)

    finding = (await owner.found(number, public_url))["webhook"]

    assert (finding.level, finding.fixable) == (level, level == "error" and bool(public_url))
    assert says in finding.text


async def test_a_service_without_the_number_covers_nothing_and_the_numbers_own_webhook_counts(owner: Owner) -> None:
    number, _, service = in_service(owner, use_webhook_on_number=False)
    service.phones.clear()

    found = await owner.found(number)

    assert found["service"].level == "error"
    assert "21712" in found["service"].text
    assert found["webhook"].level == "ok"
    assert "registration" not in found


async def test_a_service_that_does_not_exist_is_an_error(owner: Owner) -> None:
    owner.account.add(OwnNumber(phone=LOCAL.phone, sms_url=HOOK))

    found = await owner.found(replace(LOCAL, messaging_service_sid="MG" + "0" * 32))

    assert (found["service"].level, "messaging_service_sid" in found["service"].remedy) == ("error", True)


@pytest.mark.parametrize(
    ("status", "level", "says"),
    [
        ("TWILIO_APPROVED", "ok", "verified"),
        ("PENDING_REVIEW", "warning", "30032"),
        ("IN_REVIEW", "warning", "30032"),
        ("TWILIO_REJECTED", "error", "30032; the reason given: the website is missing"),
        ("", "error", "30032"),
        ("SOMETHING", "warning", "SOMETHING"),
    ],
)
async def test_a_toll_free_number_is_as_good_as_its_verification(
    owner: Owner, status: str, level: str, says: str
) -> None:
    own = OwnNumber(phone=FREE.phone, sms_url=HOOK, verification=status, rejection="the website\x1b[31m\nis missing")
    owner.account.add(own)
    owner.account.add(OwnNumber(phone="+18885550100", verification="TWILIO_APPROVED"))

    finding = (await owner.found(FREE))["registration"]

    assert finding.level == level
    assert says in finding.text.replace("[31m", "")
    assert finding.text.isprintable()


@pytest.mark.parametrize(
    ("status", "level", "says"),
    [
        ("VERIFIED", "ok", "verified"),
        ("IN_PROGRESS", "warning", "30034"),
        ("FAILED", "error", "30034; the reason given: 30886, 30897"),
        ("", "error", "30034"),
        ("SUSPENDED", "warning", "SUSPENDED"),
    ],
)
async def test_a_local_number_is_as_good_as_the_campaign_of_its_service(
    owner: Owner, status: str, level: str, says: str
) -> None:
    number, _, _ = in_service(owner, campaign=status, campaign_errors=(30886, 30897, 30886))

    finding = (await owner.found(number))["registration"]

    assert finding.level == level
    assert says in finding.text


async def test_a_number_without_a_service_is_told_that_campaigns_hang_on_services(owner: Owner) -> None:
    owner.account.add(OwnNumber(phone=LOCAL.phone, sms_url=HOOK))

    finding = (await owner.found(LOCAL))["registration"]

    assert finding.level == "warning"
    assert "30034" in finding.text
    assert "messaging_service_sid" in finding.remedy


async def test_a_canadian_number_without_a_campaign_is_a_warning_because_it_may_text_canada(owner: Owner) -> None:
    service = OwnService(use_webhook_on_number=True)
    canadian = Number(name="north", phone=Phone("+14165550100"), provider="twilio", messaging_service_sid=service.sid)
    owner.account.add(OwnNumber(phone=canadian.phone, sms_url=HOOK), service)

    finding = (await owner.found(canadian))["registration"]

    assert (finding.level, "US phones" in finding.text) == ("warning", True)


async def test_what_may_not_be_read_of_one_number_does_not_hide_the_next(owner: Owner) -> None:
    number, _, _ = in_service(owner)
    owner.account.add(OwnNumber(phone=FREE.phone, sms_url=HOOK, verification="TWILIO_APPROVED"))
    owner.account.refuse["/Compliance/"] = 20003

    found = await owner.api.look([number, FREE], PUBLIC)

    assert [(f.number, f.what) for f in found if f.level == "error"] == [("service", "refused")]
    assert ("free", "registration", "ok") in [(f.number, f.what, f.level) for f in found]


@pytest.mark.parametrize("code", [429, 500, 503])
async def test_an_answer_that_says_nothing_ends_the_questions(owner: Owner, code: int) -> None:
    number, _, _ = in_service(owner)
    owner.account.refuse["/IncomingPhoneNumbers"] = code

    found = await owner.api.look([number, FREE], PUBLIC)

    assert [(f.number, f.what) for f in found] == [("", "account"), ("service", "unreachable")]


async def test_a_twilio_that_nobody_reaches_is_one_finding() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        api = TwilioAccount(ACCOUNT, TOKEN, f"http://127.0.0.1:{closed.getsockname()[1]}", timeouts=QUICK)
        (finding,) = await api.look([LOCAL], PUBLIC)
        changed = await api.point(LOCAL, PUBLIC)
        await api.close()

    assert (finding.what, finding.level) == ("unreachable", "error")
    assert changed is not None
    assert (changed.what, changed.number) == ("unreachable", "service")


@pytest.mark.parametrize(
    ("body", "status"),
    [("<html>404</html>", 404), ("[]", 200), ("<html>hello</html>", 200)],
    ids=["404-of-a-proxy", "no-object", "a-page"],
)
async def test_an_answer_that_is_not_twilios_proves_nothing(body: str, status: int) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=body, status=status, content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    api = TwilioAccount(ACCOUNT, TOKEN, f"http://127.0.0.1:{runner.addresses[0][1]}", timeouts=QUICK)
    (finding,) = await api.look([LOCAL], PUBLIC)
    await api.close()
    await runner.cleanup()

    assert finding.what == "unreachable"


async def test_point_sets_the_webhook_of_the_number_and_leaves_the_fallback(owner: Owner) -> None:
    own = owner.account.add(
        OwnNumber(
            phone=LOCAL.phone, sms_url="https://other.example/x?secret=1", sms_fallback_url="https://spare.example/"
        )
    )

    changed = await owner.api.point(LOCAL, PUBLIC)
    again = await owner.api.point(LOCAL, PUBLIC)

    assert changed is not None
    assert (changed.number, changed.level, changed.what) == ("service", "ok", "changed")
    assert "it was other.example" in changed.text
    assert again is None
    assert owner.account.changes == [(own.sid, {"SmsUrl": HOOK, "SmsMethod": "POST"})]
    assert own.sms_fallback_url == "https://spare.example/"
    assert (await owner.found(LOCAL))["webhook"].level == "ok"


async def test_point_sets_the_address_of_the_service_where_that_one_counts(owner: Owner) -> None:
    number, own, service = in_service(owner, use_webhook_on_number=False)
    own.sms_url = "https://other.example/"

    changed = await owner.api.point(number, PUBLIC)

    assert changed is not None
    assert "its messaging service" in changed.text
    assert owner.account.changes == [(service.sid, {"InboundRequestUrl": HOOK, "InboundMethod": "POST"})]
    assert own.sms_url == "https://other.example/"
    assert (await owner.found(number))["webhook"].level == "ok"


async def test_point_changes_nothing_without_a_public_url_beside_an_app_or_of_somebody_elses_number(
    owner: Owner,
) -> None:
    nobodys = await owner.api.point(LOCAL, PUBLIC)
    owner.account.add(OwnNumber(phone=LOCAL.phone))
    polled = await owner.api.point(LOCAL, "")
    owner.account.numbers[LOCAL.phone].application_sid = "AP" + "0" * 32
    app = await owner.api.point(LOCAL, PUBLIC)

    assert (nobodys, polled, app) == (None, None, None)
    assert owner.account.changes == []


async def test_no_finding_names_a_phone(owner: Owner) -> None:
    number, _, _ = in_service(owner, campaign="")

    found = [*await owner.api.look([number, FREE], PUBLIC), await owner.api.point(number, PUBLIC)]

    assert not any(phone[-10:] in repr(found) for phone in (LOCAL.phone, FREE.phone))


def test_only_an_address_on_loopback_stands_for_all_of_twilio() -> None:
    def messaging(url: str) -> str:
        base: str = TwilioAccount(ACCOUNT, TOKEN, url)._client.messaging.base_url
        return base

    assert messaging("http://127.0.0.1:4010/") == "http://127.0.0.1:4010"
    assert messaging("http://localhost:4010") == "http://localhost:4010"
    assert messaging("http://[::1]:4010") == "http://[::1]:4010"
    assert messaging("https://api.twilio.com") == "https://messaging.twilio.com"
    assert messaging("https://twilio.proxy.example") == "https://messaging.twilio.com"
