"""Queue and fates against the promises of design.md 2, whatever happens in whatever order.

The model keeps only what the outside saw: what was answered with yes, what was texted to us, what reached the provider
and the relay.  What may leave is judged where it arrives (model_world.py), the rest after every calm.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import message_from_bytes
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from model_house import ANN, BEN, BOB, DOMAIN, EVE, JOBS, SERVICE, House
from model_world import ANSWERS, GOOD, MAIL_ANSWERS, Text

from gateway.core.model import BAD_ENDS, Fate, Inbound, InboundHook, Phone, StatusIn, TextIn
from gateway.core.work import Delivery, MailParcel, TextParcel

ADDRESSES = {f"2025550143@{DOMAIN}": ANN, f"2025550144@{DOMAIN}": BEN, f"bob@{DOMAIN}": BOB}
WINDOW, NAMELESS = timedelta(hours=24), timedelta(hours=1)  # P7
WELL = (Fate.HANDED_OVER, Fate.DELIVERED)
TURNS = 500  # of the loops, within which everything must have come to an end
TEXT_WIRE, MAIL_WIRE = 20, 600  # seconds after which our side gives an answer up

pytestmark = pytest.mark.timeout(600)  # a failure is made small before it is shown
picks = st.integers(0, 9)
ends = st.sampled_from(["delivered", "undelivered", "failed"])


@dataclass(frozen=True)
class Letter:
    """A mail as the job system has it, to be sent again as often as it likes."""

    recipients: tuple[str, ...]
    raw: bytes
    named: bool  # has a Message-ID


class Shop(RuleBasedStateMachine):
    """Everything that can happen to one gateway and the world around it."""

    on_unknown = ""

    def __init__(self) -> None:
        super().__init__()
        self.house = House(self.on_unknown)
        self.world = self.house.world
        self.letters: list[Letter] = []
        self.firsts: dict[tuple[bytes, str], tuple[str, datetime]] = {}
        self.accepted: dict[str, tuple[bytes, tuple[str, ...]]] = {}  # id -> the mail, and recipients it stands for
        self.hooks: list[InboundHook] = []
        self.answerable: dict[str, Phone] = {}  # r- addresses that reply mails have shown
        self.confirmed: set[str] = set()  # deliveries of which we were told that they arrived
        self.cancelled: set[str] = set()  # by a person, who needs no report

    # -- what comes in

    @initialize(answer=st.sampled_from(sorted(ANSWERS)))
    def a_day_begins(self, answer: str) -> None:
        self._deliver_letter(self._letter(tuple(ADDRESSES), 1, named=True))
        self._plan_all()
        self._deliver_all(answer)

    @rule(to=st.sets(st.sampled_from(sorted(ADDRESSES)), min_size=1), named=st.booleans(), job=st.integers(1, 2))
    def a_mail_comes(self, to: set[str], named: bool, job: int) -> None:
        self._deliver_letter(self._letter(tuple(sorted(to)), job, named=named))

    @precondition(lambda self: self.letters)
    @rule(pick=picks)
    def the_same_mail_comes_again(self, pick: int) -> None:
        self._deliver_letter(_picked(self.letters, pick))

    @precondition(lambda self: self.answerable)
    @rule(pick=picks)
    def a_reply_is_answered(self, pick: int) -> None:
        address = _picked(list(self.answerable), pick)
        self._deliver_letter(self._letter((address,), 1, named=True))

    @rule(author=st.sampled_from([ANN, BEN, BOB, EVE]), words=st.sampled_from(["At five", "Thanks", "stop.", "START"]))
    def a_person_texts(self, author: Phone, words: str) -> None:
        self.house.clock.advance(timedelta(seconds=1))  # said in the same moment, a STOP stands whatever else is said
        self.house.run(self._hear(self._text_in(author, words)))

    @precondition(lambda self: self.hooks)
    @rule(pick=picks)
    def a_hook_is_replayed(self, pick: int) -> None:
        arrived = len(self.house.arrived)
        new = self.house.run(self.house.hook(_picked(self.hooks, pick)))

        assert not new
        assert len(self.house.arrived) == arrived, "P6: a replay is planned"

    @precondition(lambda self: self.world.texts)
    @rule(pick=picks, status=st.sampled_from([*GOOD, "end", "end"]), planned=st.booleans())
    def a_callback_comes(self, pick: int, status: str, planned: bool) -> None:
        self._call_back(_picked(self.world.texts, pick), status)
        if planned:
            self._plan_all()

    # -- what the loops do

    @precondition(lambda self: self.house.arrived)
    @rule()
    def what_arrived_is_planned(self) -> None:
        self._plan_all()

    @precondition(lambda self: self.house.arrived and self.house.ready())
    @rule(pick=picks, answer=st.sampled_from(sorted(ANSWERS)))
    def a_delivery_ends_between_the_facts_of_a_plan_and_its_commit(self, pick: int, answer: str) -> None:
        delivery = _picked(self.house.ready(), pick)
        self.house.spool.first = lambda: self.house.deliver(delivery, _fitting(delivery, answer))
        self._plan(self.house.arrived.pop(0))
        self.house.spool.first = None

    @precondition(lambda self: self.house.arrived and self.world.on_the_wire)
    @rule(pick=picks, answer=st.sampled_from(sorted(ANSWERS)), end=ends)
    def an_answer_comes_between_the_facts_of_a_plan_and_its_commit(self, pick: int, answer: str, end: str) -> None:
        work = _picked(self.world.on_the_wire, pick)
        self.house.spool.first = lambda: self.house.answer(work, _fitting(work.delivery, answer), end)
        self._plan(self.house.arrived.pop(0))
        self.house.spool.first = None

    @rule()
    def the_planner_looks_into_the_spool(self) -> None:
        self.house.refill()

    @rule()
    def what_is_due_is_claimed(self) -> None:
        self.house.claim()

    @precondition(lambda self: self.house.ready())
    @rule(pick=picks, complete=st.booleans(), lag=st.sampled_from([0, 90, 3600]))
    def a_delivery_sets_out(self, pick: int, complete: bool, lag: int) -> None:
        self._look_ups(complete=complete, lag=lag)
        self.house.run(self.house.begin(_picked(self.house.ready(), pick)))

    @precondition(lambda self: any(d.phone for d in self.house.ready()))
    @rule(pick=picks)
    def a_stop_comes_between_the_facts_of_a_delivery_and_its_intent(self, pick: int) -> None:
        delivery = _picked([d for d in self.house.ready() if d.phone], pick)
        self.house.spool.first = lambda: self._hear(self._text_in(delivery.phone, "STOP"))
        self.house.run(self.house.begin(delivery))
        self.house.spool.first = None

    @precondition(lambda self: self.world.on_the_wire)
    @rule(pick=picks, answer=st.sampled_from(sorted(ANSWERS)), end=ends)
    def the_world_answers(self, pick: int, answer: str, end: str) -> None:
        work = _picked(self.world.on_the_wire, pick)
        self.house.run(self.house.answer(work, _fitting(work.delivery, answer), end))

    @precondition(lambda self: self.house.arrived or self.house.ready())
    @rule(answer=st.sampled_from(sorted(ANSWERS)), complete=st.booleans())
    def all_that_can_be_done_is_done(self, answer: str, complete: bool) -> None:
        self._look_ups(complete=complete)
        self._plan_all()
        self.house.claim()
        self._deliver_all(answer)

    @precondition(lambda self: self.world.on_the_wire)
    @rule(pick=picks, taken=st.booleans())
    def a_worker_dies_at_the_wire(self, pick: int, taken: bool) -> None:
        self.house.run(self.house.lose(_picked(self.world.on_the_wire, pick), taken=taken))

    @rule(taken=st.booleans())
    def the_gateway_is_killed(self, taken: bool) -> None:
        self.house.crash(taken)
        self._all_that_was_accepted_is_there()

    @precondition(lambda self: self.house.arrived or self.house.queue())
    @rule(taken=st.booleans())
    def the_gateway_is_killed_with_everything_on_the_wire(self, taken: bool) -> None:
        self._plan_all()
        self.house.claim()
        while ready := self.house.ready():
            self.house.run(self.house.begin(ready[0]))
        self.the_gateway_is_killed(taken)

    @rule(
        seconds=st.sampled_from([1, 10, 25, 70, 160, 1900, 5 * 3600, 25 * 3600]),
        answer=st.sampled_from(["taken", "lost"]),
    )
    def time_passes(self, seconds: int, answer: str) -> None:
        for work in list(self.world.on_the_wire):
            waited = (self.house.clock.now() - work.begun_at).total_seconds() + seconds
            if waited >= (TEXT_WIRE if isinstance(work.delivery.parcel, TextParcel) else MAIL_WIRE):
                self.house.run(self.house.answer(work, answer))
        self.house.clock.advance(seconds)
        self.house.sweep()

    @rule(
        answer=st.sampled_from(["accepted", "deferred", "lost", "taken"]), complete=st.sampled_from([True, True, False])
    )
    def the_minutes_of_the_look_ups_pass(self, answer: str, complete: bool) -> None:
        self._look_ups(complete=complete, lag=0)
        for seconds in (21, 41, 91) * 2:
            self.time_passes(seconds, "lost")
            self.house.claim()
            self._deliver_all(answer)

    # -- what a person does

    @rule(word=st.sampled_from(["retry", "cancel", "release"]), pick=picks, everything=st.booleans())
    def a_person_acts(self, word: str, pick: int, everything: bool) -> None:
        rows = [r for r in self.house.queue(everything=everything) if r["message"] is not None]
        if not rows:
            return
        delivery = _picked(rows, pick)["id"]
        if not self.house.command(word, delivery):
            return
        if word == "cancel":
            self.cancelled.add(delivery)
        else:
            self.world.let(delivery)
            self.cancelled.discard(delivery)

    # -- the end

    @rule()
    def everything_calms_down(self) -> None:
        self._calm()
        self._promises_were_kept()

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self._calm()
                self._promises_were_kept()
                self._a_start_lifts_every_stop()
        finally:
            self.house.close()

    def _calm(self) -> None:
        """The world is well, time passes: everything must come to an end."""
        self._look_ups(complete=True)
        for text in self.world.texts:
            text.listed_at = text.at
        for _ in range(TURNS):
            for work in list(self.world.on_the_wire):
                self.house.run(self.house.answer(work, "accepted"))
            self.house.sweep()
            self.house.refill()
            self._plan_all()
            self.house.claim()
            busy = bool(self.house.ready())
            self._deliver_all("accepted")
            if not busy and not self._pass_time():
                return
        left = [(r["id"], r["fate"], r["reason"]) for r in self.house.queue()]
        raise AssertionError(f"P2: after {TURNS} turns there are left: {left}")

    def _pass_time(self) -> bool:
        """To the next thing that is due; False when nothing is left but what is held."""
        if all(row["fate"] == "held" for row in self.house.queue()):
            return False
        due = self.house.run(self.house.spool.next_due())
        self.house.clock.advance(max((due - self.house.clock.now()).total_seconds(), 0.0) if due else 61.0)
        return True

    # -- how it is done

    def _letter(self, recipients: tuple[str, ...], job: int, *, named: bool) -> Letter:
        n = len(self.letters)
        head = [
            f"From: Jobs <{JOBS}>",
            f"Subject: RO {job}",
            f"Date: {self.house.clock.now():%a, %d %b %Y %H:%M:%S} +0000",
        ]
        head += [f"Message-ID: <{n}@shop.example.com>"] if named else []
        raw = "\r\n".join([*head, "", f"Words of mail {n}", ""]).encode()
        self.letters.append(Letter(recipients, raw, named))
        return self.letters[-1]

    def _deliver_letter(self, letter: Letter) -> None:
        welcome = tuple(r for r in letter.recipients if self._welcome(r))
        if not welcome:
            return
        counting = {r: first for r in welcome if (first := self._counts(letter, r))}
        fresh = tuple(r for r in welcome if r not in counting)
        arrived = len(self.house.arrived)
        answer = self.house.mail(welcome, letter.raw)
        if not fresh:
            assert answer == counting[welcome[0]], "P7: the same mail got another answer"
            assert len(self.house.arrived) == arrived, "P7: a repeat is planned"
            return
        assert answer not in self.accepted, "P7: a mail whose first does not count was not kept"
        self.accepted[answer] = (letter.raw, fresh)
        for recipient in fresh:
            self.firsts[letter.raw, recipient] = (answer, self.house.clock.now())

    def _welcome(self, recipient: str) -> bool:
        phone = ADDRESSES.get(recipient) or self.answerable[recipient]
        refused = self.house.rcpt(recipient)
        if phone in self.world.stopped:
            assert refused is not None, "P10: the door is open to a text after a STOP"
        elif recipient in ADDRESSES and phone not in self.world.blocked:
            assert refused is None, f"a person who agreed is refused: {refused}"
        return refused is None

    def _counts(self, letter: Letter, recipient: str) -> str:
        """The id of the first mail to this recipient that still counts (P7), "" = none does."""
        first, at = self.firsts.get((letter.raw, recipient), ("", self.house.clock.now()))
        if not first or self.house.clock.now() - at >= (WINDOW if letter.named else NAMELESS):
            return ""
        chains = self._chains(first)
        return first if recipient not in chains or any(d["fate"] not in BAD_ENDS for d in chains[recipient]) else ""

    def _text_in(self, author: Phone, words: str) -> InboundHook:
        sid = f"SMin{len(self.hooks):028d}"
        event = TextIn(remote_id=sid, author=author, number=SERVICE, text=words)
        return InboundHook(id=f"twilio:{sid}", at=self.house.clock.now(), provider="twilio", event=event, raw=b"x")

    async def _hear(self, hook: InboundHook) -> None:
        assert await self.house.hook(hook)
        self.hooks.append(hook)
        event = hook.event
        assert isinstance(event, TextIn)
        if event.text.upper().startswith("STOP"):
            self.world.stopped.add(Phone(event.author))
        elif event.text == "START":
            self.world.stopped.discard(Phone(event.author))
            self.world.blocked.discard(Phone(event.author))

    def _call_back(self, text: Text, status: str) -> None:
        word = text.end if status == "end" else status
        post = text.post
        code = "30003" if word in ("undelivered", "failed") else ""
        event = StatusIn(remote_id=text.sid, delivery=post.delivery, attempt=post.attempt, status=word, code=code)
        ident = f"twilio:{text.sid}:{post.attempt}:{word}"
        hook = InboundHook(id=ident, at=self.house.clock.now(), provider="twilio", event=event, raw=b"x")
        known = any(h.id == ident for h in self.hooks)

        assert self.house.run(self.house.hook(hook)) is not known, "P6: a callback counts once"

        self.hooks += [] if known else [hook]

    def _plan_all(self) -> None:
        while self.house.arrived:
            self._plan(self.house.arrived.pop(0))

    def _plan(self, inbound: Inbound) -> None:
        self.house.plan(inbound)
        event = inbound.event if isinstance(inbound, InboundHook) else None
        if isinstance(event, StatusIn) and event.status in (*GOOD, "delivered"):
            self.world.heard.add(event.delivery)
            self.confirmed |= {event.delivery} if event.status == "delivered" else set()

    def _deliver_all(self, answer: str) -> None:
        while ready := self.house.ready():
            self.house.run(self.house.deliver(ready[0], _fitting(ready[0], answer)))
        self._read_replies()

    def _look_ups(self, *, complete: bool, lag: int = 0) -> None:
        self.world.answers_lookups = complete
        self.world.lag = timedelta(seconds=lag)

    def _read_replies(self) -> None:
        for post in self.world.mails:
            assert isinstance(post.parcel, MailParcel)
            mail = message_from_bytes(post.parcel.data)
            address = str(mail["Reply-To"] or "")
            if address.startswith("r-") and post.parcel.rcpt_to == JOBS:
                author = str(mail["From"]).rpartition("<")[2].partition("@")[0]
                self.answerable[address] = Phone(f"+{author}")

    # -- the promises

    def _all_that_was_accepted_is_there(self) -> None:
        for ident, (raw, _) in self.accepted.items():
            assert [row["raw"].encode("latin-1") for row in self.house.raw(ident)] == [raw], "P1: a mail is lost"
        for hook in self.hooks:
            assert len(self.house.raw(hook.id)) == 1, "P1: a hook is lost"

    def _promises_were_kept(self) -> None:
        self._all_that_was_accepted_is_there()
        for ident, (_, recipients) in self.accepted.items():
            chains = self._chains(ident)
            assert sorted(chains) == sorted(recipients), "P2: one message for each recipient"
            for chain in chains.values():
                self._ended_visibly(chain)
        for hook in self.hooks:
            if isinstance(hook.event, TextIn):
                self._brought_once(hook)
        for delivery in self.confirmed:
            (row,) = self.house.run(self.house.spool.find("delivery", id=delivery))
            assert row["fate"] == Fate.DELIVERED, "P2: what arrived is delivered, whatever else was said"

    def _chains(self, inbound: str) -> dict[str, list[dict[str, Any]]]:
        """Recipient -> the deliveries of his message, in their order."""
        rows = self.house.story(inbound)
        chains: dict[str, list[dict[str, Any]]] = {}
        for message in rows:
            if message["what"] == "message" and message["inbound"] == inbound and message["kind"] == "text":
                assert message["recipient"] not in chains, "P2: two messages for one recipient"
                chains[message["recipient"]] = [
                    r for r in rows if r["what"] == "delivery" and r["message"] == message["id"]
                ]
        return chains

    def _ended_visibly(self, chain: list[dict[str, Any]]) -> None:
        *before, last = sorted(chain, key=lambda d: int(d["id"].rpartition(".")[2]))
        assert all(d["fate"] == Fate.FAILED for d in before), "P2: the first way failed before the next was tried"
        fate = last["fate"]
        assert fate in (*WELL, *BAD_ENDS, Fate.HELD), f"P2: {last['id']} is {fate}"
        if fate in WELL:
            self._was_taken(last)
        elif last["id"] not in self.cancelled:
            self._was_told(last)

    def _was_taken(self, delivery: dict[str, Any]) -> None:
        if delivery["courier"] == "mail":
            assert any(p.delivery == delivery["id"] for p in self.world.mails), "P2: nobody has the mail"
            return
        bodies = {p.parcel.body for p in self.world.posts[delivery["id"]]}
        taken = [t for t in self.world.texts if t.parcel.to == delivery["phone"] and t.parcel.body in bodies]
        assert taken, "P2: nobody has the text"

    def _was_told(self, delivery: dict[str, Any]) -> None:
        if delivery["fate"] == Fate.HELD and delivery["reason"] == "budget":
            alarms = [r for r in self.house.queue(everything=True) if r["id"].startswith("alarm.budget.")]
            assert alarms, "P2: nobody was told of what the budget holds"
            return
        told = f"{delivery['message']}.{delivery['fate']}"
        assert any(r["id"] == told for r in self.house.story(told)), f"P2: nobody was told that {told}"

    def _brought_once(self, hook: InboundHook) -> None:
        rows = [r for r in self.house.story(hook.id) if r["what"] in ("message", "delivery") and r["kind"] == "reply"]
        messages = [r["id"] for r in rows if r["what"] == "message" and r["inbound"] == hook.id]
        assert len(messages) == 1, f"P6: {len(messages)} reply mails for one text"
        chain = [r for r in rows if r["what"] == "delivery" and r["message"] == messages[0]]
        well = [d for d in chain if d["fate"] in WELL]
        assert len({d["to"] for d in well}) == len(well), "P6: a text is brought twice"
        # The mailbox behind gets it as well where the first one did not take it at once.
        assert len(well) <= 1 or well[0]["attempts_started"] > 1, "P6: a text is brought to two mailboxes"
        self._ended_visibly(chain if chain[0]["fate"] == Fate.FAILED else chain[:1])

    def _a_start_lifts_every_stop(self) -> None:
        self.house.clock.advance(timedelta(hours=25))  # another day: there is room in the budget
        for phone in ADDRESSES.values():
            self.house.run(self._hear(self._text_in(phone, "START")))
        self._plan_all()
        letter = self._letter(tuple(ADDRESSES), 3, named=True)
        self._deliver_letter(letter)
        self._calm()
        for recipient in ADDRESSES:
            inbound, _ = self.firsts[letter.raw, recipient]
            assert self._chains(inbound)[recipient][-1]["fate"] in WELL, "P10: a START lifts a STOP"


class HoldingShop(Shop):
    on_unknown = "hold"


class ReconcilingShop(Shop):
    on_unknown = "reconcile"


def _picked(things: list[Any], pick: int) -> Any:
    """One of them; 0 is the newest, so that a failure shrinks to what happened last."""
    return things[-1 - pick % len(things)]


def _fitting(delivery: Delivery, answer: str) -> str:
    """The answer, as far as the other side of this delivery can give it."""
    return answer if isinstance(delivery.parcel, TextParcel) or answer in MAIL_ANSWERS else "refused"


EFFORT = settings(
    max_examples=120,
    stateful_step_count=40,
    deadline=None,
    database=None,
    derandomize=False,
    suppress_health_check=list(HealthCheck),
)
TestHold = HoldingShop.TestCase
TestReconcile = ReconcilingShop.TestCase
TestHold.settings = TestReconcile.settings = EFFORT
