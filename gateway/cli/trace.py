"""gateway trace: what happened to this message?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from gateway.cli.common import ask, config_option, json_option, load, print_json, printable

Row = Mapping[str, Any]
_INDENT = " " * 21


def command() -> click.Command:
    """The command `trace`."""
    return trace


@click.command(
    help="The whole story of PHONE (or an employee's name) or ID: mail in, what was cut away, which rule chose the "
    "route, each attempt and its answer, receipts, replies.  ID is any id that the gateway or the provider has shown: "
    "of a mail, message, delivery, conversation or question, a Message-ID or an address of ours, a text address."
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
    for row in printable(list(rows)):
        for line in _TOLD[row["what"]](row):
            click.echo(line.replace("\n", " "))


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
            *_more(
                ("peer", row["peer"]),
                ("sender", row["sender"]),
                ("proven by", row["proven"]),
                ("parked", row["parked"]),
                ("note", row["note"]),
            ),
        ]
    event = row["event"]
    if "text" in event:
        words = f"text in    {row['id']}  from {event['author']} to {event['number']}"
        told = ("text", event["text"]), ("pictures or files", len(event.get("media", ())))
        return [_head(row, click.style(words, bold=True)), *_more(*told, ("note", row["note"]))]
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
            ("class", row["klass"] if row["klass"] != "informational" else ""),
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
    unfinished = row["fate"] in ("waiting", "unknown", "held")
    lines += _more(
        ("why this mailbox", "the one before did not take the mail" if _is_second_mailbox(row) else ""),
        ("part", row.get("text")),
        ("pictures", row.get("pictures")),
        ("waits", _WAITS.get(row["reason"], "") if unfinished else ""),
    )
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


def _is_second_mailbox(row: Row) -> bool:
    """A reply has a second delivery only when its first mailbox failed."""
    return row["kind"] == "reply" and not str(row["id"]).endswith(".1")


def _consent(row: Row) -> list[str]:
    words = _SAID_BY.get((row["action"], row["method"]), _ACTIONS[row["action"]])
    said = f"{row['phone']} {words} ({row['klass']}, {row['method']}, recorded by {row['recorded_by']})"
    where = "sent to" if "@" in row["number"] else "our number"
    told = (where, row["number"]), ("evidence", row["evidence"]), ("wrote", row["raw"])
    return [_head(row, f"consent    {said}"), *_more(*told)]


def _confirmation(row: Row) -> list[str]:
    if row["works"]:
        return [
            _head(row, f"address    {row['address']} confirmed by {row['how']}, {row['by']}"),
            *_more(("note", row["note"])),
        ]
    return [_head(row, f"address    {row['address']} gone: {row['note'] or row['by']}"), *_more(("said by", row["by"]))]


def _question(row: Row) -> list[str]:
    if row["kind"] in _OF_ADDRESSES:
        about = _OF_ADDRESSES[row["kind"]].format(address=next(iter(row["options"]), ""), text=row["text"])
        return [_head(row, f"question   {row['id']}  {about}: {_answer(row)}")]
    about = "which job is meant" if row["kind"] == "job" else "whether it was a wish not to be texted"
    offered = ", ".join(f"{n} = conversation {token}" for n, token in enumerate(row["options"], 1))
    return [
        _head(row, f"question   {row['id']}  {about}: {_answer(row)}"),
        *_more(("about", row["text"]), ("offered", offered), ("waits for it", ", ".join(row["deliveries"]))),
    ]


def _answer(row: Row) -> str:
    if row["answered_at"]:
        return f"answered {row['answer']} at {_time(row['answered_at'])}"
    closed = datetime.fromisoformat(row["closes_at"]) <= datetime.now(UTC)
    return f"not answered, {'closed' if closed else 'open until'} {_time(row['closes_at'])}"


_OF_ADDRESSES = {
    "test": "whether {address} works, by a text with the code {text}",
    "enroll": "whether the phone, which wrote to enroll@, is an employee's at {address}",
}
_ACTIONS = {
    "grant": "agreed",
    "revoke": "opted out",
    "stop": "said STOP",
    "start": "said START",
    "suspend": "perhaps asked not to be texted",
    "resume": "did not ask to stop",
    "block": "is blocked by the provider for one number of ours",
}
_SAID_BY = {  # by action and method, where the person's own word was not the cause
    ("stop", "provider"): "is opted out, says the provider",
    ("stop", "mail"): "is opted out: the shop answered yes",
    ("resume", "mail"): "did not ask to stop: the shop answered no",
    ("suspend", "provider"): "perhaps asked not to be texted, says the provider",
    ("grant", "job_system"): "agreed, says the job system",
}
_WAITS = {  # by Delivery.reason: what an unfinished one waits for, and who can do something about it
    "retry": "it is tried again by itself",
    "quiet hours": "for the end of quiet hours where the phone is: [policy] quiet_hours",
    "asked which job": "for the person's answer to which job is meant, or until that time",
    "pacing": "for its turn: the number sends as fast as [[number]] segments_per_second allows",
    "relay": "for the mail relay, which takes nothing from us now; it goes as soon as that does",
    "paused": "for its carrier, which refuses our texts; gateway queue retry lets one text try at once",
    "lookup": "the answer to its sending was lost; it is being looked up at the provider",
    "flood": "for a person: gateway queue release or cancel; the flood brake held it",
    "budget": "for a person: gateway queue release or cancel; the sender's budget is used up",
    "unknown": "for a person: it may have been sent; see the provider's log, then release or cancel it",
    "restored": "for a person: the database is from a backup; see the provider's log, then release or cancel it",
}
_TOLD = {
    "inbound": _inbound,
    "message": _message,
    "delivery": _delivery,
    "consent": _consent,
    "question": _question,
    "confirmation": _confirmation,
}


def _time(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M:%S}" if text else " " * 19
