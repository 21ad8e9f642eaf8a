"""[[rule]], [[template]] and [[answer]]: what is wrong between their keys, and what becomes of them in core."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gateway.config import check, schema
from gateway.config.place import KeyPath, Problem
from gateway.config.tables import M, Placed, Tables
from gateway.config.wording import meant
from gateway.core import rules

_CHOSEN = ("number", "class", "template", "job")
_CONDITIONS = ("number", "keyword", "days", "hours")
_DONE = ("text", "subject_tag", "header")


def problems(tables: Tables) -> list[Problem]:
    """Everything that is wrong with them, in no order."""
    return [*_rules(tables), *_answers(tables)]


def _rules(tables: Tables) -> Iterator[Problem]:
    senders = [s.model.name for s in tables.senders]
    templates = tables.named("template")
    for rule in tables.rules:
        model = rule.model
        yield from _named(rule, "sender", model.sender, senders)
        yield from _named(rule, "number", model.number, tables.named("number"))
        if model.template is not None and model.template not in templates:
            text = f"rule.template: there is no [[template]] {model.template!r}"
            yield rule.problem(("template",), text, meant(model.template, templates, "[[template]]"))
        chosen = model.number or model.klass or model.template is not None or model.job
        if rule.sound(*_CHOSEN) and not chosen:
            remedy = f"add what it is for: {', '.join(_CHOSEN[:-1])} or {_CHOSEN[-1]}"
            yield rule.problem((), "this [[rule]] chooses nothing for the mails that fit", remedy)


def _answers(tables: Tables) -> Iterator[Problem]:
    yield from check.unique(tables.answers, "name", lambda m: m.name)
    for answer in tables.answers:
        model = answer.model
        yield from _named(answer, "number", model.number, tables.named("number"))
        if answer.sound(*_DONE) and not (model.text or model.subject_tag or model.header):
            remedy = 'add text = "...", subject_tag = "..." or header = "X-Shop: closed"'
            yield answer.problem((), f"answer {model.name!r} does nothing", remedy)
        conditions = model.number or model.keyword or model.days or model.hours
        if answer.sound(*_CONDITIONS) and not conditions and len(tables.answers) > 1:
            text = f"answer {model.name!r} fits every text: among several each needs a condition"
            remedy = f"add when it fits: {', '.join(_CONDITIONS[:-1])} or {_CONDITIONS[-1]}"
            yield answer.problem((), text, remedy)


def _named(table: Placed[M], key: str, names: tuple[str, ...], known: list[str]) -> Iterator[Problem]:
    kind, n = str(table.path[0]), table.path[1]
    listed = isinstance(table.document.values[kind][n].get(key), list)
    for at, name in enumerate(names):
        if name not in known:
            path: KeyPath = (key, at) if listed else (key,)
            text = f"{kind}.{key}: there is no [[{key}]] {name!r}"
            yield table.problem(path, text, meant(name, known, f"[[{key}]]"))


def rule(placed: Placed[schema.Rule]) -> rules.Rule:
    """The rule of a table without errors."""
    model = placed.model
    return rules.Rule(
        place=_place(placed),
        senders=model.sender,
        to=model.to,
        subject=model.subject,
        numbers=model.number,
        klass=model.klass or "",
        template=model.template or "",
        job=model.job,
    )


def template(placed: Placed[schema.Template]) -> rules.Template:
    """The template of a table without errors."""
    model = placed.model
    return rules.Template(place=_place(placed), name=model.name, text=model.text, patterns=dict(model.patterns))


def answer(placed: Placed[schema.Answer]) -> rules.Answer:
    """The answer of a table without errors."""
    model = placed.model
    return rules.Answer(
        place=_place(placed),
        name=model.name,
        numbers=model.number,
        keywords=model.keyword,
        days=tuple(dict.fromkeys(model.days)),
        hours=model.hours,
        text=model.text,
        subject_tag=model.subject_tag or "",
        header=model.header,
    )


def _place(placed: Placed[M]) -> str:
    """Where a person finds it: "config.toml:41"."""
    return f"{Path(placed.document.shown).name}:{placed.document.line_of(placed.path)}"
