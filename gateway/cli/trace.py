"""gateway trace: what happened to this message?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import click

from gateway.cli.common import ask, config_option, json_option, load, print_json

Row = Mapping[str, Any]
_INDENT = " " * 21


def command() -> click.Command:
    """The command `trace`."""
    return trace


@click.command(
    help="The whole story of PHONE (or an employee's name) or ID: mail in, what was cut away, which rule chose the "
    "route, each attempt and its answer, receipts, replies.  ID is any id that the gateway or the provider has shown."
)
@click.argument("what", metavar="PHONE|ID")
@json_option
@config_option
def trace(what: str, as_json: bool, config_path: str | None) -> None:
    rows = ask(load(config_path, secrets=False), "trace", what=what)["rows"]
    if as_json:
        print_json(rows)
    else:
        story(rows)


def story(rows: Iterable[Row]) -> None:
    """The story in the order of time, a paragraph for each thing that happened; times are local."""
    for row in rows:
        for line in _TOLD[row["what"]](row):
            click.echo(line)


def _head(row: Row, text: str) -> str:
    return f"{click.style(_time(row['at']), dim=True)}  {text}"


def _more(*pairs: tuple[str, object]) -> list[str]:
    found = []
    for name, value in pairs:
        if value not in (None, "", [], 0):
            first, *rest = str(value).splitlines() or [""]
            found.append(f"{_INDENT}{name}: {first}")
            found += [f"{_INDENT}{' ' * (len(name) + 2)}{line}" for line in rest]
    return found


def _inbound(row: Row) -> list[str]:
    if row["kind"] == "mail":
        envelope = row["envelope"]
        to = ", ".join(r["address"] for r in envelope["recipients"])
        words = f"mail in    {row['id']}  from {envelope['mail_from'] or '<>'} to {to}"
        return [
            _head(row, click.style(words, bold=True)),
            *_more(("peer", row["peer"]), ("sender", row["sender"]), ("parked", row["parked"]), ("note", row["note"])),
        ]
    event = row["event"]
    if "text" in event:
        words = f"text in    {row['id']}  from {event['author']} to {event['number']}"
        return [_head(row, click.style(words, bold=True)), *_more(("text", event["text"]))]
    words = f"status in  {row['id']}: {event['status']} {event['code']}".rstrip()
    return [_head(row, words)]


def _message(row: Row) -> list[str]:
    # A text goes to a person; everything else is a mail, whoever it is about.
    text = row["kind"] == "text" or not row["recipient"].count("@")
    who = row["person"] or row["phone"] or row["recipient"] if text else row["recipient"]
    return [
        _head(row, f"{row['kind']:<10} {row['id']}  to {who}"),
        *_more(
            ("written to", row["recipient"]),
            ("rule", row["rule"]),
            ("subject", row["subject"]),
            ("text", row["text"]),
            ("cut away", row["cut"]),
            ("conversation", row["conversation"]),
            ("bad ends go to", row["report_to"]),
        ),
    ]


def _delivery(row: Row) -> list[str]:
    colour = {"delivered": "green", "handed_over": "green", "failed": "red", "refused": "red", "expired": "red"}
    fate = click.style(row["fate"], fg=colour.get(row["fate"], "yellow"))
    why = f" ({row['reason']})" if row["reason"] else ""
    due = f", due {_time(row['due_at'])}" if row["fate"] in ("waiting", "unknown") else ""
    lines = [_head(row, f"delivery   {row['id']}  by {row['courier']} to {row['to']}: {fate}{why}{due}")]
    for attempt in row["attempts"]:
        answer = " ".join(
            str(v) for v in (attempt["outcome"], attempt["code"], attempt["note"], attempt["remote_id"]) if v
        )
        lines.append(f"{_time(attempt['started_at'])}    attempt {attempt['attempt']}, {attempt['ms']} ms: {answer}")
    for receipt in row["receipts"]:
        said = receipt["note"] or receipt["fate"]
        kept = "" if receipt["changed"] else " (changed nothing)"
        lines.append(f"{_time(receipt['at'])}    receipt from {receipt['source']}: {said}{kept}")
    if not row["attempts"]:
        lines += _more(("code", row["code"]), ("why", row["note"]))
    return lines


def _consent(row: Row) -> list[str]:
    words = {"grant": "agreed", "revoke": "opted out", "stop": "said STOP", "start": "said START"}[row["action"]]
    said = f"{row['phone']} {words} ({row['klass']}, {row['method']}, recorded by {row['recorded_by']})"
    return [_head(row, f"consent    {said}"), *_more(("evidence", row["evidence"]), ("wrote", row["raw"]))]


_TOLD = {"inbound": _inbound, "message": _message, "delivery": _delivery, "consent": _consent}


def _time(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}" if text else " " * 19
