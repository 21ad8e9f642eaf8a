"""What a mail would do, shown to a person before anything is sent."""

from __future__ import annotations

from dataclasses import replace
from itertools import repeat

from gateway.core import compose, gsm, notice, outgoing, suspect, taste, timing, wording
from gateway.core.address import BadAddress, TextAddress, ToConversation, ToName, ToPhone
from gateway.core.admit import Choice, Texted
from gateway.core.desk import Desk, answers_to, message_to
from gateway.core.intent import Preview, bare_subject
from gateway.core.model import Fate, Kind, Recipient, Refusal
from gateway.core.route import CarrierWay, Person, ProviderWay, Way
from gateway.core.template import Words
from gateway.core.wording import Load
from gateway.core.work import Delivery, MailParcel, Writes

_SHOWN = (
    "to", "person", "kind", "text", "parts", "cut", "encoding", "segments", "units", "costly", "price", "route", "rule",
    "consent", "due_at", "warnings", "refused",
)  # fmt: skip


def preview(intent: Preview, desk: Desk) -> Writes:
    """The answer to a mail to preview+: what would go out, to whom, by which way; nothing goes out."""
    to = answers_to(desk)
    shown = [_shown(row) for row in forecast(intent.target, desk, intent.recipient.address)]
    message = replace(message_to(intent.recipient, None, desk), kind=Kind.PREVIEW, recipient=to, report_to="")
    body = "\n\n".join(shown) + "\n\nNothing was sent.\n"
    message = replace(message, text=body, rule="preview")
    data = compose.notice(
        sender=notice.author(desk.rules),
        to=to,
        subject=f"Preview: {bare_subject(desk.reading.subject)}",
        text=body,
        message_id=notice.mail_id(f"{message.id}.1", desk.rules),
        at=desk.now,
        domain=desk.rules.domain,
        in_reply_to=desk.reading.message_id,
    )
    made = notice.mail_delivery(message, MailParcel(mail_from="", rcpt_to=to, data=data), desk.now)
    return Writes(messages=(message,), deliveries=(made,))


def _shown(row: dict[str, object]) -> str:
    row = row | {"parts": _below(row["parts"]) if row["parts"] != [row["text"]] else ""}
    return "\n".join(f"{name}: {_plain(row[name])}" for name in _SHOWN if row[name] not in (None, "", []))


def _below(parts: object) -> str:
    """The texts that a carrier gets, below each other."""
    return "".join(f"\n  {part}" for part in parts) if isinstance(parts, list) else ""


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return " ".join(str(v) for v in value.values())
    return " ".join(map(str, value)) if isinstance(value, list) else value


def forecast(target: object, desk: Desk, recipient: str) -> list[dict[str, object]]:
    """What a mail would do, one row per person: the contract of `gateway preview --json` (design.md 5.4).

    `recipient` is the address that was written, without preview+ in front.
    """
    if not isinstance(target, ToPhone | ToName | TextAddress | ToConversation):
        reason = target.reason if isinstance(target, BadAddress) else "no text follows from this address"
        return [_row("", None, Load(words=Words(text="", segments=0)), desk, reason)]
    recipient = recipient.removeprefix("preview+")
    found = outgoing.chosen(target, recipient, desk)
    if isinstance(found, Refusal):
        words = wording.words_for(target, recipient, None, desk)
        return [_row("", None, Load(words=words), desk, found.text)]
    return [_of_one(target, recipient, one, desk) for one in found]


def _of_one(target: Texted, recipient: str, one: Choice, desk: Desk) -> dict[str, object]:
    # Nothing is kept, so the tokens of the mail are not used up; these are as long as those.
    tokens = repeat("preview".ljust(16, "x"))
    talk = one.conversation.id if one.conversation else next(tokens)
    load = wording.load(target, recipient, one, "preview", talk, desk, tokens)
    refused = one.refused.text if one.refused else load.words.problem
    row = _row(str(one.person.phone), one, load, desk, refused)
    pictures = len(load.inside.media) + (load.picture is not None)
    return {**row, "pictures": pictures, "warnings": _warnings(load, one, desk)}


def _warnings(load: Load, one: Choice, desk: Desk) -> list[str]:
    """What the person who wrote the mail should know before it is sent."""
    shown = [
        f'the text invites the answer {word}, which does more than answer: write "call us" or another word'
        for word in suspect.invited(load.words.text)
    ]
    if isinstance(load.way, CarrierWay):
        shown += filter(None, [taste.drops(load.words.text, load.way.channel)])
    rules = desk.rules
    if one.person.employee is None and desk.reading.pictures and rules.text.pictures == "send" and not rules.public_url:
        shown.append("its pictures are left out: they need [http] public_url")
    return [*shown, *load.left]


def _row(to: str, one: Choice | None, load: Load, desk: Desk, refused: str) -> dict[str, object]:
    person, words, way = one.person if one else None, load.words, load.way
    price = way.number.price_per_segment * words.segments if isinstance(way, ProviderWay) else 0.0
    timed = _timed(person, way, one, desk) if person else None
    if timed is not None and timed.fate is Fate.EXPIRED:
        refused = refused or timed.note
    return {
        "to": to,
        "kind": person.kind if person else None,
        "person": person.employee.name if person and person.employee else None,
        "route": _route(way, to),
        "rule": load.rule,
        "text": words.text,
        "parts": list(load.parts),
        "cut": words.cut,
        "encoding": gsm.encoding(words.text),
        "segments": words.segments,
        "units": gsm.units(words.text),
        "costly": list(gsm.costly(words.text)),
        "price": round(price, 6) or None,
        "consent": one.consent if one else None,
        "due_at": None if refused else (timed.due_at if timed else desk.now).isoformat(),
        "pictures": 0,
        "warnings": [],
        "refused": refused or None,
    }


def _timed(person: Person, way: Way | None, one: Choice | None, desk: Desk) -> Delivery | None:
    """The delivery as quiet hours let it go, or end it; None = they do not concern it."""
    if not isinstance(way, ProviderWay):
        return None
    message = replace(message_to(Recipient(address=""), one, desk), phone=person.phone)
    made = notice.text_delivery(message, way, desk.rules, desk.now, parcel=None, bounce="")
    return timing.timed(replace(made, conversational=one is not None and one.answering), desk.rules, desk.now)


def _route(way: Way | None, to: str) -> dict[str, object] | None:
    match way:
        case CarrierWay(channel=channel, address=carrier_address):
            return {
                "courier": "mail",
                "carrier": channel.carrier,
                "channel": channel.channel,
                "address": carrier_address,
            }
        case ProviderWay(number=number):
            return {"courier": number.provider, "number": number.name, "from": str(number.phone), "address": to}
        case _:
            return None
