"""What a person texted, out of the mail that his carrier made of it.

A text to a mail address travels as MMS, and each carrier wraps it in its own way: words in a .txt file, in HTML among
logos, above advertising, or not at all but behind a link.  What the carriers add stands here as data.
Sources: the mails and patterns of monde/mms2r (MIT), Signal-Android #293, betterangels/buoy #150.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from email.message import Message

from gateway.core import cut, header, parts, plain
from gateway.core.model import Unreadable

_DIGITS = 7  # of the shortest number
_TEXTS = 8  # text parts of one kind that are looked at
_TEXT_CHARS = 262_144  # of all parts of one kind, as encoded; the last one may go over it
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
    gone: str  # the history and signature that were cut
    subject: str  # as the person wrote it, "" where it is the carrier's
    link: str  # where the carrier keeps the message, when that is all it sent; else ""
    images: int  # without those of the wrapper


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stripped:
    """One text without what the carrier wrote."""

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
    """The words in a mail that a carrier made of a text: the plain parts, else the .txt files, else the HTML.

    Each counts only for what is left of it when the carrier's own words are gone.  Unreadable as in parts.parse.
    """
    message = parts.parse(raw)
    if isinstance(message, Unreadable):
        return message
    leaves = [leaf for leaf, _ in parts.leaves(message)]
    found = _said(leaves)
    answer = cut.answer(found.text)
    return Words(
        text=answer.kept,
        gone=answer.gone,
        subject=_subject(header.words(parts.first(parts.fields(message), "subject"))),
        link=found.link,
        images=sum(_pictured(leaf, bare=bool(found.link)) for leaf in leaves),
    )


def pictures(message: Message) -> list[Message]:
    """The parts of such a mail that are pictures of the person's, as many as Words.images says."""
    leaves = [leaf for leaf, _ in parts.leaves(message)]
    bare = bool(_said(leaves).link)
    return [leaf for leaf in leaves if _pictured(leaf, bare=bare)]


def _said(leaves: list[Message]) -> _Stripped:
    """The first kind of part in which a person said something; what the carrier says of it where none did."""
    link = ""
    noticed = False
    for kind in ("plain", "named", "html"):
        if kind == "html" and noticed:
            break  # the same notice, in more words
        texts = _texts([leaf for leaf in leaves if _kind(leaf) == kind])
        found = _stripped("\n\n".join(text for text in texts if not text.lstrip().startswith("<smil")))
        if found.text:
            return _Stripped(text=found.text, noticed=found.noticed, link="")
        link, noticed = link or found.link, noticed or found.noticed
    return _Stripped(text="", noticed=noticed, link=link)


def _texts(leaves: list[Message]) -> Iterator[str]:
    room = _TEXT_CHARS
    for leaf in leaves[:_TEXTS]:
        if room > 0:
            room -= len(str(leaf.get_payload()))
            yield parts.body(leaf).text


def _kind(leaf: Message) -> str:
    """ "plain", "named" (a text file), "html" or "" (no words; so is the layout of an MMS, for all its name)."""
    name = _name(leaf)
    match leaf.get_content_type():
        case "text/plain":
            return "named" if name else "plain"
        case "text/html":
            return "" if "smil" in name.lower() else "html"
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


def _pictured(leaf: Message, *, bare: bool) -> bool:
    """Whether a part is a picture of the person's; beside a `bare` link GIFs are the wrapper's."""
    kind = leaf.get_content_type()
    if not kind.startswith("image/") or (bare and kind == "image/gif"):
        return False
    return not _DECORATION.fullmatch(_name(leaf))
