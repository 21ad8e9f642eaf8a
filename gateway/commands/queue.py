"""The queue: what is unfinished, what happened to one message, and what a person may do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.commands.answer import Answer, CommandFailed
from gateway.config import Config
from gateway.core import phone as phones
from gateway.core.address import TextAddress, ToAsk, ToBounce, ToConversation, ToName, ToPhone
from gateway.core.intent import target_of
from gateway.core.model import BAD_ENDS, Fate, Phone
from gateway.core.rules import Rules
from gateway.core.work import Delivery, Move, Writes
from gateway.events import emit
from gateway.ports import Spool

PAGE = 1000  # rows of one answer, unless more are asked for


class Queue:
    def __init__(
        self,
        *,
        config: Callable[[], Config],
        spool: Spool,
        take: Callable[[Sequence[Delivery]], None] | None,
        refill: Callable[[], None],
        retry: Callable[[Sequence[Delivery]], None] | None = None,
    ) -> None:
        """`retry` takes what is tried again by hand, where that differs from `take`."""
        self._config = config
        self._spool = spool
        self._take = take
        self._retry = retry or take
        self._refill = refill

    async def listed(
        self,
        all: bool = False,  # noqa: A002 - the word of --all
        limit: int = PAGE,
        after: str = "",
    ) -> Answer:
        """Unfinished deliveries, the newest last, or all, the newest first; with `after`, an id, those behind it."""
        try:
            return {"rows": await self._spool.find("queue", all=all, limit=limit, after=after)}
        except LookupError as gone:
            raise CommandFailed(f"{gone}: list again", 75) from gone

    async def show(self, id: str) -> Answer:  # noqa: A002
        """One delivery with its attempts and receipts, or a parked mail."""
        rows = await self._spool.find("delivery", id=id)
        if not rows:
            rows = await self._spool.find("story", id=id)
        if not rows:
            raise CommandFailed(f"nothing in the queue has the id {id}")
        return {"rows": rows}

    async def raw(self, id: str) -> Answer:  # noqa: A002
        """A mail or webhook as it came in, its bytes as latin-1 text."""
        rows = await self._spool.find("raw", id=id)
        if not rows:
            raise CommandFailed(f"there is no mail {id}, or retention has removed its bytes")
        return {"rows": rows}

    async def retry(self, ids: list[str], actor: str = "") -> Answer:
        """Tries again now what waits, is held or ended badly."""
        return await self._move(ids, Fate.WAITING, "retry", actor)

    async def cancel(self, ids: list[str], actor: str = "") -> Answer:
        """Ends what has not been sent."""
        return await self._move(ids, Fate.CANCELLED, "cancel", actor)

    async def release(self, ids: list[str] | None = None, sender: str = "", actor: str = "") -> Answer:
        """Lets go what is held: the ids, or everything of a sender."""
        wanted = list(ids or [])
        if sender and self._config().rules.sender(sender) is None:
            known = ", ".join(s.name for s in self._config().rules.senders) or "none"
            raise CommandFailed(f"there is no [[sender]] named {sender!r} (known: {known})", 2)
        if sender:
            # Only what budget or flood brake hold: a text that may have been sent already needs a person who names it.
            wanted += [row["id"] for row in await self._spool.find("held", sender=sender)]
        return await self._move(wanted, Fate.WAITING, "release", actor)

    async def _move(self, ids: list[str], fate: Fate, word: str, actor: str) -> Answer:
        rows: list[Answer] = []
        for one in ids:
            # What was named after another mail of the same text has gone with that.
            if not any(r["done"] and r["id"] == one for r in rows):
                rows += await self._move_one(one, fate, word, actor)
        if ids and not any(r["done"] for r in rows):
            raise CommandFailed("; ".join(f"{r['id']}: {r['why']}" for r in rows))
        return {"rows": rows}

    async def _move_one(self, ident: str, fate: Fate, word: str, actor: str) -> list[Answer]:
        if await self._parked(ident, word, actor):
            return [{"id": ident, "done": True, "why": ""}]
        named = await self._deliveries(ident)
        if not named:
            return [{"id": ident, "done": False, "why": "no such delivery"}]
        ids = {d["id"] for d in named}
        rows = []
        for message in dict.fromkeys(d["message"] for d in named):
            # Also what was not named: a fallback may have brought the message, and the mails of one text go together.
            known = [d for d in await self._deliveries(message) if d["message"] == message]
            for way in dict.fromkeys(_way(d) for d in known if d["id"] in ids):
                moved = await self._move_way(way, known, fate, word, actor)
                rows += [row for row in moved if row["done"] or row["id"] in ids]
        return rows

    async def _move_way(self, way: int, known: Sequence[Answer], fate: Fate, word: str, actor: str) -> list[Answer]:
        """Moves all mails of a message's way in one write, so that none leaves between; what became of each."""
        otherwise = _done_otherwise(way, known, word)
        whys = {d["id"]: _cannot(d, word) or otherwise for d in known if _way(d) == way}
        note = f"{word} by {actor or 'admin'}"
        moves = tuple(Move(delivery=d, fate=fate, note=note, source="admin") for d, why in whys.items() if not why)
        if moves:
            made = await self._spool.write(Writes(moves=moves), lease=self._take is not None)
            taken = self._retry if word == "retry" else self._take
            if taken is not None:
                taken(made.leased)
            for move in moves:
                if move.delivery in made.moved:
                    emit("command.done", command=f"queue {word}", delivery=move.delivery, actor=actor)
                else:
                    whys[move.delivery] = "it moved on meanwhile, or there is nothing to send"
        return [{"id": d, "done": not why, "why": why} for d, why in whys.items()]

    async def _deliveries(self, ident: str) -> list[Answer]:
        rows = await self._spool.find("delivery", id=ident)
        if rows:
            return rows
        story = await self._spool.find("story", id=ident)
        return [r for r in story if r["what"] == "delivery" and _belongs(r, ident)]

    async def _parked(self, ident: str, word: str, actor: str) -> bool:
        """Reads a mail again that could not be read, or gives it up; whether `ident` was one."""
        match word:
            case "retry" | "release":
                done = await self._spool.unpark(ident)
                self._refill()
            case _:
                done = await self._spool.discard(ident, f"{word} by {actor or 'admin'}")
        if done:
            emit("command.done", command=f"queue {word}", inbound=ident, actor=actor)
        return done

    async def trace(self, what: str) -> Answer:
        """The whole story of a message, a delivery, a mail, a conversation, a question, or a phone."""
        rules = self._config().rules
        rows: list[Answer] = []
        for ident in _names(what, rules):
            rows = rows or await self._spool.find("story", id=ident)
        phone = _phone(what, rules)
        if not rows and phone:
            person = rules.employee_at(phone)
            rows = await self._spool.find("story", phone=phone, person=person.name if person else "")
        if not rows:
            raise CommandFailed(f"nothing is known of {what}")
        return {"rows": rows}


def _names(what: str, rules: Rules) -> list[str]:
    """The ids that `what` may stand for: itself, the token in an address of ours, what a Message-ID was made of."""
    written = what.strip().removeprefix("<").removesuffix(">")
    local, at, host = written.rpartition("@")
    if at and host.lower() != rules.domain:
        return [what]
    bare = local if at else written
    found = [what, bare]
    match target_of(f"{bare}@{rules.domain}", rules):
        case ToConversation(token=token) | ToAsk(token=token) | ToBounce(token=token):
            found.append(token)
    courier, hyphen, rest = bare.partition("-")
    if hyphen and courier in ("twilio", "flowroute"):
        found.append(f"{courier}:{rest}")  # a Message-ID has a hyphen there: notice.mail_id
    return list(dict.fromkeys(found))


def _phone(what: str, rules: Rules) -> Phone | None:
    """The phone that `what` names: a number, an employee, an address of either, a text address."""
    written = what.strip().removeprefix("<").removesuffix(">")
    match target_of(written, rules) if "@" in written else None:
        case ToPhone(phone=phone) | TextAddress(phone=phone):
            return phone
        case ToName(name=name):
            written = name
    employee = rules.employee(written)
    return employee.phone if employee else phones.parse(written, rules.country)


def _belongs(delivery: Answer, ident: str) -> bool:
    """Whether a delivery is of the message or the mail with that id."""
    return delivery["message"] == ident or str(delivery["message"]).rpartition(".")[0] == ident


def _way(delivery: Answer) -> int:
    """Which way of its message a delivery is: "m1.1.1" and "m1.1.1-2" are mails of the first."""
    return int(str(delivery["id"]).rpartition(".")[2].partition("-")[0])


def _done_otherwise(way: int, known: Sequence[Answer], word: str) -> str:
    """Why a message's way must not be tried again: the message went, or goes, by another one.

    A way of which one mail ended badly brought nobody the whole text.
    """
    if word != "retry":
        return ""
    lost = {_way(d) for d in known if d["fate"] in BAD_ENDS}
    others = [d for d in known if _way(d) != way]
    alive = next((d for d in others if _way(d) not in lost), None)
    if alive is not None:
        return f"its message is {alive['fate']} by {alive['id']}"
    newest = max(others, key=_way, default=None)
    return f"{newest['id']} came after it: retry that" if newest is not None and _way(newest) > way else ""


def _cannot(delivery: Answer, word: str) -> str:
    fate = delivery["fate"]
    match word:
        case "retry" if fate in ("sending", "handed_over", "delivered"):
            return f"it is {fate}"
        case "retry" if fate == "unknown":
            return "it may have been sent, and is being looked up: sending it again could text somebody twice"
        case "cancel" if fate not in ("waiting", "held", "unknown"):
            return f"it is {fate}"
        case "release" if fate != "held":
            return f"it is {fate}, not held"
        case _:
            return ""
