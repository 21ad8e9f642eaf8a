"""Pictures and files that go out with a text: with it where the number can, as a link where it cannot.

A carrier's gateway takes one picture, or none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.core import admit, gsm, taste
from gateway.core.address import ToConversation
from gateway.core.carrier import Channel
from gateway.core.intent import FILES, Intent, Preview, SendText
from gateway.core.model import MediaFile, Picture
from gateway.core.rules import Number, Rules
from gateway.core.template import Words
from gateway.core.work import Delivery, TextParcel


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosed:
    """What goes with one text."""

    files: tuple[MediaFile, ...] = ()
    media: tuple[str, ...] = ()  # addresses for the provider to fetch
    links: tuple[str, ...] = ()  # addresses for the person to open


def enclosed(
    pictures: Sequence[Picture], number: Number, message: str, rules: Rules, now: datetime, tokens: Iterator[str]
) -> Enclosed:
    """Files under names that nobody can guess.  Images go as media where the number sends them, else as links."""
    if not rules.public_url or rules.text.pictures == "ignore":
        return Enclosed()
    files = tuple(
        MediaFile(
            token=next(tokens),
            name=p.name,
            kind=p.kind,
            data=p.data,
            message=message,
            at=now,
            expires_at=now + rules.media_for,
        )
        for p in pictures[:FILES]
        if p.data
    )
    media = [f for f in files if number.mms and f.kind.startswith("image/")]
    return Enclosed(
        files=files,
        media=tuple(address(f, rules) for f in media),
        links=tuple(address(f, rules) for f in files if f not in media),
    )


def address(file: MediaFile, rules: Rules) -> str:
    """Where the file is fetched."""
    return f"{rules.public_url}/media/{file.token}/{file.name}"


def linked(words: Words, links: Sequence[str], rules: Rules) -> Words:
    """The words with the links under them; `problem` where both are too long together."""
    if not links or words.problem:
        return words
    whole = "\n".join((words.text, *links)).lstrip("\n")
    most = rules.text.max_segments
    size = gsm.segments(whole)
    if size <= most:
        return replace(words, text=whole, segments=size)
    problem = f"the text is too long: {size} segments with its links, [text] max_segments is {most}"
    return replace(words, problem=problem)


def one_picture(pictures: Sequence[Picture], count: int, channel: Channel) -> tuple[Picture | None, tuple[str, ...]]:
    """The picture that a carrier's gateway takes with a text, and a clause for each file that is left out.

    `count` files are attached to the mail; where no gateway takes any, `pictures` may be empty all the same.
    """
    most = taste.picture_bytes(channel)
    whose = f"{channel.name or channel.carrier}'s {channel.channel} gateway"
    if not most:
        several = len(pictures) or count
        what = f"{several} pictures or files were" if several > 1 else "a picture or file was"
        return None, (f"{what} left out: {whose} takes none",) if several else ()
    goes = next((p for p in pictures if p.kind.startswith("image/") and 0 < len(p.data) <= most), None)
    takes = f"{whose} takes one picture, of at most {most / 1000:g} kB"
    return goes, tuple(p.problem or f"{p.name} was left out: {takes}" for p in pictures if p is not goes)


def carried_bytes(intents: Sequence[Intent], rules: Rules) -> int:
    """How large a picture of a mail may be for every carrier's gateway that may get it, in bytes; 0 = none takes one.

    The phone behind an r- address is not known yet: it may be any employee's.
    """
    targets = [intent.target for intent in intents if isinstance(intent, SendText | Preview)]
    answering = any(isinstance(target, ToConversation) for target in targets)
    phones = admit.wants(targets, rules).phones
    meant = [e for e in rules.employees if answering or e.phone in phones]
    sizes = [taste.picture_bytes(channel) for channel in map(rules.channel, meant) if channel is not None]
    return min(filter(None, sizes), default=0)


def as_links(delivery: Delivery) -> TextParcel | None:
    """The same text without its pictures, and with their addresses instead; None where it had none."""
    parcel = delivery.parcel
    if not isinstance(parcel, TextParcel) or not parcel.media:
        return None
    return replace(parcel, body="\n".join([parcel.body, *parcel.media]).lstrip("\n"), media=())
