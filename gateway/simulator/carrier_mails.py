"""The mails that carriers write, as bytes: reports on mails that reached no phone, and what a phone texts back.

Shapes as the field has seen them, in words of our own.
Sources: RFC 3464; sisimai's Lhost::Verizon for vtext.com and vzwpix.com; monde/mms2r (MIT) and Signal-Android #293 for
what a carrier makes of a text to a mail address.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.message import Message
from email.mime.base import MIMEBase
from email.mime.image import MIMEImage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime, make_msgid, parseaddr
from html import escape

from gateway.simulator.journal import Mailed

_LINES = policy.compat32.clone(linesep="\r\n")
_STATUS = re.compile(r"\b[45]\.\d{1,3}\.\d{1,3}\b")
_LAYOUT = "<smil><head/><body/></smil>"
_LOGO = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///ywAAAAAAQABAAACAUwAOw==")
_FOOTER = f"--\n{'=' * 66}\nThis mobile text message is brought to you by AT&T"
_NOTICE = "You have new Picture Mail!\n\nClick Go/View to see now.\nhttp://pictures.sprint.example/?share=0123456789\n"
_WRAPPER = (
    '<html><head><title>T-Mobile</title></head><body><table><tr><td><img src="cid:tmobilelogo.gif"></td></tr>'
    "<tr><td>{words}</td></tr><tr><td>This message was sent from a T-Mobile wireless phone.</td></tr></table></body>"
    "</html>"
)

# What a report says where nobody gave it other words.
REPORTS = {
    "failed": "550 5.1.1 no such subscriber",
    "delayed": "451 4.4.1 the phone cannot be reached",
    "vtext": "550 - Requested action not taken: no such user here",
    "vzwpix": "No valid recipients for this MM",
}
FORMS = ("plain", "footer", "txt", "html", "link")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a person texts back, and how his carrier sends it on."""

    words: str
    form: str = (
        "plain"  # one of FORMS: txt is an MMS whose words are a file, html T-Mobile's page, link Sprint's notice
    )
    author: str = ""  # From: any domain of the carrier, "1..." or ".../TYPE=PLMN"; "" = the address that was texted
    to: str = ""  # "envelope" = the envelope sender of the mail that is answered, "" = its From
    pictures: tuple[tuple[str, bytes], ...] = ()  # content types and bytes
    signed: bool = False  # by DKIM, with the key of From's domain
    results: str = ""  # Authentication-Results that the host in front of the gateway writes on top


def report(form: str, mail: Mailed, words: str, at: datetime) -> tuple[str, bytes]:
    """A report on `mail`, whose first recipient it names: its envelope sender, and its bytes.

    `words` are the answer of the host behind, "" = those of REPORTS.  Raises ValueError for an unknown form.
    """
    if form not in REPORTS:
        raise ValueError(f"no report is called {form!r}; there are {', '.join(REPORTS)}")
    said = words or REPORTS[form]
    if form == "vtext":
        return "post_master@vtext.com", _of_vtext(mail, said, at)
    if form == "vzwpix":
        return "", _of_vzwpix(mail, said, at)
    return "", _standard(form, mail, said, at)


def _standard(action: str, mail: Mailed, said: str, at: datetime) -> bytes:
    """RFC 3464."""
    address = mail.rcpt_to[0].address
    domain = address.rpartition("@")[2]
    late = action == "delayed"
    status = _STATUS.search(said)
    about = Message()
    about["Final-Recipient"] = f"rfc822; {address}"
    about["Action"] = action
    about["Status"] = status.group() if status else ("4.0.0" if late else "5.0.0")
    about["Diagnostic-Code"] = f"smtp; {said}"
    host = Message()
    host["Reporting-MTA"] = f"dns; {domain}"
    told = MIMEBase("message", "delivery-status")
    told.attach(host)
    told.attach(about)
    words = "is not delivered yet, and will be tried again." if late else "could not be delivered."
    parts = [MIMEText(f"Your mail to {address} {words}\n\n{said}\n"), told, _header_of(mail)]
    subject = "Delayed Mail (still being retried)" if late else "Undelivered Mail Returned to Sender"
    made = _multipart("report", parts)
    made.set_param("report-type", "delivery-status")
    made["Auto-Submitted"] = "auto-replied"
    return _bytes(made, f"Mail Delivery System <postmaster@{domain}>", mail.mail_from, at, subject)


def _of_vtext(mail: Mailed, said: str, at: datetime) -> bytes:
    subject = str(mail.message["Subject"] or "")
    text = (
        f"Error: Invalid user address\n\nError message below:\n{said}\n\nMessage details:\n  Subject: {subject}\n"
        f"  MAIL FROM: {mail.mail_from}\n  RCPT TO: {mail.rcpt_to[0].address}\n  From: {mail.message['From']}\n"
        f"  Size (in bytes): {len(mail.raw)}\n"
    )
    made = _multipart("mixed", [_multipart("alternative", [MIMEText(text)])])
    made["In-Reply-To"] = str(mail.message["Message-ID"])
    return _bytes(made, "post_master@vtext.com", mail.mail_from, at, f"Re:{subject}")


def _of_vzwpix(mail: Mailed, said: str, at: datetime) -> bytes:
    text = (
        f"Message could not be delivered to mobile.\nError: {said}\n\n\nOriginal Message:\n"
        f"From: {mail.message['From']}\nTo: {mail.rcpt_to[0].address}\nSubject: {mail.message['Subject'] or ''}\n"
    )
    made = _multipart("mixed", [MIMEText(text)])
    author = "MMSC NDR Administrator <sysadmin@m01.vzwpix.com>"
    return _bytes(made, author, mail.mail_from, at, "Undeliverable Message")


def _header_of(mail: Mailed) -> MIMEBase:
    made = MIMEBase("text", "rfc822-headers")
    made.set_payload(mail.raw.partition(b"\r\n\r\n")[0].decode("latin-1") + "\r\n")
    return made


def written(answer: Answer, mail: Mailed | None, address: str, at: datetime) -> tuple[str, str, bytes]:
    """What the phone at `address` answers: From, the recipient, and the bytes.  `mail` is what it got, if any.

    Raises ValueError for an unknown form, and where nobody says to whom it writes.
    """
    if answer.form not in FORMS:
        raise ValueError(f"no form is called {answer.form!r}; there are {', '.join(FORMS)}")
    author, to = answer.author or address, answer.to
    if to in ("", "envelope"):
        if mail is None:
            raise ValueError("the phone got no mail that it could answer: say to whom it writes")
        to = mail.mail_from if to else parseaddr(str(mail.message["From"]))[1]
    # A picture makes an MMS of it, whatever the phone calls it.
    form = "txt" if answer.form == "plain" and answer.pictures else answer.form
    return author, to, _bytes(_body(form, answer), author, to, at, _SUBJECTS.get(form, ""))


_SUBJECTS = {"txt": "Multimedia message", "link": "You have new Picture Mail!"}


def _body(form: str, answer: Answer) -> MIMEBase:
    pictures = [_image(data, kind, f"IMG_{n:04}") for n, (kind, data) in enumerate(answer.pictures, 1)]
    match form:
        case "plain":
            return _text(answer.words)
        case "footer":
            return _text(f"{answer.words}\n\n{_FOOTER}")
        case "link":
            return _multipart("alternative", [_text(_NOTICE), _text("<p>You have a Picture Mail</p>", "html")])
        case "html":
            page = _text(_WRAPPER.replace("{words}", escape(answer.words)), "html")
            logos = [_image(_LOGO, "image/gif", name) for name in ("dottedline600", "tmobilelogo", "spacer")]
            return _multipart("related", [page, *pictures, *logos])
        case _:
            layout = MIMEBase("application", "smil", name="0.smil")
            layout.set_payload(_LAYOUT)
            words = _text(answer.words, name="text_0.txt")
            words["Content-Disposition"] = "inline"
            return _multipart("related", [layout, *([words] if answer.words else []), *pictures])


def _text(words: str, kind: str = "plain", name: str = "") -> MIMEText:
    made = MIMEText(words + "\n", kind, "us-ascii" if words.isascii() else "utf-8")
    if name:
        made.set_param("name", name)
    return made


def _image(data: bytes, kind: str, name: str) -> MIMEImage:
    subtype = kind.partition("/")[2]
    return MIMEImage(data, subtype, name=f"{name}.{'jpg' if subtype == 'jpeg' else subtype}")


def _multipart(kind: str, parts: Sequence[MIMEBase]) -> MIMEMultipart:
    made = MIMEMultipart(kind)
    for part in parts:
        del part["MIME-Version"]
        made.attach(part)
    return made


def _bytes(made: MIMEBase, author: str, to: str, at: datetime, subject: str) -> bytes:
    made["From"], made["To"] = author, to
    made["Subject"] = subject
    made["Date"] = format_datetime(at)
    made["Message-ID"] = make_msgid(domain=parseaddr(author)[1].rpartition("@")[2])
    return made.as_bytes(policy=_LINES)
