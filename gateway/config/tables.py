"""The tables of config.toml and employees.toml.  Each is read on its own: a bad one hides nothing in the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from gateway.config import document, schema, unit, wording
from gateway.config.document import Document
from gateway.config.place import KeyPath, Problem
from gateway.core import address as addresses

M = TypeVar("M", bound=BaseModel)

_CALLED = ("employee", "number")
_NAMED = ("employee", "number", "template")  # their names and those of groups live in one space


@dataclass(frozen=True, slots=True)
class Placed(Generic[M]):
    """A table that could be read, and where it stands."""

    model: M
    document: Document
    path: KeyPath
    bad: frozenset[str] = frozenset()  # keys whose values are wrong: their defaults stand in

    def sound(self, *keys: str) -> bool:
        """Whether a rule between these keys can be judged."""
        return self.bad.isdisjoint(keys)

    def problem(self, key: KeyPath, text: str, remedy: str = "", *, severity: str = "error") -> Problem:
        """A problem at a key of the table; () is the table itself."""
        return self.document.problem((*self.path, *key), text, remedy, severity=severity)


@dataclass(frozen=True, slots=True)
class Word:
    """A name or a phone that somebody bears, read even where the rest of his table is wrong."""

    kind: str  # employee | group | number | template
    text: str
    document: Document
    path: KeyPath


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    members: tuple[str, ...]
    document: Document
    path: KeyPath


@dataclass(slots=True)
class Tables:
    """All that the files say.  A table that could not be read is None or left out, and has a Problem."""

    document: Document
    folder: Path  # what relative paths are relative to
    top: Placed[schema.Top] | None = None
    smtp: Placed[schema.Smtp] | None = None
    http: Placed[schema.Http] | None = None
    relay: Placed[schema.Relay] | None = None
    dkim: Placed[schema.Dkim] | None = None  # None also when there is no [dkim]
    dns: Placed[schema.Dns] | None = None
    twilio: Placed[schema.Twilio] | None = None  # None also when there is no [twilio]
    flowroute: Placed[schema.Flowroute] | None = None  # likewise
    text: Placed[schema.Text] | None = None
    replies: Placed[schema.Replies] | None = None
    policy: Placed[schema.Policy] | None = None
    retention: Placed[schema.Retention] | None = None
    senders: list[Placed[schema.Sender]] = field(default_factory=list)
    numbers: list[Placed[schema.Number]] = field(default_factory=list)
    employees: list[Placed[schema.Employee]] = field(default_factory=list)
    rules: list[Placed[schema.Rule]] = field(default_factory=list)
    templates: list[Placed[schema.Template]] = field(default_factory=list)
    answers: list[Placed[schema.Answer]] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    names: list[Word] = field(default_factory=list)
    phones: list[Word] = field(default_factory=list)  # as written

    def named(self, *kinds: str) -> list[str]:
        """The names of those kinds."""
        return [name.text for name in self.names if name.kind in kinds]

    @property
    def providers(self) -> frozenset[str]:
        """Those with an account, be its table right or wrong."""
        return frozenset({"twilio", "flowroute"} & self.document.values.keys())


def read(main: Document, folder: Path, problems: list[Problem]) -> Tables:
    """The tables of config.toml and of the file of employees that it names; what is wrong is added to `problems`."""
    found = Tables(main, folder)
    apart = (*schema.TABLES, *schema.LISTS, "groups")
    loose = {key: value for key, value in main.values.items() if key not in apart}
    found.top = _table(schema.Top, loose, main, (), problems, known=schema.NAMES)

    def table(model: type[M], key: str) -> Placed[M] | None:
        return _table(model, main.values.get(key, {}), main, (key,), problems)

    found.smtp, found.http = table(schema.Smtp, "smtp"), table(schema.Http, "http")
    found.relay, found.dns = table(schema.Relay, "relay"), table(schema.Dns, "dns")
    found.dkim = table(schema.Dkim, "dkim") if "dkim" in main.values else None
    found.twilio = table(schema.Twilio, "twilio") if "twilio" in main.values else None
    found.flowroute = table(schema.Flowroute, "flowroute") if "flowroute" in main.values else None
    found.text, found.replies = table(schema.Text, "text"), table(schema.Replies, "replies")
    found.policy, found.retention = table(schema.Policy, "policy"), table(schema.Retention, "retention")
    found.senders = _list(schema.Sender, "sender", main, problems)
    found.numbers = _list(schema.Number, "number", main, problems)
    found.rules = _list(schema.Rule, "rule", main, problems)
    found.templates = _list(schema.Template, "template", main, problems)
    found.answers = _list(schema.Answer, "answer", main, problems)
    for source in [main, *_employees_file(found, problems)]:
        found.employees += _list(schema.Employee, "employee", source, problems)
        found.groups += _groups(source, problems)
        found.names += _words(source, "name", _NAMED) + _group_names(source)
        found.phones += _words(source, "phone", _CALLED)
    return found


def _table(
    model: type[M],
    values: object,
    source: Document,
    path: KeyPath,
    problems: list[Problem],
    *,
    known: tuple[str, ...] = (),
) -> Placed[M] | None:
    try:
        return Placed(model.model_validate(values), source, path)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    fields = known or schema.names(model)
    problems += [wording.problem(e, source, path, fields) for e in errors]
    if not isinstance(values, Mapping):
        return None
    bad = frozenset(str(e["loc"][0]) for e in errors)
    try:
        right = {key: value for key, value in values.items() if key not in bad}
        return Placed(model.model_validate(right), source, path, bad)
    except ValidationError:
        return None


def _list(model: type[M], key: str, source: Document, problems: list[Problem]) -> list[Placed[M]]:
    values = source.values.get(key, [])
    if not isinstance(values, list):
        text = f"{key} must be a list of tables; got {wording.shown(values)}"
        problems.append(source.problem((key,), text, f"write [[{key}]] above each of them"))
        return []
    placed = [_table(model, value, source, (key, n), problems) for n, value in enumerate(values)]
    return [item for item in placed if item is not None]


def _employees_file(found: Tables, problems: list[Problem]) -> list[Document]:
    named = found.top.model.employees if found.top else None
    source = document.read_named(found.folder / (named or "employees.toml"), "employees", found.document, problems)
    if source is None:
        return []
    allowed = ("employee", "groups")
    problems += [wording.unknown(source, (key,), allowed) for key in source.values if key not in allowed]
    return [source]


def _groups(source: Document, problems: list[Problem]) -> list[Group]:
    values = source.values.get("groups", {})
    if not isinstance(values, Mapping):
        text = f"groups must be a table; got {wording.shown(values)}"
        problems.append(source.problem(("groups",), text, "write [groups] above them"))
        return []
    found = []
    for name, members in values.items():
        path: KeyPath = ("groups", name)
        if not addresses.legal_name(name):
            text = f"{name!r} is not a possible name for a group"
            problems.append(source.problem(path, text, unit.NAMING, at_key=True))
        elif not isinstance(members, list) or not members or not all(isinstance(m, str) for m in members):
            text = f"groups.{name} must be a list of one name or more; got {wording.shown(members)}"
            problems.append(source.problem(path, text, f'write {name} = ["alice", "bob"]'))
        else:
            found.append(Group(name, tuple(members), source, path))
    return found


def _words(source: Document, key: str, kinds: tuple[str, ...]) -> list[Word]:
    found: list[Word] = []
    for kind in kinds:
        values: Any = source.values.get(kind)
        for n, value in enumerate(values if isinstance(values, list) else ()):
            if isinstance(value, Mapping) and isinstance(value.get(key), str):
                found.append(Word(kind, value[key], source, (kind, n, key)))
    return found


def _group_names(source: Document) -> list[Word]:
    groups = source.values.get("groups")
    names = groups if isinstance(groups, Mapping) else ()
    return [Word("group", name, source, ("groups", name)) for name in names]
