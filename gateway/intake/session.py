"""The verbs of SMTP at our door: RFC 5321 with SIZE, 8BITMIME, PIPELINING, STARTTLS, AUTH and DSN.

Each recipient is answered on its own, and 250 after DATA comes when the host has committed.  What the host refuses is
answered in its words; what cannot be stored now is a 4xx.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence

from gateway.core.model import Door, Envelope, Recipient, Refusal
from gateway.doors import Visit
from gateway.events import emit
from gateway.intake import argument, content
from gateway.intake.content import Content
from gateway.intake.dialog import Answer
from gateway.intake.limits import Terms
from gateway.intake.login import LoginDialog
from gateway.intake.wire import Cut
from gateway.ports import SpoolUnavailable

_LARGE = 250_000  # bytes of a mail that holds the loop for some milliseconds
_NOT_NOW = Refusal(code=451, enhanced="4.3.0", text="This cannot be looked up now, try again later")
_NOT_STORED = Refusal(code=452, enhanced="4.3.1", text="The mail cannot be stored now, try again later")
_CROWDED = Refusal(code=452, enhanced="4.3.1", text="Too much mail at the same time, try again later")
_ENOUGH = Refusal(code=452, enhanced="4.5.3", text="Too many recipients for one mail, send another to the rest")
_NOBODY = "554 5.5.1 No valid recipients"
_NOBODY_NOW = "451 4.5.1 No valid recipients now, try again later"
_LONGEST = 510  # octets of a reply, RFC 5321 4.5.3.1.5


class Session(LoginDialog):
    """One client, from banner to QUIT."""

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self._visit: Visit | None = None
        self._greeted = False
        self._held = 0  # bytes of the mail that are counted as held
        self._body: Content | None = None
        self._forget_mail()

    @property
    def visit(self) -> Visit:
        """Who is here, as the host sees it."""
        if self._visit is None or self._visit.login != self.login:
            self._visit = Visit(door=self.terms.door, peer=self.peer, login=self.login)
        return self._visit

    @property
    def in_mail(self) -> bool:
        return self._mail is not None

    def command(self, verb: bytes, arg: str) -> Answer | None:
        call = _VERBS.get(verb)
        if call is None:
            return None
        if verb in _GREETED and not self._greeted:
            return "503 5.5.1 HELO or EHLO comes first"
        return call(self, arg)

    def forget(self) -> None:
        super().forget()
        self._release()

    def _forget_mail(self) -> None:
        self._mail: argument.MailFrom | None = None
        self._recipients: dict[str, Recipient] = {}
        self._nobody = "503 5.5.1 RCPT comes before DATA"  # why DATA must wait

    def _helo(self, hostname: str) -> str:
        return self._greet(hostname, ())

    def _ehlo(self, hostname: str) -> str:
        offers = ["PIPELINING", f"SIZE {self.limits.max_bytes}", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN"]
        if self.terms.tls is not None and not self.secure:
            offers.append("STARTTLS")
        if self.may_log_in():
            offers.append("AUTH PLAIN LOGIN")
        return self._greet(hostname, offers)

    def _greet(self, hostname: str, offers: Sequence[str]) -> str:
        if not hostname:
            return "501 5.5.4 Who are you? A name belongs behind HELO and EHLO"
        self._forget_mail()
        self._greeted = True
        *first, last = [self.terms.hostname, *offers]
        return "\r\n".join([*(f"250-{line}" for line in first), f"250 {last}"])

    def _starttls(self, arg: str) -> str:
        if arg:
            return "501 5.5.4 STARTTLS takes no argument"
        if self.secure or self.terms.tls is None:
            return "503 5.5.1 TLS is not offered now"
        if self.overtaken():
            raise Cut("554 5.5.1 Nothing may follow STARTTLS before the answer", "commands behind STARTTLS")
        # What was said in clear is forgotten: RFC 3207 4.2.
        self._forget_mail()
        self._greeted = False
        self.login = ""
        self.say("220 2.0.0 Ready to start TLS")
        self.shake_hands(self.terms.tls)
        return ""

    def _auth(self, arg: str) -> Answer:
        if self.terms.door is not Door.SUBMISSION:
            return "502 5.5.1 There is no login at this door"
        return self.auth(arg) if self._greeted else "503 5.5.1 HELO or EHLO comes first"

    def _mail_from(self, arg: str) -> str:
        if self._mail is not None:
            return "503 5.5.1 One mail at a time: MAIL was said already"
        mail = argument.mail_from(arg)
        if isinstance(mail, Refusal):
            return str(mail)
        no = content.TOO_BIG if mail.size > self.limits.max_bytes else None
        no = no or self.terms.host.mail(self.visit, mail.address)
        if no is not None:
            return self._refuse(no, "mail", mail.address)
        self._mail = mail
        return "250 2.1.0 Sender ok"

    def _rcpt_to(self, arg: str) -> Answer:
        if self._mail is None:
            return "503 5.5.1 MAIL comes before RCPT"
        recipient = argument.rcpt_to(arg)
        if isinstance(recipient, Refusal):
            self._nobody = _NOBODY
            return str(recipient)
        if recipient.address.lower() in self._recipients:
            return "250 2.1.5 Recipient ok, named before"
        if len(self._recipients) >= self.limits.recipients:
            return self._judged(self._mail, recipient, _ENOUGH)
        return self._judge_recipient(self._mail, recipient)

    async def _judge_recipient(self, mail: argument.MailFrom, recipient: Recipient) -> str:
        try:
            no = await self.terms.host.rcpt(self.visit, mail.address, recipient.address)
        except SpoolUnavailable:
            no = _NOT_NOW
        return self._judged(mail, recipient, no)

    def _judged(self, mail: argument.MailFrom, recipient: Recipient, no: Refusal | None) -> str:
        if no is None:
            self._recipients[recipient.address.lower()] = recipient
            return "250 2.1.5 Recipient ok"
        # Who reads only the answer to DATA must not take "later" for "never".
        self._nobody = _NOBODY if no.code >= 500 and self._nobody != _NOBODY_NOW else _NOBODY_NOW
        # Half of a group may have opted out: a known sender must not lose the rest.  A stranger is probing.
        self.errors -= no.code >= 500 and self.terms.door is Door.SUBMISSION
        return self._refuse(no, "rcpt", mail.address, recipient=recipient.address)

    def _data(self, arg: str) -> str:
        if arg:
            return "501 5.5.4 DATA takes no argument"
        if self._mail is None:
            return "503 5.5.1 MAIL and RCPT come before DATA"
        if not self._recipients:
            return self._nobody
        bare_lf = self.terms.host.may_bare_lf(self.visit, self._mail.address)
        limits = self.limits
        self._body = Content(max_bytes=limits.max_bytes, line_bytes=limits.line_bytes, bare_lf=bare_lf)
        self.receiving = True
        self.give_time(limits.content_seconds)
        return "354 End the mail with a dot on a line of its own"

    def content(self, block: bytes) -> tuple[bytes, Answer] | None:
        body, crowd = self._body, self.terms.crowd
        assert body is not None
        rest = body.feed(block)
        fits, self._held = crowd.hold(body.held - self._held), body.held
        if rest is None:
            if not fits:
                body.refuse(_CROWDED)
                crowd.release(self._held - body.held)
                self._held = body.held
            return None
        self.receiving = False
        self._body = None
        return rest, self._received(body)

    def _received(self, body: Content) -> Answer:
        mail = self._mail
        assert mail is not None
        return self._looked_through(mail, body) if body.held > _LARGE else self._taken(mail, *self._checked(body))

    async def _looked_through(self, mail: argument.MailFrom, body: Content) -> str:
        """The answer to a large mail: it is looked through in a thread, while others have their turn."""
        self.give_time(math.inf)
        try:
            raw, no = await asyncio.to_thread(self._checked, body)
        except BaseException:
            self._release()
            raise
        answer = self._taken(mail, raw, no)
        return answer if isinstance(answer, str) else await answer

    def _checked(self, body: Content) -> tuple[bytes, Refusal | None]:
        """The mail, and why it cannot be taken, or None."""
        limits = self.limits
        raw = b"" if body.fault else body.take()
        return raw, body.fault or content.fault(
            raw, max_bytes=limits.max_bytes, line_bytes=limits.line_bytes, hops=limits.hops
        )

    def _taken(self, mail: argument.MailFrom, raw: bytes, no: Refusal | None) -> Answer:
        if no is not None:
            return self._kept(mail, no)
        recipients = tuple(self._recipients.values())
        self.committing = True
        return self._keep(
            mail, Envelope(mail_from=mail.address, recipients=recipients, envid=mail.envid, ret=mail.ret), raw
        )

    async def _keep(self, mail: argument.MailFrom, envelope: Envelope, raw: bytes) -> str:
        self.give_time(math.inf)
        answer: str | Refusal = _NOT_STORED
        try:
            answer = await self.terms.host.data(self.visit, envelope, raw)
        except SpoolUnavailable:
            answer = _NOT_STORED
        finally:
            self._forget_mail()
            self._release()
        return self._kept(mail, answer)

    def _kept(self, mail: argument.MailFrom, answer: str | Refusal) -> str:
        self._forget_mail()
        self._release()
        if isinstance(answer, Refusal):
            return self._refuse(answer, "data", mail.address)
        self.commands = self.errors = 0
        return f"250 2.0.0 accepted as {answer}"

    def _release(self) -> None:
        self.terms.crowd.release(self._held)
        self._held = 0
        self._body = None
        self.committing = False

    def _refuse(self, no: Refusal, stage: str, mail_from: str, recipient: str = "") -> str:
        emit(
            "inbound.refused" if no.code >= 500 else "inbound.deferred",
            peer=self.peer,
            door=self.terms.door.value,
            mail_from=mail_from,
            recipient=recipient,
            stage=stage,
            code=f"{no.code} {no.enhanced}",
            reason=no.text,
        )
        return " ".join(str(no).split())[:_LONGEST]

    def _rset(self, arg: str) -> str:
        if arg:
            return "501 5.5.4 RSET takes no argument"
        self._forget_mail()
        return "250 2.0.0 Forgotten"

    def _quit(self, arg: str) -> str:
        self.ended = True
        return "221 2.0.0 Bye"


_VERBS: dict[bytes, Callable[[Session, str], Answer]] = {
    b"HELO": Session._helo,
    b"EHLO": Session._ehlo,
    b"STARTTLS": Session._starttls,
    b"AUTH": Session._auth,
    b"MAIL": Session._mail_from,
    b"RCPT": Session._rcpt_to,
    b"DATA": Session._data,
    b"RSET": Session._rset,
    b"QUIT": Session._quit,
    b"NOOP": lambda _, __: "250 2.0.0 Here",
    b"HELP": lambda _, __: "214 2.0.0 RFC 5321",
    b"VRFY": lambda _, __: "252 2.1.5 Nobody is named here; RCPT tells who can be reached",
    b"EXPN": lambda _, __: "502 5.5.1 Lists are not shown",
}
_GREETED = frozenset({b"MAIL", b"RCPT", b"DATA"})  # what only one may say who has greeted
