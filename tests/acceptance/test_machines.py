"""Mail of machines: bounces, holidays, robots that answer everything."""

from __future__ import annotations

import asyncio
import re
from collections import Counter

import pytest
from cases import Open, Seen, case
from house import House
from letters import HEAD, MAILS, PUBLIC, became, dropped
from machines import corpus
from rig import (
    ANN,
    JOBS,
    OURS,
    VOUCHED,
    events,
    send,
    texted,
    texts_out,
)

from gateway.simulator.journal import Mailed


@case(47, "null sender, Auto-Submitted, reports, out of office", "never texted on the paid route, >= 98 % classified")
async def test_words_of_machines_at_a_conversation_are_never_texted(open_shop: Open, seen: Seen) -> None:
    house = await open_shop(VOUCHED)
    await house.start()
    talk = await _talk(house)
    mails = corpus()
    answers = [(await house.daemon.mail(mail.raw, mail.mail_from, [talk]))[0] for mail in mails]
    for answer in answers:
        if answer.startswith("250"):
            await became(house, answer)
    human = await dropped(house, HEAD + b"Message-ID: <h@x.example>\r\n\r\nIt is 120 dollars.\r\n", talk)
    await became(house, human)
    await texted(house, "120 dollars", ANN)

    ignored = {event["inbound"] for event in events(house, "inbound.ignored")}
    taken = [answer.startswith("250") and answer.rpartition(" ")[2] not in ignored for answer in answers]
    passed = [mail.name for mail, one in zip(mails, taken, strict=True) if one]
    signs = [mail.name for mail in mails if any(f"answer {mail.number}." in body for body in texts_out(house, ANN))]
    known = 1 - len(passed) / len(mails)
    seen(f"{len(mails)} mails of {len({m.name for m in mails})} machines, {known:.1%} known; not: {passed}; texted: "
         f"{signs or 'none'}; a person's words were")  # fmt: skip
    assert len(mails) >= 50
    assert known >= 0.98
    # What bears no sign at all is texted like a person's words, once: no reader of it can know.
    assert ["bare, without a sign"] == passed == signs


async def _talk(house: House) -> str:
    """The r- address of a conversation in which Ann has written."""
    assert (await send(house, "ready", ANN[1:])).startswith("250")
    await texted(house, "ready", ANN)
    assert await house.world.customer_texts(ANN, OURS, "How much?") == 200
    reply = await house.world.wait(lambda w: next((m for m in w.mail.to(JOBS) if "How much" in m.text), None), 20)
    assert reply is not None
    found = re.search(r"r-[a-z2-7]+@sms\.example\.com", str(reply.message["Reply-To"]))
    assert found is not None
    return found[0]


@case(47, "mails of our own that come back as job mail", "never texted")
async def test_no_mail_that_the_gateway_wrote_is_texted_when_it_comes_back(open_shop: Open, seen: Seen) -> None:
    house = await open_shop(VOUCHED)
    await house.start()
    talk = await _talk(house)
    house.world.twilio.faults.add("21211", to=ANN)
    await dropped(house, HEAD + b"Message-ID: <n@x.example>\r\n\r\nIt is 120 dollars.\r\n", talk)
    await house.world.wait(lambda w: len(w.mail.to(JOBS)) >= 2, 20)
    own = list(house.world.mail.to(JOBS))
    posts = dict(house.world.twilio.posts)
    ends = []
    for n, mail in enumerate(own):
        for to in ("alice@sms.example.com", f"{ANN[1:]}@sms.example.com", talk):
            raw = re.sub(rb"(?im)^Message-ID:[^\r\n]*", b"Message-ID: <back%d.%d@x.example>" % (n, len(ends)), mail.raw)
            answer = await dropped(house, raw, to)
            assert answer.startswith("250"), answer
            ends.append(await house.daemon.wait_event("inbound.ignored", inbound=answer.rpartition(" ")[2]))
    alone = await dropped(house, HEAD + b"\r\nthe last\r\n", "alice@sms.example.com")
    await texted(house, "the last")

    reasons = sorted({end["reason"] for end in ends})
    seen(f"{len(own)} mails of ours at 3 addresses each: {reasons}; another mail: {alone[:9]}")
    assert len(own) >= 2
    assert posts == {phone: n for phone, n in house.world.twilio.posts.items() if phone == ANN}


@case(48, "bounces of vtext and vzwpix", "matched to the text they are of; never texted")
@pytest.mark.parametrize("file", ["verizon_vtext_bounce.eml", "verizon_vzwpix_bounce.eml"])
async def test_a_carriers_own_bounce_finds_its_text_and_is_not_texted(file: str, open_shop: Open, seen: Seen) -> None:
    house = await open_shop(PUBLIC)
    await house.start()
    await send(house, "ready", "bob")
    (mail, *_) = await house.world.wait(lambda w: w.mail.to("@vtext.com"), 20)
    raw = re.sub(rb"\r?\n", b"\r\n", (MAILS / "carriers" / file).read_bytes())
    ident = str(mail.message["Message-ID"]).strip("<>").encode()
    raw = raw.replace(b"d1.1@sms.example.com", ident).replace(b"b-abcdefghij@sms.example.com", mail.mail_from.encode())
    raw = raw.replace(b"2025550143", b"2025550102")
    answer = await dropped(house, raw, mail.mail_from, door="smtp_public", mail_from="post_master@vtext.com")
    bounced = await house.daemon.wait_event("delivery.bounced")

    seen(f"{file}: {answer[:9]}, {bounced['delivery'].partition('.')[2]} {bounced['fate']}")
    assert bounced["fate"] == "failed"
    assert len(house.world.mail.to("@vtext.com")) == 1
    assert [] == texts_out(house)


class Robot:
    """Answers each mail to some addresses at its Reply-To, without any sign that it is a machine."""

    def __init__(self, house: House, *addresses: str, most: int = 40) -> None:
        self.answers: list[str] = []
        self._house = house
        self._addresses = addresses
        self._most = most  # answers, so that a loop ends with the test
        self._known: set[str] = set()

    async def play(self) -> None:
        """Until nothing new has come for two seconds, or it has answered enough."""
        still = 0
        while still < 100 and len(self.answers) < self._most:
            mails = [m for m in self._house.world.mails if any(map(m.is_for, self._addresses))]
            new = [m for m in mails if str(m.message["Message-ID"]) not in self._known]
            for mail in new:
                self._known.add(str(mail.message["Message-ID"]))
                self.answers.extend(await _answer(self._house, mail))
            still = 0 if new else still + 1
            await asyncio.sleep(0.02)


@case(49, "a mail loop by the carrier and back", "stops after at most one turn")
async def test_a_carriers_robot_that_answers_everything_makes_no_loop(open_shop: Open, seen: Seen) -> None:
    house = await open_shop(PUBLIC)
    await house.start()
    for n in range(3):
        await send(house, f"ready {n}", "bob", subject=f"RO {n}")
    robot = Robot(house, "@vtext.com")
    await house.world.wait(lambda w: len(w.mail.to("@vtext.com")) == 3, 20)
    await robot.play()

    every, there = len(house.world.mails), len(house.world.mail.to("@vtext.com"))
    seen(f"3 texts: {there} mails to the carrier, {every} in all; the robot was told {_counted(robot.answers)}")
    assert there == 3
    assert every <= 6


@case(49, "a robot at each end", "stops after at most one turn, with an alarm")
async def test_robots_at_both_ends_of_a_conversation_are_stopped(open_shop: Open, seen: Seen) -> None:
    house = await open_shop(PUBLIC)
    await house.start()
    await send(house, "ready", "bob")
    robot = Robot(house, "@vtext.com", JOBS)
    await house.world.wait(lambda w: w.mail.to("@vtext.com"), 20)
    await robot.play()

    there = len(house.world.mail.to("@vtext.com"))
    alarms = [m for m in house.world.mail.to("admin@shop.example.com") if "are held" in str(m.message["Subject"])]
    seen(f"1 text: {there} mails to the carrier, {len(alarms)} alarm; told the robots: {_counted(robot.answers)}")
    assert there <= 2
    assert len(alarms) == 1


async def _answer(house: House, mail: Mailed) -> list[str]:
    """A robot's answer to a mail, by the door that its author would use."""
    me, to = mail.rcpt_to[0].address, str(mail.message["Reply-To"] or mail.message["From"])
    to = re.search(r"[^<\s]+@[^>\s]+", to)[0].strip("<>")  # type: ignore[index]
    ident = str(mail.message["Message-ID"])
    head = f"From: {me}\r\nTo: {to}\r\nSubject: Re: {mail.message['Subject']}\r\nIn-Reply-To: {ident}\r\n"
    raw = f"{head}Message-ID: <{len(house.world.mails)}.{id(mail)}@robot.example>\r\n\r\nI got your message.\r\n"
    door = "smtp" if me == JOBS else "smtp_public"
    return (await house.daemon.mail(raw.encode(), me, [to], door=door))[:1]


def _counted(answers: list[str]) -> str:
    codes = Counter(answer[:9] for answer in answers)
    return ", ".join(f"{count} x {code}" for code, count in codes.items()) or "nothing"
