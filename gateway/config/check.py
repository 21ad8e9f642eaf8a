"""Rules between keys and tables: names that must exist or be unique, keys that need each other.

Each function answers the problems of one subject.  Warnings about what will happen stand in warn.py.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from pathlib import Path

from gateway.config import secret, unit, wording
from gateway.config.place import Problem
from gateway.config.schema import Sender, Smtp
from gateway.config.tables import M, Placed, Tables, Word
from gateway.core import phone as phones
from gateway.core.carrier import CarrierTable
from gateway.core.model import Phone


def country(tables: Tables) -> str:
    """How a number without a plus is read."""
    return tables.top.model.country if tables.top else "US"


def problems(tables: Tables, carriers: CarrierTable) -> list[Problem]:
    """Everything that is wrong between keys and tables, in no order."""
    found = [
        *_names(tables),
        *_senders(tables),
        *_groups(tables),
        *_phones(tables),
        *_carriers(tables, carriers),
        *_alarms(tables),
        *_listeners(tables),
        *_certificate(tables),
        *_upstream(tables),
    ]
    if tables.top and tables.top.model.domain in carriers.domains:
        text = f"domain: {tables.top.model.domain} is the domain of a carrier"
        found.append(tables.top.problem(("domain",), text, "name the domain whose mail comes to this gateway"))
    return found


def _names(tables: Tables) -> Iterator[Problem]:
    taken: dict[str, Word] = {}
    for name in tables.names:
        first = taken.setdefault(name.text, name)
        if first is not name:
            text = f"the name {name.text!r} is already that of the {first.kind} at {_where(first)}"
            remedy = "names are unique over employees, groups, numbers and templates"
            yield name.document.problem(name.path, text, remedy, at_key=name.kind == "group")


def _where(word: Word) -> str:
    return f"{word.document.shown}:{word.document.line_of(word.path)}"


def _senders(tables: Tables) -> Iterator[Problem]:
    yield from unique(tables.senders, "name", lambda m: m.name)
    yield from unique(tables.senders, "login", lambda m: m.login)
    numbers = tables.named("number")
    for sender in tables.senders:
        listed = isinstance(sender.document.values["sender"][sender.path[1]].get("number"), list)
        for n, name in enumerate(sender.model.number):
            if name not in numbers:
                key = ("number", n) if listed else ("number",)
                yield sender.problem(
                    key, f"sender.number: there is no [[number]] {name!r}", wording.meant(name, numbers, "[[number]]")
                )
        if sender.sound("networks", "login", "password_hash"):
            yield from _credential(sender)


def _credential(sender: Placed[Sender]) -> Iterator[Problem]:
    model = sender.model
    hashing = "make one with: gateway hash-password"
    if not model.networks and not model.login:
        remedy = 'add networks = ["192.168.1.20"], or login and password_hash'
        yield sender.problem((), f"sender {model.name!r} has neither networks nor a login: it could never send", remedy)
    if model.login and not model.password_hash:
        yield sender.problem(("login",), "sender.login needs a password_hash", hashing)
    if model.password_hash is not None:
        if not model.login:
            yield sender.problem(("password_hash",), "sender.password_hash needs a login", 'add login = "jobs"')
        if not secret.legal_hash(model.password_hash):
            yield sender.problem(("password_hash",), "sender.password_hash is not an argon2 hash", hashing)


def _groups(tables: Tables) -> Iterator[Problem]:
    employees = tables.named("employee")
    for group in tables.groups:
        for n, member in enumerate(group.members):
            if member not in employees:
                text = f"groups.{group.name}: there is no employee {member!r}"
                yield group.document.problem((*group.path, n), text, wording.meant(member, employees, "[[employee]]"))


def _phones(tables: Tables) -> Iterator[Problem]:
    home = country(tables)
    taken: dict[Phone, Word] = {}
    for one in tables.phones:
        phone = phones.parse(one.text, home)
        if phone is None:
            text = f"{one.kind}.phone is not a phone number; got {one.text!r}"
            yield one.document.problem(one.path, text, 'write it like "+12025550101"')
        elif phone in taken:
            first = taken[phone]
            text = f"{one.kind}.phone: {phones.shown(phone)} is already that of the {first.kind} at {_where(first)}"
            yield one.document.problem(one.path, text, "a phone belongs to one employee or is one of our numbers")
        else:
            taken[phone] = one


def _carriers(tables: Tables, carriers: CarrierTable) -> Iterator[Problem]:
    for employee in tables.employees:
        wanted = employee.model.carrier
        if wanted and wanted not in carriers.carriers:
            near = get_close_matches(wanted.lower(), carriers.carriers, n=1)
            remedy = f'did you mean "{near[0]}"?' if near else "all are shown by: gateway carriers list"
            yield employee.problem(("carrier",), f"employee.carrier: there is no carrier {wanted!r}", remedy)


def alarm(entry: str, tables: Tables) -> str | None:
    """An entry of alarm_to as mail address or E.164; None when it is neither an address nor an employee's phone."""
    home = country(tables)
    phone = phones.parse(entry, home)
    if phone is not None:
        return phone if phone in {phones.parse(p.text, home) for p in tables.phones if p.kind == "employee"} else None
    return unit.mailbox(entry)


def _alarms(tables: Tables) -> Iterator[Problem]:
    top = tables.top
    for n, entry in enumerate(top.model.alarm_to if top else ()):
        if top and alarm(entry, tables) is None:
            text = f"alarm_to must hold mail addresses or phones of employees; got {entry!r}"
            yield top.problem(("alarm_to", n), text, 'write it like "admin@example.com"; phones only of employees')


def _listeners(tables: Tables) -> Iterator[Problem]:
    taken: dict[object, str] = {}
    for table, keys in ((tables.smtp, ("listen", "listen_tls", "listen_public")), (tables.http, ("public", "admin"))):
        for key in keys if table else ():
            value = getattr(table.model, key) if table else None
            several = isinstance(value, list)
            for n, listener in enumerate(value if isinstance(value, list) else [value]):
                if table and listener and listener.port and listener in taken:
                    text = f"{table.path[0]}.{key}: {listener} is already taken by {taken[listener]}"
                    yield table.problem((key, n) if several else (key,), text, "give it another port")
                if table and listener:
                    taken.setdefault(listener, f"{table.path[0]}.{key}")


def _certificate(tables: Tables) -> Iterator[Problem]:
    smtp = tables.smtp
    if smtp is None or not smtp.sound("listen_tls", "tls_certificate", "tls_key"):
        return
    given = {"tls_certificate": smtp.model.tls_certificate, "tls_key": smtp.model.tls_key}
    alone = [key for key, value in given.items() if value is not None]
    if len(alone) == 1:
        yield smtp.problem((alone[0],), f"smtp.{alone[0]} stands alone", "tls_certificate and tls_key need each other")
    elif not alone and smtp.model.listen_tls:
        remedy = "name the files with tls_certificate and tls_key"
        yield smtp.problem(("listen_tls",), "smtp.listen_tls needs a certificate", remedy)


def certificate(tables: Tables) -> list[Problem]:
    """What is wrong with the files of the certificate; they are opened."""
    smtp = tables.smtp
    if smtp is None or smtp.model.tls_certificate is None or smtp.model.tls_key is None:
        return []
    files = {"tls_certificate": smtp.model.tls_certificate, "tls_key": smtp.model.tls_key}
    found = []
    for key, name in files.items():
        reason = _unreadable(tables.folder / name)
        if reason:
            found.append(smtp.problem((key,), f"smtp.{key}: {tables.folder / name} cannot be read: {reason}"))
    return found or _unusable(smtp, tables.folder / files["tls_certificate"], tables.folder / files["tls_key"])


def _unreadable(path: Path) -> str:
    try:
        with path.open("rb"):
            return ""
    except OSError as error:
        return error.strerror or str(error)
    except ValueError:
        return "no file has NUL in its name"


def _unusable(smtp: Placed[Smtp], chain: Path, key: Path) -> list[Problem]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An empty password, or OpenSSL would ask for it on the terminal.
        context.load_cert_chain(chain, key, password="")
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error.strerror or str(error)
        text = f"smtp.tls_certificate and tls_key cannot be used: {reason.replace('_', ' ').lower()}"
        remedy = "both are PEM files without a password; the certificate first, its chain behind it"
        return [smtp.problem(("tls_certificate",), text, remedy)]
    return []


def _upstream(tables: Tables) -> Iterator[Problem]:
    smtp = tables.smtp
    if smtp is None or not smtp.sound("authserv_id", "upstream"):
        return
    if smtp.model.authserv_id and not smtp.model.upstream:
        remedy = 'name the hosts that write it: upstream = ["192.0.2.25"]'
        yield smtp.problem(
            ("authserv_id",), "smtp.authserv_id needs upstream, or anybody could write that name", remedy
        )
    if smtp.model.upstream and not smtp.model.authserv_id:
        remedy = 'add what its Authentication-Results begin with: authserv_id = "mx.example.com"'
        yield smtp.problem(("upstream",), "smtp.upstream needs authserv_id", remedy)


def unique(tables: list[Placed[M]], key: str, value: Callable[[M], str | None]) -> Iterator[Problem]:
    """A problem at each table whose value of `key` another one before it has."""
    seen: set[str] = set()
    for table in tables:
        found = value(table.model)
        if found in seen:
            yield table.problem(
                (key,), f"another [[{table.path[0]}]] has the {key} {found!r}", f"give each its own {key}"
            )
        if found:
            seen.add(found)
