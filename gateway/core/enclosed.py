"""Pictures and files that go out with a text: with it where the number can, as a link where it cannot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.core import gsm
from gateway.core.intent import FILES
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


def as_links(delivery: Delivery) -> TextParcel | None:
    """The same text without its pictures, and with their addresses instead; None where it had none."""
    parcel = delivery.parcel
    if not isinstance(parcel, TextParcel) or not parcel.media:
        return None
    return replace(parcel, body="\n".join([parcel.body, *parcel.media]).lstrip("\n"), media=())
