"""What was used and what became of it, by month of the shop's calendar."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

from gateway.commands.answer import Answer, CommandFailed
from gateway.config import Config
from gateway.core.facts import Needs
from gateway.core.model import Fate, Spent
from gateway.core.rules import Rules
from gateway.ports import Clock, Spool

MONTHS = 12  # that are shown when none is named

_MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")


class Report:
    def __init__(self, *, config: Callable[[], Config], spool: Spool, clock: Clock) -> None:
        self._config = config
        self._spool = spool
        self._clock = clock

    async def usage(self, month: str = "") -> Answer:
        """One row for each month, sender and number, the newest month first.

        Keys: month, sender ("" = nobody's), number, texts_out, segments_out, texts_in, segments_in, cost (None without
        a price), budget_left_day and budget_left_month (segments of the sender; None without a bound, or when the month
        is over).  Texts out are paid ones that the provider took, or may have taken.
        """
        rules = self._config().rules
        facts = await self._spool.gather(Needs(senders=frozenset(s.name for s in rules.senders)))
        current = _month(self._clock.now(), rules.timezone)
        rows: list[Answer] = []
        for name in self._months(month):
            for (sender, number), counts in (await self._counts(name, rules)).items():
                spent = facts.spent.get(sender) if name == current else None
                row = {"month": name, "sender": sender, "number": number, **counts}
                row["cost"] = _cost(rules, number, counts["segments_out"])
                rows.append({**row, **_left(rules, sender, spent)})
        return {"rows": rows}

    async def deliveries(self, month: str = "", sender: str = "") -> Answer:
        """One row for each month, sender, number, courier and kind, with the count of each fate."""
        rules = self._config().rules
        rows: list[Answer] = []
        for name in self._months(month):
            since, until = _bounds(name, rules.timezone)
            found = await self._spool.find("deliveries_by", since=since, until=until, sender=sender or None)
            groups: dict[tuple[str, ...], Answer] = {}
            for one in found:
                key = {"month": name, **{k: one[k] for k in ("sender", "number", "courier", "kind")}}
                row = groups.setdefault(tuple(key.values()), {**key, **dict.fromkeys(map(str, Fate), 0)})
                row[one["fate"]] += one["deliveries"]
            rows += groups.values()
        return {"rows": rows}

    async def _counts(self, month: str, rules: Rules) -> dict[tuple[str, str], dict[str, int]]:
        since, until = _bounds(month, rules.timezone)
        counts: dict[tuple[str, str], dict[str, int]] = {}
        empty = dict.fromkeys(("texts_out", "segments_out", "texts_in", "segments_in"), 0)
        for row in await self._spool.find("texts_out", since=since, until=until):
            key = row["sender"], row["number"]
            counts[key] = {**empty, "texts_out": row["texts"], "segments_out": row["segments"]}
        for row in await self._spool.find("texts_in", since=since, until=until):
            ours = rules.number_at(row["phone"])
            count = counts.setdefault((row["sender"], ours.name if ours else row["phone"]), dict(empty))
            count["texts_in"] += row["texts"]
            count["segments_in"] += row["segments"]
        return dict(sorted(counts.items()))

    def _months(self, month: str) -> list[str]:
        if month:
            if not _MONTH.fullmatch(month):
                raise CommandFailed(f"{month!r} is not a month such as 2026-11", 2)
            return [month]
        year, number = map(int, _month(self._clock.now(), self._config().rules.timezone).split("-"))
        last = year * 12 + number - 1
        return [f"{n // 12:04}-{n % 12 + 1:02}" for n in range(last, last - MONTHS, -1)]


def _month(now: datetime, timezone: tzinfo) -> str:
    return f"{now.astimezone(timezone):%Y-%m}"


def _bounds(month: str, timezone: tzinfo) -> tuple[datetime, datetime]:
    """The first moment of a month and of the next one, UTC."""
    year, number = map(int, month.split("-"))
    begins = datetime(year, number, 1, tzinfo=timezone)
    ends = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=timezone)
    return begins.astimezone(UTC), ends.astimezone(UTC)


def _cost(rules: Rules, number: str, segments: int) -> float | None:
    ours = rules.number(number)
    return round(ours.price_per_segment * segments, 4) if ours and ours.price_per_segment else None


def _left(rules: Rules, sender: str, spent: Spent | None) -> dict[str, int | None]:
    known = rules.sender(sender)
    day = month = None
    if known is not None and spent is not None:
        day = max(0, known.segments_per_day - spent.day) if known.segments_per_day else None
        month = max(0, known.segments_per_month - spent.month) if known.segments_per_month else None
    return {"budget_left_day": day, "budget_left_month": month}
