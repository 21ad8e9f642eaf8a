"""A phone wrote to enroll@: its own mail tells number and carrier, and the admin is asked what to make of it.

No text goes to the phone, and nothing is recorded before a person has said yes: From can be forged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from gateway.core import address as addresses
from gateway.core import admit, brandname, doubt, notice
from gateway.core import carrier as carriers
from gateway.core import phone as phones
from gateway.core.carrier import CarrierTable, Channel
from gateway.core.desk import Desk, refused
from gateway.core.intent import Answered, Enroll, mailboxes
from gateway.core.model import Confirmation, Kind, Phone, Question
from gateway.core.rules import Employee, Rules
from gateway.core.work import Writes

OPEN_FOR = timedelta(days=30)
_SHOWN = 300  # characters of what the phone wrote that the admin sees
_ANSWER = re.compile(r"\W*([^\W\d_]+)(.*)")
_COURTESY = frozenset({"", "please", "thanks", "thx", "sir"})  # words that may stand where a name does


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    """What a question is about."""

    phone: Phone
    row: Channel | None  # the gateway that was picked; None where the table has none with an address
    address: str  # of the phone at that gateway; "" where none is known
    proof: str  # that the phone wrote; "" = nothing proves it


def row_of(ids: Sequence[str], domain: str, table: CarrierTable) -> Channel | None:
    """The gateway of a phone that writes from `domain`, as the carriers with these ids have it.

    Several brands share a domain, and it is the same gateway: the carrier whose own domain it is comes first, among
    those the one whose network it is, then who took others over.  Of its gateways sms comes first, since a phone's
    mails bear the mms domain also where it is texted by sms.  None where none of them has an address.
    """
    rows = [row for ident in ids if (row := _texted(table, ident)) is not None]
    return min(rows, key=lambda row: _rank(row, domain, ids, table), default=None)


def _texted(table: CarrierTable, ident: str) -> Channel | None:
    channels = table.carriers[ident].channels
    rows = (channels.get(name) for name in carriers.CHANNELS)
    return next((row for row in rows if row is not None and row.address), None)


def _rank(row: Channel, domain: str, ids: Sequence[str], table: CarrierTable) -> tuple[bool, bool, bool, str]:
    carrier = table.carriers[row.carrier]
    own = any(channel.domain == domain for channel in carrier.channels.values())
    return not own, not brandname.hosts(row.carrier), carrier.successor in ids, row.carrier


def asked(intent: Enroll, desk: Desk) -> Writes:
    """The question to the admin's mailboxes; nothing while one is open that says as much.

    It takes the place of those about that phone that say something else, but never of a proven one where nothing proves
    it: else a forged mail could take back what the phone has shown.
    """
    phone, boxes, found = intent.phone, mailboxes(desk.rules), _found(intent, desk)
    before = [q for q in desk.facts.questions.values() if q.kind == "enroll" and q.phone == phone and _is_open(q, desk)]
    if any(_says_as_much(q, found) for q in before):
        desk.notes.append(f"{intent.recipient.address}: the admin has been asked about {phone}, and has not answered")
        return Writes()
    if not boxes:
        desk.notes.append(f"{intent.recipient.address}: alarm_to names no mail address, so nobody was asked")
        return Writes()
    question = Question(
        id=next(desk.tokens),
        kind="enroll",
        phone=phone,
        number="",
        asked_at=desk.now,
        closes_at=desk.now + OPEN_FOR,
        text=found.row.carrier if found.row else "",
        options=(found.address, found.proof),
    )
    old = [q for q in before if found.proof or not q.options[1]]
    text = "\n".join([*_wrote(intent, found, desk), *_earlier(before, old), *_choice(found, desk)])
    joined = Writes(questions=(*(replace(q, answered_at=desk.now, answer=admit.SUPERSEDED) for q in old), question))
    for to in boxes:
        joined = joined.joined(_mail(desk.next_id(), Kind.QUESTION, to, phone, text, desk, token=question.id))
    return joined


def _is_open(question: Question, desk: Desk) -> bool:
    return question.answered_at is None and question.closes_at > desk.now


def _says_as_much(question: Question, found: _Finding) -> bool:
    """Whether the question is about the same address, and no worse proven."""
    address, proof = question.options
    return address == found.address and (bool(proof) or not found.proof)


def _found(intent: Enroll, desk: Desk) -> _Finding:
    employee, rules = desk.rules.employee_at(intent.phone), desk.rules
    entered = rules.channel(employee) if employee and employee.carrier in intent.carriers else None
    domain = addresses.mail_domain(intent.address)
    row = entered if entered and entered.address else row_of(intent.carriers, domain, rules.carriers)
    address = carriers.render(row, intent.phone) if row else None
    return _Finding(phone=intent.phone, row=row, address=address or "", proof=desk.mail.proven)


def _mail(
    ident: str, kind: Kind, to: str, phone: Phone, text: str, desk: Desk, *, token: str = "", about: str = ""
) -> Writes:
    """One mail about a phone; with a `token` it can be answered."""
    subject = f"{phones.shown(phone)} wrote to enroll@{desk.rules.domain}"
    told = notice.told_message(ident, kind, None, to, subject, text, desk.now, desk.mail.id)
    return doubt.mail(told, token, desk.rules, desk.now, about=about)


def _wrote(intent: Enroll, found: _Finding, desk: Desk) -> list[str]:
    """Who wrote, what proves it, and what the carrier table says."""
    domain = addresses.mail_domain(intent.address)
    names = [f"{desk.rules.carriers.carriers[ident].name} ({ident})" for ident in intent.carriers]
    forged = f"Not verified: nothing proves that this phone wrote, no signature of {domain}.  Ask the person first."
    said = desk.reading.answer.strip()[:_SHOWN]
    row = found.row
    lines = [
        f"{phones.shown(found.phone)} wrote to {intent.recipient.address} from {intent.address}.",
        f"Proven: {found.proof}." if found.proof else forged,
        "",
        *([*(f"> {line}" for line in said.split("\n")), ""] if said else []),
        f"Phones that write from {domain}: {', '.join(names)}.",
    ]
    if row is None:
        return [*lines, "None of these rows says how its phones are addressed, so nothing can be confirmed.", ""]
    return [*lines, f"Chosen: {row.carrier}, {row.channel}.  {_state(row, desk)}", ""]


def _state(row: Channel, desk: Desk) -> str:
    """What an admin must know of a gateway before he relies on it."""
    today = desk.now.astimezone(desk.rules.timezone).date()
    why = carriers.routable(row, today)
    if why:
        return f"{why}: mail to it is not sent any more, texts go by the provider where fallback says so."
    if row.status == "retiring":
        return f"{row.name} closes {row.domain} on {row.ends}."
    if carriers.needs_confirmation(row):
        return "Nobody has shown that it works: texts go there once the address is confirmed."
    return "It works as far as is known."


def _earlier(before: Sequence[Question], old: Sequence[Question]) -> list[str]:
    """What becomes of the questions that were open about this phone."""
    fates = {True: "is closed: its answer counts no more", False: "is proven, and stays open: answer the right one"}
    lines = [f"The earlier question about {q.options[0] or 'this phone'} {fates[q in old]}." for q in before]
    return [*lines, ""] if lines else []


def _choice(found: _Finding, desk: Desk) -> list[str]:
    """What the admin can answer, and what follows."""
    employee = desk.rules.employee_at(found.phone)
    lines = _entered(employee, found) if employee else _nobodys(found)
    if found.address and employee:
        lines += [f"Answer this mail with yes:  {found.address} is confirmed as {employee.name}'s address."]
    elif found.address:
        lines += [f"Then answer this mail with yes and the name, such as yes frank:  {found.address} is confirmed."]
    name = employee.name if employee else "NAME"
    return [
        *lines,
        "Answer this mail with no:   nothing is recorded.",
        "",
        "Known senders may answer, and from outside, by mail that is signed, those whom alarm_to names.",
        f"The same by command, for the carrier that is entered: gateway carriers confirm {name}",
        "No text was sent to this phone.",
        "",
    ]


def _entered(employee: Employee, found: _Finding) -> list[str]:
    lines = [f"It is {employee.name}'s phone."]
    row = found.row
    if row is None or (employee.carrier, employee.channel) == (row.carrier, row.channel):
        return [*lines, ""]
    said = f'carrier = "{employee.carrier}"' if employee.carrier else "no carrier"
    lines += [f"His entry has {said}.  To text him there, write into it:", ""]
    return [*lines, f'    carrier = "{row.carrier}"', f'    channel = "{row.channel}"', ""]


def _nobodys(found: _Finding) -> list[str]:
    lines = ["The phone is no employee's.  To enter it, put this into employees.toml, with a name of your choice,"]
    return [*lines, "and let the daemon read it (systemctl reload gateway):", "", *_block("...", found), ""]


def _block(name: str, found: _Finding) -> list[str]:
    """The lines of employees.toml."""
    row = found.row
    keys = [f'name = "{name}"', f'phone = "{found.phone}"']
    keys += [f'carrier = "{row.carrier}"', f'channel = "{row.channel}"'] if row else []
    return [f"    {line}" for line in ("[[employee]]", *keys, 'fallback = "provider"')]


def answered(intent: Answered, desk: Desk) -> Writes:
    """What the admin decided: yes, with a name where the phone is nobody's yet, or no; anything else is asked again."""
    question = desk.facts.questions.get(intent.token)
    if question is None or question.kind != "enroll":
        return refused(intent.recipient, None, "there is no such question", "5.1.1", desk)
    if question.answered_at is not None:
        said = "superseded" if question.answer == admit.SUPERSEDED else f"answered with {question.answer}"
        desk.notes.append(f"the question was {said} before")
        return Writes()
    found = _asked_about(question, desk.rules)
    said, name = _decision(desk.reading.answer)
    if said == "no":
        desk.notes.append(f"the question about {question.phone} is answered: no")
        return Writes(questions=(replace(question, answered_at=desk.now, answer="no"),))
    employee = desk.rules.employee_at(question.phone)
    name = name.strip() or employee.name if employee else name
    why = _unfit(name, found.phone, desk.rules) if said else "it was neither yes nor no"
    return _again(question, why, found, desk) if why else _confirmed(question, name, found, desk)


def _asked_about(question: Question, rules: Rules) -> _Finding:
    address, proof = question.options
    carrier = rules.carriers.carriers.get(question.text)
    rows = carrier.channels.values() if carrier else ()
    row = next((row for row in rows if carriers.render(row, question.phone) == address), None)
    return _Finding(phone=question.phone, row=row, address=address, proof=proof)


def _decision(words: str) -> tuple[str, str]:
    """ "yes" or "no" and the name that follows: "" where none does, " " where more than a name does; ("", "") for
    anything else.
    """
    line = next((line for line in words[:_SHOWN].split("\n") if line.strip()), "")
    found = _ANSWER.match(line.casefold())
    if found is None or found[1] in doubt.NO:
        return ("no" if found else ""), ""
    rest = [word.rstrip(".!") for word in re.split(r"[\s,:;]+", found[2]) if word.strip(".!-") not in _COURTESY]
    return ("yes", rest[0] if len(rest) == 1 else " " * bool(rest)) if found[1] in doubt.YES else ("", "")


def _unfit(name: str, phone: Phone, rules: Rules) -> str:
    """Why the address cannot be confirmed for that name, a clause; "" = it can."""
    employee = rules.employee_at(phone)
    if employee is not None:
        return "" if name == employee.name else f"the phone is {employee.name}'s and not {name}'s"
    if not name.strip():
        return "the phone is nobody's yet, and not one name follows the yes"
    if not addresses.legal_name(name):
        return f"{name} cannot be a name: a letter, then letters, digits, dots and underscores"
    taken = rules.employee(name) or rules.number(name) or rules.template(name) or name in rules.groups
    return f"the name {name} is taken" if taken else ""


def _again(question: Question, why: str, found: _Finding, desk: Desk) -> Writes:
    to = doubt.back(desk)
    if not to:
        return Writes()
    desk.notes.append(f"the question about {question.phone} is asked again: {why}")
    text = "\n".join([f"Nothing was recorded by your answer: {why}.", "", *_choice(found, desk)])
    # Once an hour: two machines that answer each other must come to an end.
    ident, about = f"{question.id}.again.{desk.now:%Y-%m-%d-%H}", desk.reading.message_id
    return _mail(ident, Kind.QUESTION, to, question.phone, text, desk, token=question.id, about=about)


def _confirmed(question: Question, name: str, found: _Finding, desk: Desk) -> Writes:
    """The word on the address, and to who answered what is still to be done."""
    done = Writes(questions=(replace(question, answered_at=desk.now, answer=f"yes {name}"),))
    desk.notes.append(f"the question about {question.phone} is answered: yes {name}")
    if found.address:
        word = Confirmation(
            employee=name,
            address=found.address,
            at=desk.now,
            by=desk.reading.author or desk.mail.envelope.mail_from or desk.mail.sender,
            how="enroll",
            note=f"the phone wrote to enroll@, {found.proof or 'not verified'}",
        )
        done = replace(done, confirmations=(word,))
    to = doubt.back(desk)
    if not to:
        return done
    said = f"{found.address} is confirmed as the address of {name}." if found.address else "Nothing could be confirmed."
    employee = desk.rules.employee_at(question.phone)
    entry = _entered(employee, found) if employee else ["", "In employees.toml he is:", "", *_block(name, found), ""]
    text = "\n".join([said, *entry])
    ident, about = f"{question.id}.done", desk.reading.message_id
    return done.joined(_mail(ident, Kind.REPORT, to, question.phone, text, desk, about=about))
