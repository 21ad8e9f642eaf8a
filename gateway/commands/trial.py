"""A text with a code to an employee's carrier address, by that way alone: does it arrive?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from gateway.commands.answer import Answer, CommandFailed
from gateway.commands.ledger import like
from gateway.config import Config
from gateway.core import carrier as carriers
from gateway.core import policy, trial
from gateway.core.carrier import Channel
from gateway.core.facts import Facts, Needs
from gateway.core.rules import Employee, Rules
from gateway.core.taste import Unfit
from gateway.core.trial import Trial
from gateway.core.work import Delivery, Writes
from gateway.events import emit
from gateway.ports import Clock, Committed, Spool

_TOKENS = 20  # more than a text can have mails, a question and a conversation


class Trials:
    def __init__(
        self,
        *,
        config: Callable[[], Config],
        spool: Spool,
        clock: Clock,
        take: Callable[[Sequence[Delivery]], None] | None,
    ) -> None:
        self._config = config
        self._spool = spool
        self._clock = clock
        self._take = take

    async def test(self, employee: str, actor: str = "") -> Answer:
        """Texts a fresh code to the address; one row: employee, address, code, message, delivery, asked_at, closes_at.

        Also where nobody has confirmed the address, and where what was sent there came back: it is what is to be found
        out.  A no where the carrier takes no mail any more, and where the person said STOP.
        """
        rules = self._config().rules
        person = rules.employee(employee)
        if person is None:
            raise CommandFailed(f"there is no employee named {employee!r}{like(employee, rules)}")
        now = self._clock.now()
        channel, address = _reached(person, rules, now)
        key = ("", person.phone, trial.JOB)
        wanted = Needs(phones=frozenset({person.phone}), keys=frozenset({key}), fresh=_TOKENS)
        facts = await self._spool.gather(wanted)
        _may(person, facts, rules)
        code, *tokens = facts.fresh
        talk = next((c for c in facts.conversations if (c.sender, c.phone, c.job) == key), None)
        about = Trial(employee=person, channel=channel, address=address, code=trial.code_of(code), talk=talk)
        made = trial.ask(about, iter(tokens), rules, now)
        if isinstance(made, Unfit):
            raise CommandFailed(f"{channel.name} cannot take the text: {made.problem}")
        self._begun(await self._spool.write(made, lease=self._take is not None))
        emit("command.done", command="carriers test", employee=person.name, actor=actor)
        return {"rows": [_row(about, made)]}

    def _begun(self, made: Committed) -> None:
        if not made.done:
            raise CommandFailed("another test of this employee began at the same moment: see gateway trace", 75)
        if self._take is not None:
            self._take(made.leased)


def _reached(person: Employee, rules: Rules, now: datetime) -> tuple[Channel, str]:
    """The employee's gateway and his address there; a no where nothing can be sent to it."""
    channel = rules.channel(person)
    if channel is None:
        why = f"carrier {person.carrier} has no {person.channel} gateway" if person.carrier else "no carrier is set"
        raise CommandFailed(f"{person.name} has no carrier address: {why}; find it with: {_suggest(person)}")
    why = carriers.routable(channel, now.astimezone(rules.timezone).date())
    if not why and channel.domain in rules.dead:
        why = f"{channel.domain} takes no mail: {rules.dead[channel.domain]}"
    if why:
        raise CommandFailed(f"{why}; ask {person.name} for the carrier of today, or: {_suggest(person)}")
    address = carriers.render(channel, person.phone)
    if address is None:
        raise CommandFailed(f"{channel.name} takes no number of this country: leave carrier out")
    return channel, address


def _suggest(person: Employee) -> str:
    return f"gateway carriers suggest {person.name}"


def _may(person: Employee, facts: Facts, rules: Rules) -> None:
    state = policy.standing(facts.consents.get(person.phone, ()), rules.brand)
    no = policy.forbids(person.phone, state, rules)
    if no is not None:
        raise CommandFailed(f"{person.name} {no.why}: {no.remedy}")


def _row(about: Trial, made: Writes) -> dict[str, str]:
    (question,) = made.questions
    return {
        "employee": about.employee.name,
        "address": about.address,
        "code": about.code,
        "message": made.messages[0].id,
        "delivery": made.deliveries[0].id,
        "asked_at": question.asked_at.isoformat(),
        "closes_at": question.closes_at.isoformat(timespec="seconds"),
    }
