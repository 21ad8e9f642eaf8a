"""The verbs of SMTP at our door: RFC 5321 with SIZE, 8BITMIME, PIPELINING, STARTTLS, AUTH and DSN.

Each recipient is answered on its own, and 250 after DATA comes when the host has committed.  What the host refuses is
answered in its words; what cannot be stored now is a 4xx.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable

from aiosmtpd.smtp import LoginPassword

from gateway.core.model import Door, Envelope, Recipient, Refusal
from gateway.doors import Visit
from gateway.events import emit
from gateway.intake import argument, content
from gateway.intake.content import Content
from gateway.intake.dialog import Dialog
from gateway.intake.limits import Terms
from gateway.intake.wire import Cut
from gateway.ports import SpoolUnavailable

_NOT_NOW = Refusal(code=451, enhanced="4.3.0", text="This cannot be looked up now, try again later")
_NOT_STORED = Refusal(code=452, enhanced="4.3.1", text="The mail cannot be stored now, try again later")
_CROWDED = Refusal(code=452, enhanced="4.3.1", text="Too much mail at the same time, try again later")
_ENOUGH = Refusal(code=452, enhanced="4.5.3", text="Too many recipients for one mail, send another to the rest")
_NOBODY = "554 5.5.1 No valid recipients"
_NOBODY_NOW = "451 4.5.1 No valid recipients now, try again later"


class Session(Dialog):
    """One client, from banner to QUIT."""

    def __init__(self, terms: Terms) -> None:
        super().__init__(terms)
        self._greeted = False
        self._login = ""
        self._failed_logins = 0

    @property
    def visit(self) -> Visit:
        """Who is here, as the host sees it."""
        return Visit(door=self.terms.door, peer=self.peer, login=self._login)

    @property
    def in_mail(self) -> bool:
        return self._mail is not None

    def _set_rset_state(self) -> None:
        self._mail: argument.MailFrom | None = None
        self._recipients: dict[str, Recipient] = {}
        self._nobody = "503 5.5.1 RCPT comes before DATA"  # why DATA must wait

    async def smtp_HELO(self, hostname: str) -> None:  # noqa: N802
        await self._greet(hostname, ())

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802
        offers = ["PIPELINING", f"SIZE {self.limits.max_bytes}", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN"]
        if self.terms.tls is not None and not self.secure:
            offers.append("STARTTLS")
        if self._may_log_in():
            offers.append("AUTH PLAIN LOGIN")
        await self._greet(hostname, offers)

    async def _greet(self, hostname: str, offers: Iterable[str]) -> None:
        if not hostname:
            await self.push("501 5.5.4 Who are you? A name belongs behind HELO and EHLO")
            return
        self._set_rset_state()
        self._greeted = True
        *first, last = [self.hostname, *offers]
        # One write: aiosmtpd sends each line as a packet.
        await self.push("\n".join([*(f"250-{line}" for line in first), f"250 {last}"]))

    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802
        if arg:
            await self.push("501 5.5.4 STARTTLS takes no argument")
        elif self.secure or self.terms.tls is None:
            await self.push("503 5.5.1 TLS is not offered now")
        elif self.overtaken():
            raise Cut("554 5.5.1 Nothing may follow STARTTLS before the answer", "commands behind STARTTLS")
        else:
            await self.push("220 2.0.0 Ready to start TLS")
            if self.overtaken():
                raise Cut("", "commands behind STARTTLS")
            # What was said in clear is forgotten: RFC 3207 4.2.
            self._set_rset_state()
            self._greeted = False
            self._login = ""
            await self.secured(self.shake_hands(self.terms.tls))

    def _may_log_in(self) -> bool:
        return self.terms.door is Door.SUBMISSION and (self.secure or self.terms.host.in_network(self.peer))

    async def smtp_AUTH(self, arg: str) -> None:  # noqa: N802
        words = arg.split()
        if self.terms.door is not Door.SUBMISSION:
            await self.push("502 5.5.1 There is no login at this door")
        elif await self._must_greet():
            return
        elif not self._may_log_in():
            await self.push("538 5.7.11 A login needs TLS, see STARTTLS")
        elif self._login or self._mail is not None:
            await self.push("503 5.5.1 Not now: logged in already, or in the middle of a mail")
        elif len(words) not in {1, 2}:
            await self.push("501 5.5.4 Syntax: AUTH mechanism [initial-response]")
        elif words[0].upper() not in {"PLAIN", "LOGIN"}:
            await self.push("504 5.5.4 Only PLAIN and LOGIN are understood")
        else:
            result = await self._auth_methods[words[0].upper()].method(self, words)
            if result.success:
                await self._log_in(result.auth_data)

    async def _log_in(self, credentials: LoginPassword) -> None:
        username = credentials.login.decode("utf-8", "replace")
        shown = "".join(c if c.isprintable() else "?" for c in username)[:100]
        throttle = self.terms.throttle
        wait = throttle.wait(self.peer, username)
        if wait:
            # Not looked at: neither does it tell whether the password was right.
            await self._no_login(
                shown, "throttled", f"454 4.7.0 Too many failed logins, try again in {math.ceil(wait)} s"
            )
            return
        await asyncio.sleep(throttle.pause(self.peer, username))
        try:
            name = await self.terms.host.login(self.peer, username, credentials.password)
        except SpoolUnavailable:
            await self.push("454 4.7.0 Logins cannot be checked now, try again later")
            return
        if name is not None:
            self._login = name
            throttle.succeeded(self.peer, username)
            emit("login.accepted", peer=self.peer, username=shown, sender=name)
            await self.push("235 2.7.0 Welcome")
            return
        throttle.failed(self.peer, username)
        await self._no_login(shown, "wrong", "535 5.7.8 Wrong name or password")

    async def _no_login(self, username: str, reason: str, answer: str) -> None:
        self._failed_logins += 1
        emit("login.failed", peer=self.peer, username=username, reason=reason)
        await self.push(answer)
        if self._failed_logins >= self.limits.failed_logins:
            raise Cut("421 4.7.0 Too many failed logins", "failed logins")

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        if await self._must_greet():
            return
        if self._mail is not None:
            await self.push("503 5.5.1 One mail at a time: MAIL was said already")
            return
        mail = argument.mail_from(arg or "")
        if isinstance(mail, Refusal):
            await self.push(str(mail))
            return
        no = content.TOO_BIG if mail.size > self.limits.max_bytes else None
        no = no or self.terms.host.mail(self.visit, mail.address)
        if no is not None:
            await self._refuse(no, "mail", mail.address)
            return
        self._mail = mail
        await self.push("250 2.1.0 Sender ok")

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        if await self._must_greet():
            return
        if self._mail is None:
            await self.push("503 5.5.1 MAIL comes before RCPT")
            return
        recipient = argument.rcpt_to(arg or "")
        if isinstance(recipient, Refusal):
            self._nobody = _NOBODY
            await self.push(str(recipient))
            return
        if recipient.address.lower() in self._recipients:
            await self.push("250 2.1.5 Recipient ok, named before")
            return
        no = await self._judge(self._mail.address, recipient.address)
        if no is not None:
            # Who reads only the answer to DATA must not take "later" for "never".
            self._nobody = _NOBODY if no.code >= 500 and self._nobody != _NOBODY_NOW else _NOBODY_NOW
            await self._refuse(no, "rcpt", self._mail.address, recipient=recipient.address)
            # Half of a group may have opted out: a known sender must not lose the rest.  A stranger is probing.
            self.errors -= no.code >= 500 and self.terms.door is Door.SUBMISSION
            return
        self._recipients[recipient.address.lower()] = recipient
        await self.push("250 2.1.5 Recipient ok")

    async def _judge(self, mail_from: str, address: str) -> Refusal | None:
        if len(self._recipients) >= self.limits.recipients:
            return _ENOUGH
        try:
            return await self.terms.host.rcpt(self.visit, mail_from, address)
        except SpoolUnavailable:
            return _NOT_NOW

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        if await self._must_greet():
            return
        if arg:
            await self.push("501 5.5.4 DATA takes no argument")
        elif self._mail is None:
            await self.push("503 5.5.1 MAIL and RCPT come before DATA")
        elif not self._recipients:
            await self.push(self._nobody)
        else:
            mail, recipients = self._mail, tuple(self._recipients.values())
            try:
                answer = await self._receive(mail, recipients)
            finally:
                self._set_rset_state()
            self._reset_timeout()
            if isinstance(answer, Refusal):
                await self._refuse(answer, "data", mail.address)
                return
            self.commands = self.errors = 0
            await self.push(f"250 2.0.0 accepted as {answer}")

    async def _receive(self, mail: argument.MailFrom, recipients: tuple[Recipient, ...]) -> str | Refusal:
        limits, crowd = self.limits, self.terms.crowd
        bare_lf = self.terms.host.may_bare_lf(self.visit, mail.address)
        body = Content(max_bytes=limits.max_bytes, line_bytes=limits.line_bytes, bare_lf=bare_lf)
        held = 0
        try:
            await self.push("354 End the mail with a dot on a line of its own")
            self._reset_timeout(limits.content_seconds)
            while True:
                rest = body.feed(await self.block())
                fits, held = crowd.hold(body.held - held), body.held
                if rest is not None:
                    break
                if not fits:
                    body.refuse(_CROWDED)
                    crowd.release(held - body.held)
                    held = body.held
            self.give_back(rest)
            raw = b"" if body.fault else body.raw()
            no = body.fault or content.fault(
                raw, max_bytes=limits.max_bytes, line_bytes=limits.line_bytes, hops=limits.hops
            )
            envelope = Envelope(mail_from=mail.address, recipients=recipients, envid=mail.envid, ret=mail.ret)
            return no or await self._keep(envelope, raw)
        finally:
            crowd.release(held)

    async def _keep(self, envelope: Envelope, raw: bytes) -> str | Refusal:
        self.no_timeout()
        self.committing = True
        try:
            return await self.terms.host.data(self.visit, envelope, raw)
        except SpoolUnavailable:
            return _NOT_STORED
        finally:
            self.committing = False

    async def _must_greet(self) -> bool:
        if not self._greeted:
            await self.push("503 5.5.1 HELO or EHLO comes first")
        return not self._greeted

    async def _refuse(self, no: Refusal, stage: str, mail_from: str, recipient: str = "") -> None:
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
        await self.push(" ".join(str(no).split()))

    async def smtp_RSET(self, arg: str) -> None:  # noqa: N802
        if arg:
            await self.push("501 5.5.4 RSET takes no argument")
            return
        self._set_rset_state()
        await self.push("250 2.0.0 Forgotten")

    async def smtp_NOOP(self, arg: str) -> None:  # noqa: N802
        await self.push("250 2.0.0 Here")

    async def smtp_QUIT(self, arg: str) -> None:  # noqa: N802
        self.ended = True
        await self.push("221 2.0.0 Bye")

    async def smtp_HELP(self, arg: str) -> None:  # noqa: N802
        await self.push("214 2.0.0 RFC 5321")

    async def smtp_VRFY(self, arg: str) -> None:  # noqa: N802
        await self.push("252 2.1.5 Nobody is named here; RCPT tells who can be reached")

    async def smtp_EXPN(self, arg: str) -> None:  # noqa: N802
        await self.push("502 5.5.1 Lists are not shown")
