"""Whether a machine wrote a mail: words of machines are neither texted nor passed on as an answer (RFC 3834).

Two machines that answer each other would never end.
"""

from __future__ import annotations

from gateway.core import carrier_reply
from gateway.core.model import Door, InboundMail, Phone, Reading
from gateway.core.rules import Rules


def answer(mail: InboundMail, reading: Reading) -> str:
    """Why an answer, to r-, a- or enroll@, is a machine's; "" = a person wrote it."""
    if not mail.envelope.mail_from and mail.door is not Door.LOCAL:
        return "an automatic reply: its envelope sender is empty"
    if reading.auto_submitted not in ("", "no"):
        return f"an automatic reply: Auto-Submitted is {reading.auto_submitted}"
    if reading.bulk:
        return "an automatic reply or list mail: Precedence or List-Id says so"
    return job_mail(reading)


def job_mail(reading: Reading) -> str:
    """Why job mail is not texted, "" = it is.  Reminders rightly say auto-generated, so that word stops nothing."""
    if reading.report:
        return "a delivery report is not texted"
    if reading.auto_submitted == "auto-replied":
        return "an automatic reply: Auto-Submitted is auto-replied"
    if reading.ours:
        return "a mail of our own came back"
    return ""


def phone(mail: InboundMail, reading: Reading, rules: Rules) -> tuple[Phone, tuple[str, ...]] | str:
    """The phone that a person wrote a mail with, and the carriers whose phones write so; or why it is no such mail.

    Carriers report in mails of forms of their own, which bear no mark of a machine but what they say.
    """
    why = "a delivery report" if reading.bounce else answer(mail, reading)
    found = carrier_reply.author(reading.author or "", rules.country, rules.carriers)
    return why or found or "it comes from no phone at a carrier's domain"
