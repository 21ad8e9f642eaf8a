"""The queue: what is unfinished, what happened to one message, and what a person may do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.commands.answer import Answer, CommandFailed
from gateway.config import Config
from gateway.core import phone as phones
from gateway.core.model import Fate
from gateway.core.work import Delivery, Move, Writes
from gateway.events import emit
from gateway.ports import Spool

MOST = 100_000  # rows of one answer


class Queue:
    def __init__(
        self,
        *,
        config: Callable[[], Config],
        spool: Spool,
        take: Callable[[Sequence[Delivery]], None] | None,
        refill: Callable[[], None],
    ) -> None:
        self._config = config
        self._spool = spool
        self._take = take
        self._refill = refill

    async def listed(self, all: bool = False, limit: int = MOST) -> Answer:  # noqa: A002 - the word of --all
        """Unfinished deliveries, or all; the newest last."""
        return {"rows": await self._spool.find("queue", all=all, limit=limit)}

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
            rows = await self._spool.find("queue", all=False, limit=MOST)
            held = {("held", "budget", sender), ("held", "flood", sender)}
            wanted += [r["id"] for r in rows if (r["fate"], r["reason"], r["sender"]) in held]
        return await self._move(wanted, Fate.WAITING, "release", actor)

    async def _move(self, ids: list[str], fate: Fate, word: str, actor: str) -> Answer:
        rows = []
        for one in ids:
            rows += await self._move_one(one, fate, word, actor)
        if ids and not any(r["done"] for r in rows):
            raise CommandFailed("; ".join(f"{r['id']}: {r['why']}" for r in rows))
        return {"rows": rows}

    async def _move_one(self, ident: str, fate: Fate, word: str, actor: str) -> list[Answer]:
        if await self._parked(ident, word, actor):
            return [{"id": ident, "done": True, "why": ""}]
        found = await self._deliveries(ident)
        if not found:
            return [{"id": ident, "done": False, "why": "no such delivery"}]
        rows = []
        for delivery in found:
            # Also the siblings of a delivery that was named alone: a fallback may have brought the message.
            siblings = await self._deliveries(delivery["message"])
            why = _cannot(delivery, word) or _done_otherwise(delivery, siblings, word)
            if not why:
                note = f"{word} by {actor or 'admin'}"
                move = Move(delivery=delivery["id"], fate=fate, note=note, source="admin")
                made = await self._spool.write(Writes(moves=(move,)), lease=self._take is not None)
                if self._take is not None:
                    self._take(made.leased)
                if delivery["id"] in made.moved:
                    emit("command.done", command=f"queue {word}", delivery=delivery["id"], actor=actor)
                else:
                    why = "it moved on meanwhile, or there is nothing to send"
            rows.append({"id": delivery["id"], "done": not why, "why": why})
        return rows

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
        """The whole story of a message, a delivery, a mail, or a phone."""
        rules = self._config().rules
        parsed = phones.parse(what, rules.country)
        employee = rules.employee(what)
        phone = employee.phone if employee else parsed
        rows = await self._spool.find("story", id=what)
        if not rows and phone:
            person = rules.employee_at(phone)
            rows = await self._spool.find("story", phone=phone, person=person.name if person else "")
        if not rows:
            raise CommandFailed(f"nothing is known of {what}")
        return {"rows": rows}


def _belongs(delivery: Answer, ident: str) -> bool:
    """Whether a delivery is of the message or the mail with that id."""
    return delivery["message"] == ident or str(delivery["message"]).rpartition(".")[0] == ident


def _done_otherwise(delivery: Answer, found: Sequence[Answer], word: str) -> str:
    """Why a delivery must not be tried again: its message went, or goes, by another one."""
    others = [d for d in found if d["message"] == delivery["message"] and d["id"] != delivery["id"]]
    alive = next((d for d in others if d["fate"] not in ("failed", "refused", "expired", "cancelled")), None)
    if word == "retry" and alive is not None:
        return f"its message is {alive['fate']} by {alive['id']}"
    newest = max(found, key=lambda d: int(str(d["id"]).rpartition(".")[2]) if d in [delivery, *others] else -1)
    return f"{newest['id']} came after it: retry that" if word == "retry" and newest["id"] != delivery["id"] else ""


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
