"""gateway preview: what a mail would do, before anything is sent."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

import click

from gateway.cli.common import ask, config_option, json_option, load, print_json, printable

_LINE, _BELOW = "\n", "\n" + " " * 19  # the lines of a text stand below each other


def command() -> click.Command:
    """The command `preview`."""
    return preview


@click.command(
    help="Show what a mail to TO would do.  MAIL is a file with a whole mail, - reads it from standard input."
)
@click.argument("to", metavar="TO")
@click.argument("mail", metavar="[MAIL]", type=click.File("rb"), required=False)
@click.option("--sender", default="", help="In whose name; default the first [[sender]].")
@json_option
@config_option
def preview(to: str, mail: BinaryIO | None, sender: str, as_json: bool, config_path: str | None) -> None:
    raw = base64.b64encode(mail.read()).decode() if mail is not None else ""
    rows = ask(load(config_path, secrets=False), "preview", to=to, mail=raw, sender=sender)["rows"]
    if as_json:
        print_json(rows)
    else:
        for n, row in enumerate(printable(rows)):
            click.echo(("\n" if n else "") + _shown(row))


def _shown(row: dict[str, Any]) -> str:
    route = row["route"] or {}
    way = " ".join(
        str(v) for v in (route.get("courier"), route.get("carrier") or route.get("number"), route.get("address")) if v
    )
    lines = [
        ("to", row["to"]),
        ("who", " ".join(str(v) for v in (row["kind"], row["person"]) if v)),
        ("route", way),
        ("rule", row["rule"]),
        ("consent", row["consent"]),
        ("text", row["text"]),
        *(("as a mail", part) for part in row.get("parts", []) if row["parts"] != [row["text"]]),
        ("cut away", row["cut"]),
        ("size", f"{row['segments']} segments, {row['units']} units, {row['encoding']}"),
        ("costly characters", " ".join(row["costly"])),
        ("pictures", row["pictures"]),
        ("price", row["price"]),
        ("goes", _later(row["due_at"])),
        ("refused", row["refused"]),
        *(("warning", words) for words in row["warnings"]),
    ]
    return "\n".join(f"{name:>17}: {str(value).replace(_LINE, _BELOW)}" for name, value in lines if value)


def _later(due: str | None) -> str:
    """When it would go, local time, where that is not at once."""
    if not due:
        return ""
    at = datetime.fromisoformat(due)
    return (
        f"{at.astimezone():%Y-%m-%d %H:%M}, after quiet hours" if at > datetime.now(UTC) + timedelta(minutes=1) else ""
    )
