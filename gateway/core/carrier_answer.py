"""What a person texted, out of the mail that his carrier made of it.

A text to a mail address travels as MMS, and each carrier wraps it in its own way: words in a .txt file, in HTML among
logos, above advertising, or not at all but behind a link.  What the carriers add stands here as data.
Sources: the mails and patterns of monde/mms2r (MIT), Signal-Android #293, betterangels/buoy #150.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from email.message import Message

from gateway.core import cut, header, parts, plain
from gateway.core.cut import Cut
from gateway.core.keyword import keyword
from gateway.core.model import Unreadable

_DIGITS = 7  # of the shortest number
_TEXTS = 8  # text parts that are looked at, and HTML parts
_TEXT_CHARS = 262_144  # of all of them, in bytes; the last one may go over it
_LINE_CHARS = 2_000

# Lines, and subjects, that carriers write and nobody else.
_WRITTEN = frozenset((
    "(no subject)", "a picture/video message!", "click go/view to see now.", "click go/view to see.",
    "multimedia message", "new message", "picturemail", "this is an mms message.", "you have new picture mail!",
    "you have new video mail!",
))  # fmt: skip
# A line that opens so says that the message waits at the carrier's site: Sprint, Bell, SaskTel, Rogers, Telus, Nextel.
_NOTICE = re.compile(
    r"\s*(?:(?:you(?:'ve| have)|uve|u've) received a (?:new message\b|"
    r"(?:video or picture|picture or video) msg\b|(?:picture|video|multimedia) (?:mail|message) from\b)|"
    r"you have new (?:picture|video) mail\b|new (?:picture|video) mail from\b|a new photo/video message\b|"
    r"click go/view to see\b|this is an mms message\. +please go to\b)",
    re.IGNORECASE,
)
# From here to the end a mail is the carrier's own.
_FOOTER = re.compile(
    r"this message (?:was|has been) sent using .{0,80}from verizon wireless|"
    r"this mobile text message is brought to you by at&t|brought to you by,? cingular wireless messaging|"
    r"mobile email from a cingular wireless customer|"
    r"sent by text messaging from a mobile device|"  # Bell, Virgin in Canada
    r"thank you for using picture and video messaging by u\.? ?s\.? ?cellular|"
    r"this message was sent (?:to you )?(?:from|by) a t-mobile wireless phone|"
    r"this message is from a virgin mobile user|"
    r"this is an mms message\. +20\d\d sprint|20\d\d sprint nextel\. all rights|"
    r"you've received a message from a telus phone|alltel has no control over|"
    r"sent via blackberry(?: from \w| by at&t|\s*$)|sent on the (?:sprint\S{0,3} )?now network",
    re.IGNORECASE,
)
_RULE = re.compile(r"[-=_* ]{2,}")
_LINK = re.compile(r"https?://[^\s<>\"]+", re.IGNORECASE)
_TAG = re.compile(r"_[a-z]{4,12}")  # stands below Sprint's link

# Pictures that are part of a wrapper: T-Mobile, Alltel.
_DECORATION = re.compile(
    r"(?:(?:dotted_?line_?\d*|spacer|video|audio|tmobile(?:logo|space)|header|bluebar|greenbar|divider)\.gif|"
    r"(?:masthead|(?:alltel_)?logo)\.jpe?g)",
    re.IGNORECASE,
)
_NAME = re.compile(r"\b(?:file)?name\*?\s{0,9}=\s{0,9}\"?([^\";]{1,200})", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What came from the person; every text is clean, see plain."""

    text: str  # no history, no signature, nothing of the carrier's; "" where there are no words
    gone: str  # the history and signature that were cut, and what stands beside a STOP
    subject: str  # as the person wrote it, "" where it is the carrier's
    link: str  # where the carrier keeps the message, when that is all it sent; else ""
    images: int  # and other files that are no words; without those of the wrapper


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stripped:
    """One part without what the carrier wrote."""

    text: str
    noticed: bool  # the carrier says that the message waits elsewhere
    link: str


def texted(author: str | None, domains: Container[str]) -> bool:
    """Whether a mail with this From is a text that a carrier sent on: a number at one of `domains`, in lower case.

    Some carriers give people mailboxes at the same domain.
    """
    local, _, domain = (author or "").rpartition("@")
    return domain.lower() in domains and sum(c.isdigit() for c in local) >= _DIGITS


def words(raw: bytes) -> Words | Unreadable:
    """The words in a mail that a carrier made of a text: the plain parts and the .txt files, else the HTML.

    Each part counts only for what is left of it when the carrier's own words and its history are gone.  One that is
    nothing but a STOP is the text by itself: no line that a carrier puts beside it may hide it.  Unreadable as in
    parts.parse.
    """
    message = parts.parse(raw)
    if isinstance(message, Unreadable):
        return message
    leaves = [leaf for leaf, _ in parts.leaves(message)]
    found = _found(leaves)
    answer = _joined([cut.answer(one.text) for one in found if one.text])
    link = _link(found)
    return Words(
        text=answer.kept,
        gone=answer.gone,
        subject=_subject(header.words(parts.first(parts.fields(message), "subject"))),
        link=link,
        images=sum(_enclosed(leaf, bare=bool(link)) for leaf in leaves),
    )


def pictures(message: Message) -> list[Message]:
    """The parts of such a mail that are the person's pictures and files, as many as Words.images says."""
    leaves = [leaf for leaf, _ in parts.leaves(message)]
    bare = bool(_link(_found(leaves)))
    return [leaf for leaf in leaves if _enclosed(leaf, bare=bare)]


def _found(leaves: list[Message]) -> list[_Stripped]:
    """The texts of a mail: its HTML only where the other parts hold neither words nor a notice, which it repeats."""
    found = _texts(leaf for leaf in leaves if _kind(leaf) == "plain")
    if any(one.text or one.noticed for one in found):
        return found
    return _texts(leaf for leaf in leaves if _kind(leaf) == "html")


def _texts(leaves: Iterable[Message]) -> list[_Stripped]:
    found = []
    room = _TEXT_CHARS
    for leaf, _ in zip(leaves, range(_TEXTS), strict=False):
        if room > 0:
            payload = leaf.get_payload(decode=True)
            room -= len(payload) if isinstance(payload, bytes) else 0
            text = parts.body(leaf).text
            found.append(_stripped("" if text.lstrip().startswith("<smil") else text))
    return found


def _joined(said: Sequence[Cut]) -> Cut:
    """The parts as one, none of them twice; a STOP that is the whole of one stands alone, and the others are cut."""
    kept = list(dict.fromkeys(one.kept for one in said if one.kept))
    stop = next((text for text in kept if _stops(text)), None)
    beside = [text for text in kept if text != stop] if stop is not None else []
    gone = [*beside, *(one.gone for one in said if one.gone)]
    return Cut(kept="\n\n".join(kept) if stop is None else stop, gone="\n\n".join(gone))


def _stops(text: str) -> bool:
    said = keyword(text)
    return said is not None and said.action == "stop"


def _link(found: Sequence[_Stripped]) -> str:
    """Where the carrier keeps what the person said, "" where he said something here."""
    return "" if any(one.text for one in found) else next((one.link for one in found if one.link), "")


def _kind(leaf: Message) -> str:
    """ "plain" (and a text file), "html" or "" (no words; so is the layout of an MMS, for all its name)."""
    match leaf.get_content_type():
        case "text/plain":
            return "plain"
        case "text/html" if not _laid_out(leaf):
            return "html"
        case _:
            return ""


def _name(leaf: Message) -> str:
    fields = parts.fields(leaf)
    for field in ("content-disposition", "content-type"):
        found = _NAME.search(parts.first(fields, field)[:_LINE_CHARS])
        if found:
            return found[1].strip()
    return parts.first(fields, "content-location").strip()[:_LINE_CHARS]


def _stripped(text: str) -> _Stripped:
    kept: list[str] = []
    link, noticed = "", False
    for line in text.split("\n"):
        looked = line[:_LINE_CHARS].replace("\u2019", "'")
        if _NOTICE.match(looked):
            noticed = True
            link = link or _first_link(looked)
            continue
        footer = _FOOTER.search(looked)
        if footer:
            kept.append(line[: footer.start()])
            while kept and (not kept[-1].strip() or _RULE.fullmatch(kept[-1].strip())):
                kept.pop()
            break
        if looked.strip().lower() not in _WRITTEN:
            kept.append(line)
    if noticed:
        link = link or _first_link("\n".join(kept))
        kept = [line for line in kept if not (_LINK.fullmatch(line.strip()) or _TAG.fullmatch(line.strip()))]
    return _Stripped(text=plain.trim("\n".join(kept)), noticed=noticed, link=link)


def _first_link(text: str) -> str:
    found = _LINK.search(text)
    return found[0] if found else ""


def _subject(subject: str) -> str:
    written = subject.lower() in _WRITTEN or _NOTICE.match(subject) or _FOOTER.search(subject)
    return "" if written else subject


def _enclosed(leaf: Message, *, bare: bool) -> bool:
    """Whether a part is a picture or another file of the person's; beside a `bare` link GIFs are the wrapper's."""
    kind = leaf.get_content_type()
    if kind in ("text/plain", "text/html") or leaf.get_content_maintype() == "multipart" or _laid_out(leaf):
        return False
    return not (bare and kind == "image/gif") and not _DECORATION.fullmatch(_name(leaf))


def _laid_out(leaf: Message) -> bool:
    """Whether a part that holds no plain text says how an MMS is shown."""
    return "smil" in leaf.get_content_type() or "smil" in _name(leaf).lower()
