"""gateway report: what was used, and what became of it."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from gateway.cli.common import ask, config_option, fail, json_option, load, print_json, table

USAGE = (
    "month",
    "sender",
    "number",
    "texts_out",
    "segments_out",
    "texts_in",
    "segments_in",
    "cost",
    "budget_left_day",
    "budget_left_month",
)
GROUP = ("month", "sender", "number", "courier", "kind")


def command() -> click.Command:
    """The group `report`."""
    return report


@click.group(help="Count texts, segments and cost, and what became of them, by month.")
def report() -> None:
    """The group itself does nothing."""


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    function = click.option("--month", default="", metavar="YYYY-MM", help="One month; default the last twelve.")(
        function
    )
    function = click.option("--csv", "as_csv", is_flag=True, help="CSV, for spreadsheets.")(function)
    return json_option(config_option(function))


@report.command(help="Texts and segments out and in, cost and budget left, by month, sender and number.")
@_options
def usage(month: str, as_csv: bool, as_json: bool, config_path: str | None) -> None:
    _one_form(as_csv, as_json)
    rows = ask(load(config_path, secrets=False), "report.usage", month=month)["rows"]
    _print(rows, USAGE, as_csv, as_json)


@report.command(help="How many deliveries came to which end, by month, sender, number and courier.")
@click.option("--sender", default="", help="Those of one sender.")
@_options
def deliveries(month: str, sender: str, as_csv: bool, as_json: bool, config_path: str | None) -> None:
    from gateway.core.model import Fate

    _one_form(as_csv, as_json)
    rows = ask(load(config_path, secrets=False), "report.deliveries", month=month, sender=sender)["rows"]
    fates = [str(fate) for fate in Fate]
    if not as_csv and not as_json:
        # A person reads what there is; programs and spreadsheets want the same columns each time.
        fates = [fate for fate in fates if any(row[fate] for row in rows)]
    _print(rows, (*GROUP, *fates), as_csv, as_json)


def _one_form(as_csv: bool, as_json: bool) -> None:
    if as_csv and as_json:
        fail("--csv and --json are two forms of the same: name one", 2)


def _print(rows: Sequence[dict[str, Any]], columns: Sequence[str], as_csv: bool, as_json: bool) -> None:
    if as_json:
        print_json(rows)
    elif as_csv:
        out = csv.writer(sys.stdout, lineterminator="\n")
        out.writerow(columns)
        out.writerows([row[name] for name in columns] for row in rows)
    elif rows:
        table(columns, ([row[name] for name in columns] for row in rows))
    else:
        click.echo("Nothing was sent or received.")
