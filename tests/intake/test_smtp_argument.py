"""What may stand behind MAIL and RCPT."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.model import Recipient, Refusal
from gateway.intake.argument import MailFrom, mail_from, rcpt_to
from gateway.intake.dsn import xtext


@pytest.mark.parametrize(
    ("arg", "expected"),
    [
        pytest.param("FROM:<jobs@shop.example>", MailFrom(address="jobs@shop.example"), id="plain"),
        pytest.param("from:<jobs@shop.example>", MailFrom(address="jobs@shop.example"), id="lower-case"),
        pytest.param("FROM: <jobs@shop.example>", MailFrom(address="jobs@shop.example"), id="space"),
        pytest.param("FROM:jobs@shop.example", MailFrom(address="jobs@shop.example"), id="no-brackets"),
        pytest.param(
            "FROM:jobs@shop.example SIZE=7", MailFrom(address="jobs@shop.example", size=7), id="no-brackets-size"
        ),
        pytest.param("FROM:<>", MailFrom(address=""), id="null-sender"),
        pytest.param("FROM:<root>", MailFrom(address="root"), id="no-domain"),
        pytest.param('FROM:<"a > b"@c.example>', MailFrom(address='"a > b"@c.example'), id="quoted"),
        pytest.param("FROM:<a@b> AUTH=<>", MailFrom(address="a@b"), id="auth-nobody"),
        pytest.param("FROM:<a@b> AUTH=e+3Dmc2@example.com", MailFrom(address="a@b"), id="auth-xtext"),
        pytest.param("FROM:<a@b> BODY=8bitmime size=12", MailFrom(address="a@b", size=12), id="body-size"),
        pytest.param("FROM:<a@b> RET=hdrs ENVID=QQ+2B1", MailFrom(address="a@b", ret="HDRS", envid="QQ+1"), id="dsn"),
    ],
)
def test_mail_is_read(arg: str, expected: MailFrom) -> None:
    assert expected == mail_from(arg)


@pytest.mark.parametrize(
    ("arg", "answer"),
    [
        pytest.param("", "501 5.5.4", id="nothing"),
        pytest.param("FROM:", "501 5.5.4", id="no-address"),
        pytest.param("TO:<a@b>", "501 5.5.4", id="wrong-word"),
        pytest.param("FROM <a@b>", "501 5.5.4", id="no-colon"),
        pytest.param("FROM:<a@b", "501 5.5.4", id="open-bracket"),
        pytest.param("FROM:<<a@b>>", "501 5.5.4", id="double-brackets"),
        pytest.param("FROM:<a b@c>", "501 5.5.4", id="space-inside"),
        pytest.param("FROM:<a@b>SIZE=1", "501 5.5.4", id="parameter-glued"),
        pytest.param("FROM:<a@b> SIZE=1 SIZE=2", "501 5.5.4", id="parameter-twice"),
        pytest.param("FROM:<a@b> SIZE=", "501 5.5.4", id="parameter-empty"),
        pytest.param("FROM:<a@b> SIZE=one", "501 5.5.4", id="size-not-a-number"),
        pytest.param("FROM:<a@b> SIZE=" + "9" * 21, "501 5.5.4", id="size-too-many-digits"),
        pytest.param("FROM:<a@b> BODY=BINARYMIME", "501 5.5.4", id="body-not-offered"),
        pytest.param("FROM:<a@b> RET=ALL", "501 5.5.4", id="ret-unknown"),
        pytest.param("FROM:<a@b> ENVID=+0D+0AX", "501 5.5.4", id="envid-line-break"),
        pytest.param("FROM:<a@b> ENVID=" + "x" * 101, "501 5.5.4", id="envid-too-long"),
        pytest.param("FROM:<a@b> SMTPUTF8", "555 5.5.4", id="smtputf8-not-offered"),
        pytest.param("FROM:<a@b> NOTIFY=NEVER", "555 5.5.4", id="parameter-of-rcpt"),
        pytest.param("FROM:<" + "a" * 257 + ">", "501 5.1.7", id="too-long"),
    ],
)
def test_nonsense_behind_mail_is_refused(arg: str, answer: str) -> None:
    assert str(mail_from(arg)).startswith(answer)


@pytest.mark.parametrize(
    ("arg", "expected"),
    [
        pytest.param("TO:<2025550143@x.example>", Recipient(address="2025550143@x.example"), id="plain"),
        pytest.param("To: 2025550143@x.example", Recipient(address="2025550143@x.example"), id="bare"),
        pytest.param("TO:<@a,@b:c@d>", Recipient(address="@a,@b:c@d"), id="source-route-as-written"),
        pytest.param("TO:<v%x.example@y>", Recipient(address="v%x.example@y"), id="percent-as-written"),
        pytest.param('TO:<"v@x"@y>', Recipient(address='"v@x"@y'), id="quotes-as-written"),
        pytest.param("TO:<Postmaster>", Recipient(address="Postmaster"), id="postmaster"),
        pytest.param("TO:<a@b> NOTIFY=never", Recipient(address="a@b", notify="NEVER"), id="never"),
        pytest.param(
            "TO:<a@b> NOTIFY=FAILURE,Delay ORCPT=rfc822;Bob+2Ba@example.com",
            Recipient(address="a@b", notify="FAILURE,DELAY", orcpt="rfc822;Bob+a@example.com"),
            id="notify-orcpt",
        ),
    ],
)
def test_rcpt_is_read(arg: str, expected: Recipient) -> None:
    assert expected == rcpt_to(arg)


@pytest.mark.parametrize(
    ("arg", "answer"),
    [
        pytest.param("TO:<>", "501 5.1.3", id="null"),
        pytest.param("TO:<" + "1" * 257 + ">", "501 5.1.3", id="too-long"),
        pytest.param('TO:"Bob" <a@b>', "501 5.5.4", id="display-name"),
        pytest.param("TO:<a@b> NOTIFY=NEVER,FAILURE", "501 5.5.4", id="never-and-more"),
        pytest.param("TO:<a@b> NOTIFY=FAILURE,FAILURE", "501 5.5.4", id="notify-twice"),
        pytest.param("TO:<a@b> NOTIFY=FAILURE,", "501 5.5.4", id="notify-comma"),
        pytest.param("TO:<a@b> NOTIFY", "501 5.5.4", id="notify-nothing"),
        pytest.param("TO:<a@b> ORCPT=bob@example.com", "501 5.5.4", id="orcpt-no-type"),
        pytest.param("TO:<a@b> ORCPT=rfc822;", "501 5.5.4", id="orcpt-empty"),
        pytest.param("TO:<a@b> ORCPT=rfc822;a+0ab", "501 5.5.4", id="orcpt-small-hex"),
        pytest.param("TO:<a@b> ORCPT=rfc822;a+0A", "501 5.5.4", id="orcpt-line-break"),
        pytest.param("TO:<a@b> ORCPT=rfc822;" + "a" * 500, "501 5.5.4", id="orcpt-too-long"),
        pytest.param("TO:<a@b> SIZE=1", "555 5.5.4", id="parameter-of-mail"),
    ],
)
def test_nonsense_behind_rcpt_is_refused(arg: str, answer: str) -> None:
    assert str(rcpt_to(arg)).startswith(answer)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40))
def test_xtext_gives_back_what_was_encoded(text: str) -> None:
    encoded = "".join(f"+{ord(c):02X}" if c in "+=" else c for c in text)

    assert text == xtext(encoded)


@given(st.text(max_size=60))
def test_no_argument_raises(arg: str) -> None:
    assert isinstance(mail_from(f"FROM:{arg}"), MailFrom | Refusal)
    assert isinstance(rcpt_to(f"TO:{arg}"), Recipient | Refusal)


@given(st.text(st.characters(max_codepoint=127), max_size=60))
def test_what_is_read_holds_no_line_break(arg: str) -> None:
    read = rcpt_to(f"TO:<a@b> {arg}")

    assert isinstance(read, Refusal) or not {"\r", "\n", "\0"} & set(read.notify + read.orcpt)
