"""The ledger of consent by the file: lists that are entered as a whole, and the whole ledger page by page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence, Set

from gateway.commands.answer import Answer, CommandFailed
from gateway.config import Config
from gateway.core.consent_csv import EXPORTED, Entry, Problem, check, consent
from gateway.core.facts import Needs
from gateway.core.model import Consent
from gateway.core.policy import JOB_SYSTEM, standing, stop_of
from gateway.core.work import Writes
from gateway.events import emit
from gateway.ports import Clock, Spool

MOST_ENTRIES = 100_000  # of one list: it is one transaction, and the doors wait for it
PAGE = 10_000  # rows of one answer
_ALL = 1_000_000  # entries of one phone
_STEP = 500  # entries that are checked between two turns of the loop


class Roll:
    def __init__(self, *, config: Callable[[], Config], spool: Spool, clock: Clock) -> None:
        self._config = config
        self._spool = spool
        self._clock = clock

    async def imported(
        self, entries: list[dict[str, str]], dry_run: bool = False, skip_stopped: bool = False, actor: str = ""
    ) -> Answer:
        """Enters every line of a list, or none.

        `entries` are cells by the names of consent_csv.COLUMNS, and `line`.  The answer has `problems` ({line, column,
        error}) where nothing was entered, and one row: lines, added, known (in the ledger already), left_out (who said
        STOP or was opted out, with `skip_stopped`), dry_run.
        """
        if len(entries) > MOST_ENTRIES:
            raise CommandFailed(f"a list has at most {MOST_ENTRIES:,} lines: split it")
        new: list[Consent] = []
        problems: list[Problem] = []
        known = left_out = 0
        for begun in range(0, len(entries), _STEP):
            read = list(self._entries(entries[begun : begun + _STEP]))
            problems += [one for one in read if isinstance(one, Problem)]
            for one in await self._judged([one for one in read if isinstance(one, Entry)], actor):
                match one:
                    case Consent():
                        new.append(one)
                    case Problem() if skip_stopped:
                        left_out += 1
                    case Problem():
                        problems.append(one)
                    case None:
                        known += 1
            await asyncio.sleep(0)  # mail comes in meanwhile
        if problems:
            rows = [
                {"line": p.line, "column": p.column, "error": p.text} for p in sorted(problems, key=lambda p: p.line)
            ]
            return {"rows": [], "problems": rows}
        if new and not dry_run:
            await self._spool.write(Writes(consents=tuple(new)))
            emit("command.done", command="consent import", entries=len(new), actor=actor)
        counts = {"lines": len(entries), "added": len(new), "known": known, "left_out": left_out}
        return {"rows": [{**counts, "dry_run": dry_run}], "problems": []}

    def _entries(self, part: Sequence[Mapping[str, str]]) -> Iterator[Entry | Problem]:
        rules = self._config().rules
        for cells in part:
            told = {name: str(text) for name, text in cells.items()}
            made = check(int(told.pop("line", "0")), told, rules.country, self._clock.now(), rules.timezone)
            if isinstance(made, Entry):
                yield made
            else:
                yield from made

    async def _judged(self, part: Sequence[Entry], actor: str) -> list[Consent | Problem | None]:
        """For each entry what to write, why it cannot be, or None: the ledger has it."""
        facts = await self._spool.gather(Needs(phones=frozenset(entry.phone for entry in part)))
        brand = self._config().rules.brand
        vouched = await self._vouched(part, brand)
        return [_judge(entry, facts.consents.get(entry.phone, ()), vouched, brand, actor) for entry in part]

    async def _vouched(self, part: Sequence[Entry], brand: str) -> frozenset[tuple[str, str, str, str]]:
        """What mails vouched for, as Entry.same, of the phones of which the list says such a thing.

        A list may be the ledger, written out; of these entries `gather` reads the newest alone.
        """
        phones = {entry.phone for entry in part if entry.method == JOB_SYSTEM}
        rows = [row for phone in phones for row in await self._spool.find("consents", phone=phone, limit=_ALL)]
        grants = (row for row in rows if (row["action"], row["brand"]) == ("grant", brand))
        return frozenset((row["phone"], row["klass"], row["method"], row["evidence"]) for row in grants)

    async def exported(self, offset: int = 0) -> Answer:
        """A page of the ledger in its order, columns consent_csv.EXPORTED; `more` tells whether another one follows."""
        rows = await self._spool.find("consents", limit=PAGE, offset=offset)
        shown = [{**row, "class": row["klass"]} for row in rows]
        return {"rows": [{name: row[name] for name in EXPORTED} for row in shown], "more": len(rows) == PAGE}


def _judge(
    entry: Entry, ledger: Sequence[Consent], vouched: Set[tuple[str, ...]], brand: str, actor: str
) -> Consent | Problem | None:
    state = standing(ledger, brand)
    same = entry.same in vouched or any(
        c.action == "grant" and c.brand == brand and (c.phone, c.klass, c.method, c.evidence) == entry.same
        for c in ledger
    )
    if state.stopped is not None:
        text = f"{entry.phone} {stop_of(state.stopped)}: only a START from that phone lifts it"
        return Problem(line=entry.line, column="phone", text=text)
    if state.revoked is not None and (same or entry.at <= state.revoked.at):
        # The ledger counts in the order of entry: an old paper entered late would undo the newer word.
        text = f"{entry.phone} was opted out on {state.revoked.at:%Y-%m-%d}, after this consent"
        return Problem(line=entry.line, column="phone", text=text)
    return None if same else consent(entry, brand, actor or "admin")
