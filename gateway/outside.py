"""Mail from outside: who wrote it, what proves that, and what makes it the same mail when it comes again.

Two kinds of people answer from outside.  Those whom a sender's answer_from names, and for a question about enrolment
those whom alarm_to names, must be proven.  An employee texts, and his carrier makes a mail of it: that is taken as his
phone's also where nothing proves it, since many carriers sign nothing.

How it fails: where DNS does not answer, an answer of the first kind is put off (451), and a phone's is taken unproven.
Where the reader cannot be had, nobody's From is known: 451, but for mail to b- alone, which is never refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address

from gateway.config import Config
from gateway.core import admit, carrier_reply, proof, repeat
from gateway.core.address import ToAsk, ToBounce, ToConversation, ToEnroll, same
from gateway.core.facts import Facts
from gateway.core.intent import mailboxes, target_of
from gateway.core.model import Envelope, InboundMail, Phone, Refusal
from gateway.core.proof import Answered
from gateway.core.rules import Rules
from gateway.doors import Visit
from gateway.known import gathered
from gateway.ports import Fingerprint, Spool
from gateway.proof import Proof, ProofUnavailable, Prover

# Mails to enroll@ that are taken within an hour.  Apart, so that forged ones keep no proven one out.
PROVEN_AN_HOUR, UNPROVEN_AN_HOUR = 60, 20
ONE_PHONE_AN_HOUR = 3
_HOUR = timedelta(hours=1)

_Token = ToConversation | ToAsk | ToBounce | ToEnroll

_CLOSED = Refusal(code=550, enhanced="5.7.1", text="answers from outside are not taken here")
_NO_MORE = Refusal(code=550, enhanced="5.7.1", text="this conversation takes no answers from outside any more")
_NOT_NOW = Refusal(code=451, enhanced="4.7.5", text="the author cannot be verified now, try again later")
_CROWDED = Refusal(code=451, enhanced="4.7.1", text="enroll has taken much mail within this hour, try again later")
_NO_PHONE = Refusal(
    code=550,
    enhanced="5.7.1",
    text="enroll takes mail from a phone at its carrier's domain, and From is no such address",
)
_NOT_ADMIN = Refusal(
    code=550, enhanced="5.7.1", text="this answer cannot be taken: the address in From is not in alarm_to"
)
_NOT_ITS_PHONE = Refusal(
    code=550, enhanced="5.7.1", text="this address takes the answers of one phone, and From is not its carrier address"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who wrote a mail, as far as the door knows."""

    sender: str = ""  # name of the [[sender]] that the mail is kept for; "" = nobody's
    phone: Phone | None = None  # whose address at a carrier stands in From
    proof: Proof = field(default_factory=Proof)
    counted: datetime | None = None  # when it was counted as a mail to enroll@


@dataclass(frozen=True, slots=True, kw_only=True)
class _Letter:
    """A mail to tokens of ours, and what is known of them."""

    raw: bytes
    tokens: tuple[_Token, ...]
    facts: Facts
    rules: Rules
    authserv_id: str  # whose Authentication-Results are believed; "" = nobody's
    now: datetime

    @property
    def bounce(self) -> bool:
        """Whether it is for b- addresses alone."""
        return all(isinstance(token, ToBounce) for token in self.tokens)

    @property
    def enrols(self) -> bool:
        return any(isinstance(token, ToEnroll) for token in self.tokens)

    @property
    def for_phones(self) -> bool:
        """Whether there is a phone from which each of its recipients takes mail, as far as From is not known."""
        return all(
            isinstance(token, ToBounce | ToEnroll)
            or (isinstance(token, ToConversation) and admit.texter(token, self.facts, self.rules) is not None)
            for token in self.tokens
        )

    def may_be_by(self, phone: Phone) -> bool:
        """Whether each recipient takes mail from this phone; asked where it is `for_phones`."""
        talks = [token for token in self.tokens if isinstance(token, ToConversation)]
        return all(admit.texter(token, self.facts, self.rules) == phone for token in talks)


class Outside:
    def __init__(self, *, config: Callable[[], Config], spool: Spool, prover: Prover | None) -> None:
        """`prover` None: no answer from outside is taken."""
        self._config = config
        self._spool = spool
        self._prover = prover
        self._enrolled: dict[bool, deque[tuple[datetime, Phone]]] = {True: deque(), False: deque()}  # oldest first

    async def author(self, visit: Visit, envelope: Envelope, raw: bytes, now: datetime) -> Author | Refusal:
        """Who wrote a mail from outside, or why it is not taken: RCPT did not know From."""
        config = self._config()
        targets = [target_of(r.address, config.rules) for r in envelope.recipients]
        tokens = tuple(t for t in targets if isinstance(t, ToConversation | ToAsk | ToBounce | ToEnroll))
        if not tokens:
            return Author()
        letter = _Letter(
            raw=raw,
            tokens=tokens,
            facts=await gathered(self._spool, admit.wants(tokens, config.rules), config.rules),
            rules=config.rules,
            authserv_id=config.smtp.authserv_id if inside(visit.peer, config.smtp.upstream) else "",
            now=now,
        )
        try:
            found = await self._judged(letter, self._prover) if self._prover is not None else _CLOSED
        except ProofUnavailable:
            found = _NOT_NOW
        return Author() if letter.bounce and isinstance(found, Refusal) else found

    async def _judged(self, letter: _Letter, prover: Prover) -> Author | Refusal:
        """Raises ProofUnavailable."""
        phone = _phone(await prover.author(letter.raw), letter.rules) if letter.for_phones else None
        if phone is not None and letter.may_be_by(phone):
            author = Author(phone=phone, proof=await _proof_of_phone(letter, prover))
            return self._counted(author, letter.now) if letter.enrols else author
        if letter.enrols:
            return _NO_PHONE
        answered = _answered(letter)
        if isinstance(answered, Refusal):
            return answered
        names = [one.sender.name for one in answered if one.sender]
        if "" in names and not _admin(await prover.author(letter.raw), letter.rules):
            return _NOT_ADMIN
        found = await _proof(letter, answered, prover)
        if not found.why:
            return Refusal(code=550, enhanced="5.7.1", text=f"this answer cannot be taken: {found.missing}")
        return Author(sender=next(filter(None, names), ""), proof=found)

    def _counted(self, author: Author, now: datetime) -> Author | Refusal:
        """The author of a mail to enroll@, counted; what is over a bound counts nowhere."""
        proven, phone = bool(author.proof.why), author.phone or Phone("")
        taken = self._enrolled[proven]
        while taken and now - taken[0][0] >= _HOUR:
            taken.popleft()
        own = sum(other == phone for _, other in taken)
        if own >= ONE_PHONE_AN_HOUR or len(taken) >= (PROVEN_AN_HOUR if proven else UNPROVEN_AN_HOUR):
            return _CROWDED
        taken.append((now, phone))
        return replace(author, counted=now)

    def uncount(self, author: Author) -> None:
        """Forgets that a mail to enroll@ was counted: it was not kept, or it is a repeat."""
        if author.counted is not None and author.phone is not None:
            with suppress(ValueError):  # an hour has passed
                self._enrolled[bool(author.proof.why)].remove((author.counted, author.phone))


def prints(mail: InboundMail, author: Author, configured: timedelta) -> tuple[Fingerprint, ...]:
    """What makes a mail of this author the same when it comes again, for each recipient.

    What is proven counts for as long as the same proof could bring it in again, whatever duplicate_window says.
    """
    found: list[Fingerprint] = []
    proven = author.proof if author.proof.why else None
    known = author.phone or ("" if proven else mail.sender)
    said, named = repeat.content(mail.raw) if known and configured else (b"", False)
    for to in (recipient.address for recipient in mail.envelope.recipients):
        if proven:
            digest = proof.fingerprint(proven.author, proven.at, to, mail.raw)
            seconds = proof.REMEMBERED.total_seconds()
            found.append(Fingerprint(recipient=to, digest=digest, window_seconds=seconds))
        if known and configured:
            digest = repeat.digest(known, to, said)
            seconds = repeat.window(named, configured).total_seconds()
            found.append(Fingerprint(recipient=to, digest=digest, window_seconds=seconds))
    return tuple(found)


def inside(peer: str, networks: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Whether the IP address lies in one of the networks, also where IPv6 only wraps it."""
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in network for network in networks)


def _admin(author: str | None, rules: Rules) -> bool:
    return author is not None and any(same(author, to) for to in mailboxes(rules))


def _phone(author: str | None, rules: Rules) -> Phone | None:
    found = carrier_reply.author(author, rules.country, rules.carriers) if author is not None else None
    return found[0] if found is not None else None


async def _proof_of_phone(letter: _Letter, prover: Prover) -> Proof:
    try:
        return await _proof(letter, [Answered(address=_written(t, letter.rules)) for t in letter.tokens], prover)
    except ProofUnavailable as error:
        return Proof(missing=str(error))


async def _proof(letter: _Letter, answered: Sequence[Answered], prover: Prover) -> Proof:
    return await prover.proven(letter.raw, answered, letter.authserv_id, letter.rules.domain, letter.now)


def _answered(letter: _Letter) -> tuple[Answered, ...] | Refusal:
    """The conversations and questions that somebody in answer_from may answer by this mail, at least one."""
    found: list[Answered] = []
    for token in letter.tokens:
        if not isinstance(token, ToConversation | ToAsk):
            continue
        owner = admit.answered(token, letter.facts, letter.rules)
        if owner is None:
            return _NOT_ITS_PHONE if letter.for_phones else _NO_MORE
        talk = admit.conversation(letter.facts, token.token) if isinstance(token, ToConversation) else None
        # RCPT let the phone in, whatever the others may.
        opened = talk is not None and letter.rules.employee_at(talk.phone) is not None
        no = admit.answerable(token, letter.facts, letter.rules, letter.now) if opened else None
        if no is not None:
            return no
        thread = frozenset(ident for ident in (*talk.references, talk.message_id) if ident) if talk else frozenset()
        found.append(Answered(address=_written(token, letter.rules), sender=owner, thread=thread))
    return tuple(found) or _CLOSED


def _written(token: _Token, rules: Rules) -> str:
    match token:
        case ToConversation(token=name):
            local = f"r-{name}"
        case ToAsk(token=name):
            local = f"a-{name}"
        case ToBounce(token=name):
            local = f"b-{name}"
        case ToEnroll():
            local = "enroll"
    return f"{local}@{rules.domain}".lower()
