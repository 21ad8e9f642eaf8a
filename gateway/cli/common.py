"""What the commands share: options, asking the daemon, and printing."""

from __future__ import annotations

import asyncio
import getpass
import http.client
import json
import os
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

NO = 1
UNAVAILABLE = 69
BAD_CONFIG = 78


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--config after the verb."""
    return click.option("-c", "--config", "config_path", type=click.Path(), help="config.toml")(command)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """--json: one object a line, for programs."""
    return click.option("--json", "as_json", is_flag=True, help="JSON lines, for programs.")(command)


def load(config_path: str | None, *, secrets: bool = True) -> Any:
    """The configuration; its problems are printed and end the command with 78."""
    from gateway.config import ConfigError
    from gateway.config import load as load_config

    path = config_path or click.get_current_context().find_root().obj
    try:
        return load_config(Path(path) if path else None, secrets=secrets)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(BAD_CONFIG)


def ask(config: Any, verb: str, *, offline: bool = True, **arguments: Any) -> dict[str, Any]:
    """The daemon's answer, or without a daemon the answer from the store under the state lock; a no ends it."""
    answer = ask_daemon(config, verb, **arguments)
    if answer is None:
        if not offline:
            fail(f"no daemon answers at {config.state / 'control.sock'}: start it with gateway serve", UNAVAILABLE)
        answer = _said_yes(_from_store(config, verb, arguments))
    return answer


def ask_daemon(config: Any, verb: str, *, wait_seconds: float = 60, **arguments: Any) -> dict[str, Any] | None:
    """The daemon's answer, or None without a daemon; a no ends the command, and so do words that are not UTF-8."""
    for name, value in arguments.items():
        if isinstance(value, str) and not _encodable(value):
            fail(f"{name} is not UTF-8: write it anew, or set the terminal to UTF-8", 2)
    answer = _from_daemon(config, verb, arguments, wait_seconds)
    return None if answer is None else _said_yes(answer)


def _encodable(words: str) -> bool:
    """Whether no byte of the command line stands in it as a lone surrogate, which no file can keep (PEP 383)."""
    return not any("\ud800" <= letter <= "\udfff" for letter in words)


def _said_yes(answer: dict[str, Any]) -> dict[str, Any]:
    if "error" in answer:
        fail(answer["error"], int(answer.get("exit", NO)))
    return answer


def _from_store(config: Any, verb: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    from gateway import events, house

    events.setup(sys.stderr, level="warning")
    try:
        return asyncio.run(house.offline(config, verb, dict(arguments)))
    except house.StartError as error:
        fail(error.text, error.exit_code)


def _from_daemon(config: Any, verb: str, arguments: Mapping[str, Any], wait_seconds: float) -> dict[str, Any] | None:
    path = config.state / "control.sock"
    try:
        return exchange(path, verb, arguments, wait_seconds)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except PermissionError:
        fail(f"{path} belongs to another user: run the command as the gateway's user, or as root", NO)
    except (OSError, http.client.HTTPException, ValueError) as error:
        fail(f"the daemon at {path} did not answer: {error}", UNAVAILABLE)


def exchange(path: Path, verb: str, arguments: Mapping[str, Any], wait_seconds: float) -> dict[str, Any]:
    """The answer of the daemon at the socket `path`, a no too.

    Raises FileNotFoundError or ConnectionRefusedError without a daemon; OSError, HTTPException or ValueError where it
    gives no answer.
    """
    connection = _Unix(path, wait_seconds)
    body = json.dumps({"verb": verb, "arguments": {**arguments}}).encode()
    try:
        connection.request("POST", "/command", body, {"Content-Type": "application/json"})
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return answer


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: Path, wait_seconds: float) -> None:
        super().__init__("localhost", timeout=wait_seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        # A socket's path is bound to about 100 bytes; from its folder the name is short enough everywhere.
        self.sock.connect(_short(self._path))


def _short(path: Path) -> str:
    return min(str(path), os.path.relpath(path), key=len)


def fail(text: str, code: int = NO) -> NoReturn:
    """Prints the sentence to stderr and ends with the code."""
    click.echo(f"gateway: {plain(text, lines=True)}", err=True)
    sys.exit(code)


def actor() -> str:
    """Who gives the command, for the record."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def plain(words: str, *, lines: bool = False) -> str:
    """`words` without control characters: a stranger's text must not steer the terminal.  LF stays with `lines`."""
    return "".join(c if c.isprintable() or (lines and c == "\n") else " " for c in words)


def printable(value: Any) -> Any:
    """The same rows, lists and strings, each string `plain` with its lines."""
    match value:
        case str():
            return plain(value, lines=True)
        case Mapping():
            return {key: printable(each) for key, each in value.items()}
        case list() | tuple():
            return [printable(each) for each in value]
    return value


def print_json(rows: Iterable[Mapping[str, Any]]) -> None:
    """One object a line."""
    for row in rows:
        click.echo(json_line(row))


def json_line(row: Mapping[str, Any]) -> str:
    """The object on one line; on a terminal in ASCII, because JSON lets DEL and the controls from U+0080 on stand."""
    return json.dumps(row, ensure_ascii=sys.stdout.isatty())


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table for people; plain columns where nobody looks at a terminal.  Cells are words, never rich's markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, markup=False, emoji=False)
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        made.add_column(name, overflow="fold")
    for row in rows:
        made.add_row(*(Text("" if cell is None else plain(str(cell))) for cell in row))
    if not console.is_terminal:
        console.width = 200
    console.print(made)
