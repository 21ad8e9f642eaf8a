"""gateway carriers set: keys of the admin's carriers file, with his comments and his order kept.

Nothing is written that `carriers check` would call an error.  The file takes its place when it is whole.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

import click
import tomli
import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Table

from gateway.cli.carrier_migrate import replace_file
from gateway.cli.common import BAD_CONFIG, fail, print_json
from gateway.config import ConfigError, check, load, render, tables
from gateway.config.carriers import SHIPPED, shipped_path
from gateway.config.document import Document, UnreadableError, read
from gateway.core import carrier as carriers
from gateway.core import row
from gateway.core.carrier import Carrier, Channel
from gateway.core.rules import Employee, Rules

HEAD = """\
# Carrier rows of our own, laid over the shipped table key by key; a table such as [att.sms] replaces the whole channel.
# `gateway carriers show ID` tells what holds, `gateway carriers check` what is wrong.

"""
_CARRIER_KEYS = [f.name for f in fields(Carrier) if f.name not in ("id", "channels", "origin")]
_CHANNEL_KEYS = [f.name for f in fields(Channel) if f.name not in ("carrier", "name", "channel")]
Raw = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One key that is to have another value."""

    ident: str
    channel: str  # sms | mms; "" = a key of the carrier itself
    key: str
    value: Any  # as TOML holds it; None = the key goes
    old: Any = None  # what holds so far; None = nothing

    @property
    def path(self) -> str:
        return ".".join(filter(None, (self.ident, self.channel, self.key)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """The admin's carriers file."""

    main: Document  # config.toml
    path: Path
    text: str | None  # None = there is no such file
    values: Raw
    windows: bool = False  # its lines end with CR LF
    marked: bool = False  # it begins with a byte order mark

    @property
    def document(self) -> Document:
        return Document(str(self.path), self.text or "", self.values)


def own(config: Path) -> Own:
    """The carriers file that goes with config.toml, there or not; a file that cannot be read ends the command."""
    try:
        main = read(config)
        named = main.values.get("carriers")
        path = config.parent / (named if isinstance(named, str) and named else "carriers.toml")
        if not path.exists():
            return Own(main=main, path=path, text=None, values={})
        found = read(path)
    except UnreadableError as error:
        click.echo(render([error.problem], config), err=True)
        raise SystemExit(BAD_CONFIG) from None
    raw = path.read_bytes()
    marked, windows = raw.startswith(b"\xef\xbb\xbf"), b"\r\n" in raw
    return Own(main=main, path=path, text=found.text, values=found.values, windows=windows, marked=marked)


def report(config: Path, words: Sequence[str], *, as_json: bool) -> None:
    """Sets the keys, says what was and what follows; ends with 0, 1 (nothing was written), 2 or 78."""
    wanted = _wanted(words)
    file = own(config)
    if file.text is not None and file.path.samefile(shipped_path()):
        fail(f'{file.path} is the shipped table itself: name a file of your own, carriers = "our-carriers.toml"')
    shipped = read(shipped_path()).values
    changes = [_with_old(change, file.values, shipped) for change in wanted]
    _known(changes, {*shipped, *file.values})
    edited = _edited(file, changes, shipped)
    if edited is None:
        fail(f"{file.path} is written in a way that cannot be edited without loss: set it by hand; nothing was written")
    text, values = edited
    _validated(file, config, text, values, shipped)
    if values != file.values:
        marked = ("\ufeff" if file.marked else "") + text
        replace_file(file.path, marked.replace("\n", "\r\n") if file.windows else marked)
    concerned = _concerned(config, changes)
    if as_json:
        _rows(file, changes, concerned)
    else:
        _say(file, changes, concerned, written=values != file.values)


def _wanted(words: Sequence[str]) -> list[Change]:
    if len(words) % 2:
        raise click.UsageError(f"{words[-1]} has no value: write ID.CHANNEL.KEY VALUE, as often as needed")
    return [_change(path, value) for path, value in zip(words[::2], words[1::2], strict=True)]


def _change(path: str, value: str) -> Change:
    ident, *rest = path.split(".")
    channel, key = (rest if len(rest) == 2 else ["", *rest]) if len(rest) in (1, 2) else ("", "")
    if not row.legal_id(ident) or not key:
        raise click.UsageError(f"{path} names no key: write ID.CHANNEL.KEY, such as verizon.sms.status, or ID.KEY")
    if channel and channel not in row.CHANNELS:
        raise click.UsageError(f"there is no channel {channel}: {row.meant(channel, row.CHANNELS)}")
    known = _CHANNEL_KEYS if channel else _CARRIER_KEYS
    if key not in known:
        other = [f"{ident}.sms.{key}"] if not channel and key in _CHANNEL_KEYS else []
        remedy = f"did you mean {other[0]}?" if other else row.meant(key, known)
        raise click.UsageError(f"{path}: there is no key {key}: {remedy}")
    return Change(ident=ident, channel=channel, key=key, value=_typed(channel, key, value))


def _typed(channel: str, key: str, text: str) -> Any:
    """The value that the key takes: the words as they are, as TOML, or as a list; else the words, to be refused.

    "" removes a key that must not be empty.
    """
    readings: list[Any] = [text]
    with suppress(tomli.TOMLDecodeError):
        readings += [tomli.loads(f"v = {text}")["v"]] if text.isprintable() else []
    readings.append([part.strip() for part in text.split(",") if part.strip()])
    for reading in readings:
        table = {key: reading}
        taken, _ = row.channel(channel, table) if channel else row.carrier(table)
        if key in taken and (text or reading == ""):
            return reading
    return text or None


def _with_old(change: Change, own_values: Raw, shipped: Raw) -> Change:
    ident, channel = change.ident, change.channel
    layers = [own_values.get(ident, {}), shipped.get(ident, {})]
    if channel:
        layers = [next((layer[channel] for layer in layers if channel in layer), {})]
    old = next((layer[change.key] for layer in layers if change.key in layer), None)
    return Change(ident=ident, channel=channel, key=change.key, value=change.value, old=old)


def _known(changes: Sequence[Change], known: set[str]) -> None:
    """Ends the command where a carrier is meant that is neither there nor given a name."""
    named = {change.ident for change in changes if change.key == "name" and not change.channel and change.value}
    for change in changes:
        if change.ident not in known | named:
            hint = row.meant(change.ident, sorted(known))
            fail(f"there is no carrier {change.ident} (to add one, set {change.ident}.name too): {hint}")


def _edited(file: Own, changes: Sequence[Change], shipped: Raw) -> tuple[str, Raw] | None:
    """The text of the file with the changes, and what it says; None where its form does not allow them."""
    doc: Any = tomlkit.parse(HEAD if file.text is None else file.text)
    expected = copy.deepcopy(file.values)
    with suppress(TOMLKitError, ValueError):  # what an inline table cannot hold
        for change in changes:
            table, mirror = _table(doc, change, shipped), _mirror(expected, change, shipped)
            if change.value is None:
                table.pop(change.key, None)
                mirror.pop(change.key, None)
            else:
                _put(table, change.key, change.value)
                mirror[change.key] = change.value
        text = tomlkit.dumps(doc).rstrip("\n") + "\n"
        if tomli.loads(text) == expected:
            return text, expected
    return None


def _put(table: Any, key: str, value: Any) -> None:
    """Sets the key.  A fresh one stands below the last, above comments that belong to what follows."""
    box = table.value if isinstance(table, Table) else table
    last = [known for known, item in getattr(box, "body", ()) if known is not None and not isinstance(item, Table)]
    if isinstance(table, Table) and last and key not in box:
        made = tomlkit.item(value)
        if isinstance(made, Table):
            made.trivia.indent = "\n"
        box._insert_after(last[-1], key, made)
        return
    tail = _tail(box) if isinstance(table, Table) and isinstance(value, dict) else []
    table[key] = value
    if tail:
        box[key].value.body.extend(tail)


def _tail(box: Any) -> list[Any]:
    """The comments below the last table in `box`, cut off: they speak of what comes after."""
    body = box.body[-1][1].value.body if box.body else []
    tail: list[Any] = []
    while body and body[-1][0] is None:
        tail.insert(0, body.pop())
    return tail


def _table(doc: Any, change: Change, shipped: Raw) -> Any:
    """The table in the file that holds the key; a channel that the file does not have begins as it is shipped."""
    if change.ident not in doc:
        if doc.body and not doc.as_string().endswith("\n\n"):
            doc.add(tomlkit.nl())
        doc.add(change.ident, tomlkit.table(is_super_table=bool(change.channel)))
    carrier = doc[change.ident]
    if not change.channel:
        return carrier
    box = carrier.value if isinstance(carrier, Table) else carrier
    if change.channel not in box:
        _put(carrier, change.channel, dict(shipped.get(change.ident, {}).get(change.channel, {})))
    return box[change.channel]


def _mirror(values: Raw, change: Change, shipped: Raw) -> Raw:
    """The same in plain values: what the file must say in the end."""
    found: Raw = values.setdefault(change.ident, {})
    if change.channel:
        found = found.setdefault(change.channel, dict(shipped.get(change.ident, {}).get(change.channel, {})))
    return found


def _validated(file: Own, config: Path, text: str, values: Raw, shipped: Raw) -> None:
    """Ends the command with 1 where the file would have errors, or config.toml more than it has."""
    shown = Document(str(file.path), text, values)
    table, found = carriers.build([(SHIPPED, shipped), (shown.shown, values)])
    wrong = [shown.problem(p.path, p.text, p.remedy) for p in found if p.severity == "error"]
    if not wrong:
        entered = tables.read(file.main, config.parent, [])
        before = carriers.build([(SHIPPED, shipped), (shown.shown, file.values)])[0]
        known = set(check.problems(entered, before))
        wrong = [p for p in check.problems(entered, table) if p not in known]
    if wrong:
        click.echo(render(wrong, file.path), err=True)
        fail('nothing was written; an empty value ("") removes a key')


def _concerned(config: Path, changes: Sequence[Change]) -> dict[str, str]:
    """What follows for each employee whose row was changed; nothing where config.toml has errors of its own."""
    try:
        rules = load(config, secrets=False).rules
    except ConfigError:
        return {}
    today = date.today()  # noqa: DTZ011 - the admin's own calendar
    touched = {(change.ident, change.channel) for change in changes}
    ours = [e for e in rules.employees if touched & {(e.carrier, e.channel), (e.carrier, "")}]
    return {employee.name: _fate(rules, employee, today) for employee in ours}


def _fate(rules: Rules, employee: Employee, today: date) -> str:
    channel = rules.channel(employee)
    paid = employee.fallback == "provider" and any(number.provider in rules.providers for number in rules.numbers)
    other = "the provider texts" if paid else "nothing reaches"
    if channel is None:
        return f"{other} {employee.name}: {employee.carrier} has no {employee.channel} gateway"
    if closed := carriers.routable(channel, today):
        return f"{other} {employee.name}: {closed}"
    if carriers.needs_confirmation(channel):
        first = f"after: gateway carriers confirm {employee.name}"
        return f"{channel.domain} is used for {employee.name} {first}"
    until = f" until {channel.ends.isoformat()}" if channel.ends else ""
    return f"{channel.domain} is used for {employee.name}{until}"


def _rows(file: Own, changes: Sequence[Change], concerned: Mapping[str, str]) -> None:
    employees = [{"name": name, "text": text} for name, text in concerned.items()]
    place = {"file": str(file.path), "created": file.text is None, "employees": employees, "reload": "SIGHUP"}
    print_json({"key": c.path, "old": _plain(c.old), "new": _plain(c.value), **place} for c in changes)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _say(file: Own, changes: Sequence[Change], concerned: Mapping[str, str], *, written: bool) -> None:
    for change in changes:
        old, new = ("nothing" if v is None else str(_plain(v)) for v in (change.old, change.value))
        click.echo(f"{change.path}: {old} -> {new}" if old != new else f"{change.path}: {new}, as it was")
    if not written:
        click.echo(f"{file.path} says so already: it was not written")
        return
    click.echo(f"{file.path} was {'created' if file.text is None else 'changed'}")
    if file.text is None and "carriers" not in file.main.values:
        click.echo(f'add carriers = "{file.path.name}" above the first table of config.toml: then its loss is an error')
    reload = "a running daemon reads it at SIGHUP: systemctl reload gateway, or kill -HUP and its process id"
    click.echo("\n".join([*concerned.values(), reload]))
