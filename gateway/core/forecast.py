"""What a mail would do, shown to a person before anything is sent."""

from __future__ import annotations

from dataclasses import replace

from gateway.core import compose, gsm, notice, outgoing
from gateway.core.address import BadAddress, TextAddress, ToConversation, ToName, ToPhone
from gateway.core.admit import Choice
from gateway.core.intent import Preview, bare_subject
from gateway.core.model import Kind, Refusal
from gateway.core.outgoing import Desk
from gateway.core.route import CarrierWay, Person, ProviderWay, Way
from gateway.core.template import Words
from gateway.core.work import MailParcel, Writes

_SHOWN = (
    "to", "person", "kind", "text", "cut", "encoding", "segments", "units", "costly", "price", "route", "rule",
    "consent", "refused",
)  # fmt: skip


def preview(intent: Preview, desk: Desk) -> Writes:
    """The answer to a mail to preview+: what would go out, to whom, by which way; nothing goes out."""
    to = outgoing.answers_to(desk)
    shown = [_shown(row) for row in forecast(intent.target, desk)]
    message = replace(outgoing.message_to(intent.recipient, None, desk), kind=Kind.PREVIEW, recipient=to, report_to="")
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
    return "\n".join(f"{name}: {_plain(row[name])}" for name in _SHOWN if row[name] not in (None, "", []))


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return " ".join(str(v) for v in value.values())
    return " ".join(map(str, value)) if isinstance(value, list) else value


def forecast(target: object, desk: Desk) -> list[dict[str, object]]:
    """What a mail would do, one row per person: the contract of `gateway preview --json` (design.md 5.4)."""
    if not isinstance(target, ToPhone | ToName | TextAddress | ToConversation):
        reason = target.reason if isinstance(target, BadAddress) else "no text follows from this address"
        return [_row("", None, None, Words(text="", segments=0), desk, reason)]
    words = outgoing.words_of(target, desk)
    found = outgoing.chosen(target, desk)
    if isinstance(found, Refusal):
        return [_row("", None, None, words, desk, found.text)]
    return [
        _row(str(c.person.phone), c.person, c, words, desk, c.refused.text if c.refused else words.problem)
        for c in found
    ]


def _row(
    to: str, person: Person | None, choice: Choice | None, words: Words, desk: Desk, refused: str
) -> dict[str, object]:
    way = choice.ways[0] if choice and choice.ways else None
    price = way.number.price_per_segment * words.segments if isinstance(way, ProviderWay) else 0.0
    return {
        "to": to,
        "kind": person.kind if person else None,
        "person": person.employee.name if person and person.employee else None,
        "route": _route(way, to),
        "rule": choice.rule if choice else "",
        "text": words.text,
        "cut": words.cut,
        "encoding": gsm.encoding(words.text),
        "segments": words.segments,
        "units": gsm.units(words.text),
        "costly": list(gsm.costly(words.text)),
        "price": round(price, 6) or None,
        "consent": choice.consent if choice else None,
        "due_at": None if refused else desk.now.isoformat(),
        "refused": refused or None,
    }


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
