"""`gateway check --live` and `--fix` as commands, against a Twilio and a relay on loopback, and without DNS."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from daemon import Daemon, Done
from house import ACCOUNT, SHOP, House, merge, opened

from gateway.simulator.account import Account, OwnNumber, OwnService
from gateway.simulator.flowroute import Flowroute
from gateway.simulator.hooks import Hooks
from gateway.simulator.journal import Journal
from gateway.simulator.mail import Relay
from gateway.simulator.twilio import Twilio

PHONE = "+12025550100"
HOOK = "https://sms.example.com/hooks/twilio/message"
NO_DNS = '[dns]\nservers = ["255.255.255.255"]'  # the system sends nothing there: each question fails at once


@dataclass
class Owner:
    """The shop's config, its account at Twilio, and the command."""

    daemon: Daemon
    twilio: Twilio
    account: Account
    config: Any

    def write(self, differences: str = "") -> None:
        merge(self.config, tomlkit.parse(differences))
        (self.daemon.folder / "config.toml").write_text(tomlkit.dumps(self.config))

    async def check(self, *words: str) -> Done:
        done = await self.daemon.command("check", *words)
        assert "Traceback" not in done.err
        assert PHONE[2:] not in done.out + done.err
        return done


@pytest.fixture
async def owner(state: Path) -> AsyncIterator[Owner]:
    token, journal = secrets.token_hex(16), Journal()
    secret = state / "token"
    secret.touch(mode=0o600)
    secret.write_text(token)
    twilio = Twilio(journal, ACCOUNT, token, hooks=Hooks(journal, token, "https://sms.example.com", ""))
    account = Account(journal, ACCOUNT, token)
    twilio.serve(account.routes())
    async with twilio, Relay(journal) as relay:
        owner = Owner(Daemon(state), twilio, account, tomlkit.parse(SHOP.read_text()))
        owner.write(f'[twilio]\napi_url = "{twilio.url}"\n[relay]\nport = {relay.port}\n{NO_DNS}')
        yield owner
    assert journal.surprises == []


def registered(owner: Owner, **values: str) -> OwnNumber:
    """The shop's number with a campaign; its messaging service defers to the number."""
    service = OwnService(use_webhook_on_number=True, campaign="VERIFIED")
    owner.config["number"][0]["messaging_service_sid"] = service.sid
    owner.write()
    return owner.account.add(OwnNumber(phone=PHONE, **values), service)


def of_numbers(done: Done) -> list[dict[str, Any]]:
    """The findings that are not about mail."""
    return [row for row in done.rows if row["number"] or row["what"] in ("account", "unreachable", "changed")]


async def test_all_well_is_exit_0(owner: Owner) -> None:
    registered(owner, sms_url=HOOK)

    done = await owner.check("--live")

    assert done.code == 0, done
    assert [line.split()[0] for line in done.out.splitlines()[:5]] == ["ok"] * 5
    assert "ok       127.0.0.1:" in done.out
    assert owner.account.changes == []


async def test_a_webhook_elsewhere_is_exit_1_until_fix_sets_it(owner: Owner) -> None:
    own = registered(owner, sms_url="https://other.example/hook?key=secret", sms_fallback_url="https://spare.example/")

    wrong = await owner.check("--live", "--json")
    told = await owner.check("--live")
    fixed = await owner.check("--fix")
    after = await owner.check("--live", "--fix", "--json")

    assert (wrong.code, told.code, fixed.code, after.code) == (1, 1, 0, 0), (wrong, fixed, after)
    assert [row["what"] for row in wrong.rows if row["fixable"]] == ["webhook"]
    assert set(wrong.rows[0]) == {"number", "level", "what", "text", "remedy", "fixable"}
    assert "= help: gateway check --fix sets it" in told.out
    assert "secret" not in told.out + fixed.out
    assert fixed.out.startswith("changed  service: ")
    assert "it was other.example" in fixed.out
    assert {row["level"] for row in of_numbers(after)} == {"ok"}
    assert [row for row in after.rows if row["what"] == "changed"] == []
    assert owner.account.changes == [(own.sid, {"SmsUrl": HOOK, "SmsMethod": "POST"})]
    assert own.sms_fallback_url == "https://spare.example/"


async def test_two_numbers_of_one_service_are_fixed_by_one_change(owner: Owner) -> None:
    service = OwnService(campaign="VERIFIED")
    for name, phone in (("service", PHONE), ("sales", "+12025550101")):
        owner.account.add(OwnNumber(phone=phone), service)
        number = {"name": name, "phone": phone, "provider": "twilio", "messaging_service_sid": service.sid}
        owner.config["number"] = [*(n for n in owner.config["number"] if n["name"] != name), number]
    owner.write()

    fixed = await owner.check("--fix", "--json")

    assert fixed.code == 0, fixed
    assert [row["number"] for row in fixed.rows if row["what"] == "changed"] == ["service"]
    assert owner.account.changes == [(service.sid, {"InboundRequestUrl": HOOK, "InboundMethod": "POST"})]


async def test_what_fix_cannot_set_right_stays_exit_1_with_the_code_and_a_remedy(owner: Owner) -> None:
    registered(owner)
    next(iter(owner.account.services.values())).campaign = "FAILED"

    done = await owner.check("--fix")

    assert done.code == 1
    assert "30034" in done.out
    assert done.out.splitlines()[-1].startswith("1 error, ")


async def test_an_unverified_toll_free_number_is_exit_1_and_one_in_review_exit_0(owner: Owner) -> None:
    free = owner.account.add(OwnNumber(phone="+18335550100", sms_url=HOOK))
    owner.config["number"][0]["phone"] = free.phone
    owner.write()

    unverified = await owner.check("--live")
    free.verification = "IN_REVIEW"
    reviewed = await owner.check("--live")

    assert (unverified.code, reviewed.code) == (1, 0)
    assert "30032" in unverified.out
    assert "warning  service: the toll-free number is being reviewed" in reviewed.out


async def test_fix_leads_no_webhook_to_an_address_that_nobody_serves(owner: Owner) -> None:
    own = registered(owner, sms_url="https://other.example/hook")
    owner.write('[http]\npublic = ""')

    elsewhere = await owner.check("--fix", "--json")
    own.sms_url = HOOK
    here = await owner.check("--live", "--json")
    told = {row["what"]: row for row in elsewhere.rows}

    assert (elsewhere.code, here.code) == (1, 0), (elsewhere, here)
    assert "http.public is off" in told["webhook"]["remedy"]
    assert not told["webhook"]["fixable"]
    assert [row["level"] for row in here.rows if row["what"] == "webhook"] == ["warning"]
    assert owner.account.changes == []


async def test_numbers_of_flowroute_are_asked_for_there_and_what_was_not_asked_is_said(owner: Owner) -> None:
    registered(owner, sms_url=HOOK)
    journal = Journal()
    (owner.daemon.folder / "flowroute").touch(mode=0o600)
    (owner.daemon.folder / "flowroute").write_text("key-of-flowroute-for-tests")
    async with Flowroute(journal, "8d1f0c5b", "key-of-flowroute-for-tests") as flowroute:
        owner.config["number"].append({"name": "spare", "phone": "+12025550109", "provider": "flowroute"})
        secret = '{ file = "flowroute" }'
        keys = f'access_key = "8d1f0c5b"\nsecret_key = {secret}\nhook_secret = {secret}'
        owner.write(f'[flowroute]\n{keys}\napi_url = "{flowroute.url}"')
        done = await owner.check("--live", "--json")
        (owner.daemon.folder / "flowroute").write_text("another-key-of-flowroute")
        refused = await owner.check("--live", "--json")
    told = {row["what"]: row for row in done.rows if row["number"] == "spare"}

    assert done.code == 0, done
    assert ("ok", "account") in [(row["level"], row["what"]) for row in done.rows if "Flowroute" in row["text"]]
    assert {what: row["level"] for what, row in told.items()} == dict.fromkeys(
        ("ours", "webhook", "registration"), "warning"
    )
    assert "key-of-flowroute" not in done.out
    assert refused.code == 1
    assert any("compare flowroute.access_key" in row["remedy"] for row in refused.rows)


async def test_a_wrong_token_is_a_sentence_and_exit_1(owner: Owner) -> None:
    registered(owner, sms_url=HOOK)
    (owner.daemon.folder / "token").write_text("another token, of thirty-two bytes")

    done = await owner.check("--live", "--json")

    assert (done.code, [row["what"] for row in of_numbers(done)]) == (1, ["account"])
    assert "another token" not in done.out + done.err


async def test_a_twilio_out_of_reach_is_exit_69(owner: Owner) -> None:
    owner.write('[twilio]\napi_url = "http://127.0.0.1:1"')

    done = await owner.check("--live")

    assert done.code == 69
    assert "cannot be reached" in done.out


async def test_a_bad_configuration_is_exit_78_and_nobody_is_asked(owner: Owner) -> None:
    registered(owner, sms_url="https://other.example/")
    owner.write("[smtp]\nlisten = 25")

    done = await owner.check("--fix")

    assert done.code == 78
    assert "smtp.listen" in done.err
    assert owner.account.asked == []


async def test_check_alone_asks_twilio_nothing(owner: Owner) -> None:
    owner.config["employee"] = []
    owner.write()

    done = await owner.check()

    assert done.code == 0, done
    assert owner.account.asked == []


async def hand_back(house: House) -> None:
    """Does what the relay of a shop does with mail for the gateway's own domain."""
    (mail,) = await house.world.wait(lambda world: [m for m in world.mails if m.is_for("@sms.example.com")])
    to = [recipient.address for recipient in mail.rcpt_to]
    assert (await house.daemon.mail(mail.raw, mail.mail_from, to, door="smtp_public"))[-1].startswith("250")


async def test_a_mail_to_ourselves_that_comes_back_shows_that_bounces_do(state: Path) -> None:
    async with opened(state, f'[smtp]\nlisten_public = ["127.0.0.1:0"]\n{NO_DNS}') as house:
        await house.start()
        done, _ = await asyncio.gather(house.daemon.command("check", "--bounce", "--json"), hand_back(house))
        (told,) = [row for row in done.rows if row["what"] == "bounce"]

        assert told["level"] == "ok", done
        assert "came back to us from 127.0.0.1" in told["text"]
        assert len(house.world.mails) == 1
        await house.daemon.stop()


async def test_a_mail_to_ourselves_that_the_relay_refuses_is_an_error_with_its_words(state: Path) -> None:
    async with opened(state, f'[smtp]\nlisten_public = ["127.0.0.1:0"]\n{NO_DNS}') as house:
        house.world.mail.faults.add("550")
        await house.start()
        done = await house.daemon.command("check", "--bounce", "--json")
        (told,) = [row for row in done.rows if row["what"] == "bounce"]

        assert (done.code, told["level"]) == (1, "error"), done
        assert "was not handed over" in told["text"]
        assert "550" in told["text"]


async def test_without_a_daemon_nobody_can_take_in_what_comes_back(owner: Owner) -> None:
    registered(owner, sms_url=HOOK)

    done = await owner.check("--bounce")

    assert done.code == 69
    assert "no daemon answers" in done.out
