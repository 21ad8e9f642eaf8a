"""What the admin is told of at once: a way out at fault, a budget half used, a text that perhaps went twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from gateway.core import gone, notice, verdict
from gateway.core.facts import Facts, Needs
from gateway.core.rules import Rules
from gateway.core.work import Deferred, Delivery, Refused
from gateway.events import emit
from gateway.known import facts_of
from gateway.ports import Clock, Spool, SpoolUnavailable, Started


class Taken(Protocol):
    def __call__(self, deliveries: Sequence[Delivery], *, later: bool) -> None:
        """Takes deliveries that are leased to us; `later`: others became due at a time of their own."""
        ...


class Alarms:
    def __init__(self, *, spool: Spool, rules: Callable[[], Rules], clock: Clock, taken: Taken) -> None:
        self._spool = spool
        self._rules = rules
        self._clock = clock
        self._taken = taken

    async def tell_doubled(self, doubled: Sequence[tuple[str, str, str]]) -> None:
        """Two ids of the provider for one text: perhaps the person got it twice, and the admin hears of it."""
        for delivery, first, second in doubled:
            emit("delivery.doubled", delivery=delivery, remote_id=second, other=first)
            facts = await self._spool.gather(Needs(deliveries=frozenset({delivery})))
            found = facts.deliveries.get(delivery)
            subject = "A text was perhaps sent twice"
            text = (
                f"The provider has two texts for one of ours: {first} and {second}.\n\n"
                f"Its whole story: gateway trace {found.message if found else delivery}\n"
            )
            await self._raise(f"doubled.{delivery}", subject, text, facts)

    async def half_spent(self, delivery: Delivery, started: Started, rules: Rules, now: datetime) -> None:
        """Half of a budget is used up: the admin hears of it while there is time (P8)."""
        spent = f"segments today: {started.spent_day}, this month: {started.spent_month}"
        text = f"Sender {delivery.sender} has used half of its budget or more: {spent}.\n\nOver it texts are held.\n"
        key = f"half.{delivery.sender}.{now.astimezone(rules.timezone):%Y-%m-%d}"
        subject = f"Half of the budget of {delivery.sender} is used"
        try:
            await self._raise(key, subject, text, await facts_of(self._spool, self._rules(), delivery))
        except SpoolUnavailable as error:
            # The text is committed as leaving; its alarm must not keep it from that.
            emit("spool.failed", error=str(error), during="warning of a budget", delivery=delivery.id)
        emit("budget.warned", sender=delivery.sender, day=started.spent_day, month=started.spent_month)

    async def down(self, delivery: Delivery, outcome: Deferred) -> None:
        """A way out is at fault: the admin hears of it once a day."""
        day = self._clock.now().astimezone(self._rules().timezone)
        paid = delivery.courier in verdict.PAID
        remedy = f"check [{delivery.courier}] and the account" if paid else "check [relay]"
        other = (
            "" if paid else "\nTexts to employees go by the provider after [policy] fallback_after, where that is open."
        )
        text = (
            f"{outcome.reason}\n\nWhat it should bring waits, and is tried again by itself until it expires "
            f"([policy] expires_after for texts): gateway queue list{other}\nIf it does not mend: {remedy}.\n"
        )
        what = f"Texts by {delivery.courier} number {delivery.number}" if paid else "Mails by the relay"
        key = f"down.{delivery.number if paid else delivery.courier}.{day:%Y-%m-%d}"
        facts = await facts_of(self._spool, self._rules(), delivery)
        await self._raise(key, f"{what} are paused", text, facts, by_relay=paid)

    async def shut_out(self, delivery: Delivery, outcome: Deferred | Refused) -> None:
        """A carrier's domain refuses us: the admin hears of it once a day."""
        key, subject, text = gone.shut_out(delivery, outcome.reason, self._rules(), self._clock.now())
        await self._raise(key, subject, text, await facts_of(self._spool, self._rules(), delivery), by_relay=False)

    async def _raise(self, key: str, subject: str, text: str, facts: Facts, *, by_relay: bool = True) -> None:
        rules, now = self._rules(), self._clock.now()
        tokens = facts.fresh[1:]
        writes = notice.alarm(key, subject, text, rules, now, facts.confirmations, by_relay=by_relay, tokens=tokens)
        made = await self._spool.write(writes)
        emit("alarm.raised", key=key)
        self._taken(made.leased, later=False)
