"""Mails that machines write, in the forms of many makers: reports of mail servers, and answers while somebody is away.

The forms are those that the field's collections of bounces hold; people and places are ours.  Each row is what one
maker writes: its author, its Subject, the header lines that tell more, and the shape of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

REPORT, PLAIN = "report", "plain"
_DAEMON = "MAILER-DAEMON@mx.example"
_POSTMASTER = "postmaster@mx.example"
_JO = "jo@shop.example.com"
_REPLIED, _GENERATED = "Auto-Submitted: auto-replied", "Auto-Submitted: auto-generated"

# name, From, Subject, more header lines, shape
_REPORTS = [
    ("postfix", _DAEMON, "Undelivered Mail Returned to Sender", (_REPLIED,), REPORT),
    ("postfix, late", _DAEMON, "Delayed Mail (still being retried)", (_REPLIED,), REPORT),
    ("sendmail", _DAEMON, "Returned mail: see transcript for details", (f"{_GENERATED} (failure)",), REPORT),
    ("sendmail 5", _DAEMON, "Returned mail: User unknown", (), PLAIN),
    ("sendmail, late", _DAEMON, "Warning: could not send message for past 4 hours", (_GENERATED,), REPORT),
    ("exim", _DAEMON, "Mail delivery failed: returning message to sender",
     (_REPLIED, "X-Failed-Recipients: 2025550143@vtext.com"), PLAIN),
    ("exim, late", _DAEMON, "Warning: message 1abcde-0001 delayed 24 hours", (_REPLIED,), PLAIN),
    ("qmail", _DAEMON, "failure notice", (), PLAIN),
    ("courier", "Courier mail server <courier@mx.example>", "NOTICE: mail delivery status.", (), REPORT),
    ("opensmtpd", _DAEMON, "Delivery status notification: error", (), PLAIN),
    ("exchange 2003", _POSTMASTER, "Undeliverable: RO 17", (), PLAIN),
    ("exchange 2007", _POSTMASTER, "Undeliverable: RO 17", ("X-MS-Exchange-Message-Is-Ndr:",), REPORT),
    ("exchange, german", _POSTMASTER, "=?utf-8?q?Unzustellbar:_RO_17?=", (), REPORT),
    ("iis", _POSTMASTER, "Delivery Status Notification (Failure)", (), REPORT),
    ("office 365", _POSTMASTER, "Undeliverable: RO 17", (_REPLIED,), REPORT),
    ("gmail", "mailer-daemon@googlemail.example", "Delivery Status Notification (Failure)",
     (_REPLIED, "X-Failed-Recipients: 2025550143@vtext.com"), REPORT),
    ("yahoo", "MAILER-DAEMON@yahoo.example", "Failure Notice", (), PLAIN),
    ("amazon", "MAILER-DAEMON@bounces.example", "Delivery Status Notification (Failure)", (), REPORT),
    ("domino", _POSTMASTER, "DELIVERY FAILURE: User jo not listed in public Name & Address Book", (), REPORT),
    ("notes", _POSTMASTER, "Undeliverable message", (), PLAIN),
    ("groupwise", _POSTMASTER, "Mail System Error - Returned Mail", (), PLAIN),
    ("mdaemon", "MDaemon@mx.example", "Permanent Delivery Failure", ("X-MDSPAM-Error: 5.1.1",), REPORT),
    ("imail", _POSTMASTER, "Undeliverable Mail", (), PLAIN),
    ("mailmarshal", _POSTMASTER, "Undeliverable Mail: RO 17", (), PLAIN),
    ("mailfoundry", _POSTMASTER, "Message delivery has failed", (), PLAIN),
    ("messagelabs", _DAEMON, "Mail Delivery Failure", (), REPORT),
    ("powermta", _POSTMASTER, "Delivery report", (), REPORT),
    ("james", _POSTMASTER, "[BOUNCE]", (), REPORT),
    ("activehunter", _DAEMON, "FAILURE NOTICE :", (), PLAIN),
    ("surfcontrol", _POSTMASTER, "Delivery failure: RO 17", (), PLAIN),
    ("of a filter", _DAEMON, "Message you sent blocked by our bulk email filter", (), PLAIN),
    ("of a quota", _DAEMON, "Returned mail: Mailbox full", (), REPORT),
    ("mimecast", _POSTMASTER, "[Postmaster] Email Delivery Failure", (), REPORT),
    ("a disk station", _DAEMON, "Undelivered Mail Returned to Sender", (_REPLIED, "Precedence: bulk"), REPORT),
]  # fmt: skip
_ANSWERS = [
    ("exchange", _JO, "Automatic reply: RO 17", (_GENERATED, "X-Auto-Response-Suppress: All"), PLAIN),
    ("outlook 2003", _JO, "Out of Office AutoReply: RO 17", (), PLAIN),
    ("gmail", _JO, "Out of town Re: RO 17", (_REPLIED, "Precedence: bulk", "X-Autoreply: yes"), PLAIN),
    ("vacation(1)", _JO, "Re: RO 17", (_REPLIED, "Precedence: bulk"), PLAIN),
    ("vacation(1) of 1990", _JO, "away from my mail", ("Precedence: junk",), PLAIN),
    ("sieve", _JO, "Auto: RO 17", (f"{_REPLIED} (vacation)",), PLAIN),
    ("zimbra", _JO, "Re: RO 17", (f"{_REPLIED} (zimbra; vacation)",), PLAIN),
    ("apple", _JO, "Re: RO 17", (_REPLIED, "X-Apple-Action: vacation"), PLAIN),
    ("cpanel", _JO, "Re: RO 17", ("X-Autorespond: RO 17", "Precedence: auto_reply"), PLAIN),
    ("plesk", _JO, "Re: RO 17", ("X-Autoreply: yes", "Precedence: auto_reply"), PLAIN),
    ("ezmlm", "list-help@shop.example.com", "ezmlm response", ("Precedence: bulk", "List-Id: <list.example>"), PLAIN),
    ("mailman", "list-bounces@shop.example.com", "Your message awaits moderator approval",
     (_GENERATED, "List-Id: <list.example>", "Precedence: bulk"), PLAIN),
    ("notes", _JO, "Jo is out of the office", (_REPLIED,), PLAIN),
    ("notes, older", _JO, "Out of the office until Monday", (), PLAIN),
    ("yahoo", _JO, "Auto Response: RO 17", ("X-Autogenerated: Reply",), PLAIN),
    ("request tracker", _JO, "[shop #17] AutoReply: RO 17", (_REPLIED, "RT-Ticket: 17"), PLAIN),
    ("otrs", _JO, "[Ticket#17] RO 17", ("Precedence: bulk", "X-Powered-By: OTRS"), PLAIN),
    ("zendesk", _JO, "[Request received] RO 17", (_GENERATED, "X-Auto-Response-Suppress: All"), PLAIN),
    ("a rule of outlook", _JO, "Re: RO 17", ("X-MS-Exchange-Inbox-Rules-Loop: jo@shop.example.com",), PLAIN),
    ("a receipt", _JO, "Read: RO 17", (f"{_REPLIED} (MDN)",), REPORT),
    ("auto-notified", _JO, "RO 17 has a new owner", ("Auto-Submitted: auto-notified; owner-email=x@y.example",), PLAIN),
    ("a list", "news@shop.example.com", "News of this week", ("List-Id: <news.example>", "Precedence: list"), PLAIN),
    *((f"exchange, {language}", _JO, subject, (_GENERATED,), PLAIN) for language, subject in (
        ("german", "Automatische Antwort: RO 17"), ("spanish", "=?utf-8?q?Respuesta_autom=C3=A1tica:_RO_17?="),
        ("french", "=?utf-8?q?R=C3=A9ponse_automatique_:_RO_17?="), ("dutch", "Automatisch antwoord: RO 17"),
    )),
    *((f"bare, {language}", _JO, subject, (), PLAIN) for language, subject in (
        ("german", "Automatische Antwort: RO 17"), ("german, older", "Abwesenheitsnotiz: RO 17"),
        ("spanish", "=?utf-8?q?Respuesta_autom=C3=A1tica:_RO_17?="),
        ("french", "=?utf-8?q?R=C3=A9ponse_automatique_:_RO_17?="),
        ("italian", "Risposta automatica: RO 17"), ("dutch", "Automatisch antwoord: RO 17"),
        ("portuguese", "=?utf-8?q?Resposta_autom=C3=A1tica:_RO_17?="), ("swedish", "Autosvar: RO 17"),
    )),
    # Nothing says so: there are such mails, and no reader of them can know.
    ("bare, without a sign", _JO, "Re: RO 17", (), PLAIN),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Written:
    """One mail of a machine.  `number` stands in its text as "answer 17."."""

    name: str
    mail_from: str  # "" is the null sender
    raw: bytes
    number: int


def corpus() -> list[Written]:
    """Reports with the null sender and, as after a forwarder that rewrites it, without; answers as their makers send.

    A report whose envelope sender was rewritten is in it where its form is all that says what it is.
    """
    rows = [("", row) for row in _REPORTS]
    rows += [(_JO, row) for row in _REPORTS]
    rows += [(_JO, row) for row in _ANSWERS]
    rows += [("", row) for row in _ANSWERS if row[3] and "exchange" not in row[0]]
    return [Written(row[0], mail_from, _raw(n, row), n) for n, (mail_from, row) in enumerate(rows)]


def _raw(number: int, row: tuple[str, str, str, tuple[str, ...], str]) -> bytes:
    _, author, subject, more, shape = row
    head = [f"From: {author}", f"Subject: {subject}", f"Message-ID: <m{number}@x.example>", "MIME-Version: 1.0", *more]
    words = [f"This is answer {number}.", ""]
    if shape == PLAIN:
        lines = [*head, "Content-Type: text/plain; charset=us-ascii", "", *words]
        return "\r\n".join(lines).encode()
    kind = "disposition" if "MDN" in " ".join(more) else "delivery"
    lines = [
        *head, f'Content-Type: multipart/report; report-type={kind}-status; boundary="b"', "", "--b", "",
        *words, "--b", f"Content-Type: message/{kind}-status", "", "Reporting-MTA: dns; mx.example", "",
        "Final-Recipient: rfc822; 2025550143@vtext.com", "Action: failed", "Status: 5.1.1", "", "--b--", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()
