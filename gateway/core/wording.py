"""What one person gets of a mail: its words and files, made to fit the way that brings them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from gateway.core import gsm, notice, taste, template
from gateway.core.address import ToConversation, ToPhone
from gateway.core.admit import Choice, Texted
from gateway.core.desk import Desk
from gateway.core.enclosed import Enclosed, address, enclosed, linked, one_picture
from gateway.core.intent import bare_subject
from gateway.core.model import Picture
from gateway.core.route import CarrierWay, ProviderWay, Way
from gateway.core.rules import Template
from gateway.core.taste import Unfit
from gateway.core.template import Words


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What goes to one person, and by which of the ways that are open."""

    words: Words  # with their links; `problem` says why nothing goes
    way: Way | None = None  # None = none is open
    rest: tuple[Way, ...] = ()  # to fall back on
    rule: str = ""  # which chose the way
    parts: tuple[str, ...] = ()  # the texts of the mails to a carrier; () by the provider, and for a bare picture
    inside: Enclosed = field(default_factory=Enclosed)  # what goes by the provider
    picture: Picture | None = None  # what goes with the first mail to a carrier
    kept: tuple[str, ...] = ()  # of that picture, for the ways after: its address, or its name where none is open
    left: tuple[str, ...] = ()  # what of the mail's files is left out, clauses for people
    unfit: bool = False  # the carrier's gateway is the problem: another way may do


def named(target: Texted, recipient: str, desk: Desk) -> Template | None:
    """The [[template]] that a +tag names, else that of the [[rule]]."""
    rule = desk.rule(recipient)
    return desk.rules.template(target.tag if isinstance(target, ToPhone) else "") or desk.rules.template(
        rule.template if rule else ""
    )


def words_for(target: Texted, recipient: str, one: Choice | None, desk: Desk, most: int = 0) -> Words:
    """The text that goes out to one person; `cut` is all that was left out of the mail, in its order.

    `most` segments where that is less than [text] max_segments; 0 = those.
    """
    brand = desk.rules.brand if one is not None and _is_first(one, desk) else ""
    return _worded(target, recipient, brand, desk, most)


def _worded(target: Texted, recipient: str, brand: str, desk: Desk, most: int) -> Words:
    """The words of the mail for one person, as a first text where `brand` is given; made once for all alike."""
    key = (target, recipient, brand, most)
    if key not in desk.worded:
        desk.worded[key] = _made(target, recipient, brand, desk, most)
    return desk.worded[key]


def _made(target: Texted, recipient: str, brand: str, desk: Desk, most: int) -> Words:
    reading, rules = desk.reading, desk.rules
    told = replace(rules.text, max_segments=most) if most else rules.text
    if isinstance(target, ToConversation):
        found, before = template.fitted(reading.answer, told), reading.answer_cut
    else:
        form = named(target, recipient, desk)
        fields = template.fields(form, reading) if form else {}
        subject = bare_subject(reading.subject)
        found = template.words(subject, reading.text, told, template=form, fields=fields, introduce=brand)
        before = reading.cut
    return replace(found, cut=f"{found.cut}\n{before}" if found.cut else before) if before else found


def load(target: Texted, recipient: str, one: Choice, ident: str, talk: str, desk: Desk, tokens: Iterator[str]) -> Load:
    """What goes to one person by the first way that takes it.  Where none does, the first says why.

    `ident` is the message, `talk` its conversation, `tokens` name its files.
    """
    words = words_for(target, recipient, one, desk)
    first = Load(words=words, rule=one.rule)
    for n, way in enumerate(one.ways):
        if isinstance(way, CarrierWay):
            found = _kept(_by_carrier(words, way, talk, desk), one.ways[n + 1 :], ident, desk, tokens)
        else:
            found = _by_provider(target, recipient, one, way, ident, desk, tokens)
        why = f"; {first.words.problem}; {way.rule}" if n else ""
        found = replace(found, way=way, rest=one.ways[n + 1 :], rule=f"{one.rule}{why}")
        if not n:
            first = found
        if not found.unfit:
            return first if found.words.problem else found
    return first


def _by_carrier(words: Words, way: CarrierWay, talk: str, desk: Desk) -> Load:
    """The text in the parts that the gateway takes; where it is too long for it and may be cut, its end gives way."""
    rules, channel = desk.rules, way.channel
    asked = rules.text.pictures == "send"
    picture, left = one_picture(desk.pictures, desk.reading.pictures, channel) if asked else (None, ())
    if words.problem == template.EMPTY and picture is not None:
        words = replace(words, problem="")  # a picture says enough
    if words.problem:
        return Load(words=words, left=left)
    author, most = notice.text_author(talk, rules), rules.text.max_segments
    parts = taste.parts(words.text, channel, author, most=most)
    if isinstance(parts, Unfit) and rules.text.too_long == "cut":
        words = _cut(words, taste.shortened(words.text, channel, author, most=most))
        parts = taste.parts(words.text, channel, author, most=most)
    if isinstance(parts, Unfit):
        return Load(words=replace(words, problem=parts.problem), left=left, unfit=True)
    return Load(words=words, parts=parts, picture=picture, left=left)


def _kept(found: Load, rest: tuple[Way, ...], ident: str, desk: Desk, tokens: Iterator[str]) -> Load:
    """The load with its picture kept for the provider, to whom the text may fall back."""
    paid = next((way for way in rest if isinstance(way, ProviderWay)), None)
    if found.picture is None or paid is None or found.words.problem:
        return found
    files = enclosed([found.picture], paid.number, ident, desk.rules, desk.now, tokens).files
    kept = tuple(address(file, desk.rules) for file in files) or (found.picture.name,)
    return replace(found, inside=Enclosed(files=files), kept=kept)


def _cut(words: Words, short: str) -> Words:
    """The words with `short`, which ends in "...", in place of their text; as they are where that is ""."""
    if not short:
        return words
    rest = words.text[len(short.removesuffix("...")) :]
    before = [rest.removesuffix("..."), words.cut] if words.cut else [rest]
    return Words(text=short, segments=gsm.segments(short), cut="\n".join(before))


def _by_provider(
    target: Texted, recipient: str, one: Choice, way: ProviderWay, ident: str, desk: Desk, tokens: Iterator[str]
) -> Load:
    """The text with the links to its files, and what goes with it.

    Where both are too long and the text may be cut, the words give way: neither a link nor how to opt out is cut.
    """
    words = words_for(target, recipient, one, desk)
    inside = enclosed(desk.pictures, way.number, ident, desk.rules, desk.now, tokens)
    left = tuple(p.problem for p in desk.pictures if p.problem)
    if words.problem == template.EMPTY and inside.files:
        words = replace(words, text=_introduced(one, desk), problem="")  # a picture says enough
    whole = linked(words, inside.links, desk.rules)
    if words.problem or not whole.problem or desk.rules.text.too_long != "cut":
        return Load(words=whole, inside=inside, left=left)
    for most in range(desk.rules.text.max_segments - 1, 0, -1):
        shorter = linked(words_for(target, recipient, one, desk, most), inside.links, desk.rules)
        if not shorter.problem:
            return Load(words=shorter, inside=inside, left=left)
    return Load(words=whole, inside=inside, left=left)


def _introduced(one: Choice, desk: Desk) -> str:
    """What a first text says that has no words of its own."""
    pattern = desk.rules.text.first if _is_first(one, desk) else ""
    return " ".join(template.first("", pattern, desk.rules.brand).split())


def _is_first(one: Choice, desk: Desk) -> bool:
    """Whether this is the first text of a number of ours to a customer."""
    way = one.ways[0] if one.ways else None
    if not isinstance(way, ProviderWay) or one.person.employee is not None or one.answering:
        return False
    return (way.number.phone, one.person.phone) not in desk.facts.introduced


def forms(target: Texted, recipient: str, one: Choice, loaded: Load, desk: Desk) -> frozenset[str]:
    """The forms that the words of this mail take for one person, without links: introduced or not, and cut to make
    room for links or not, or for the carrier's gateway.  None where no brake asks.
    """
    if one.answering or not desk.rules.policy.flood_per_minute:
        return frozenset()
    most = desk.rules.text.max_segments
    room = range(1, most + 1) if desk.pictures and desk.rules.text.too_long == "cut" else (most,)
    made = [_worded(target, recipient, brand, desk, n) for brand in ("", desk.rules.brand) for n in room]
    carried = {loaded.words.text} if loaded.parts else set[str]()
    return frozenset(w.text for w in made if not w.problem) | carried
