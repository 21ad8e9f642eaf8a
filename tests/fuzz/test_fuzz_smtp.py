"""Whatever a client sends, the door answers each line once, keeps nothing in silence and serves the next."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from conversation import FAULT, Conversations, assert_each_line_is_answered_once, conversing, replies
from grammar import cut_up, times
from hypothesis import given
from hypothesis import strategies as st

GOOD = b"MAIL FROM:<jobs@shop.example>\r\nRCPT TO:<2025550143@sms.example.com>\r\nDATA\r\n"
MAIL = b"Subject: x\r\n\r\nHello\r\n.\r\n"

VERBS = (
    b"HELO", b"EHLO", b"MAIL", b"RCPT", b"DATA", b"RSET", b"NOOP", b"QUIT", b"AUTH", b"STARTTLS", b"HELP", b"VRFY",
    b"EXPN", b"BDAT", b"ehlo", b"mAiL", b"GET", b"POST", b"",
)  # fmt: skip
verbs = st.sampled_from(VERBS)
PATHS = (
    b"FROM:<jobs@shop.example>", b"FROM:<>", b"FROM: jobs@shop.example", b"FROM:<a> SIZE=99999999", b"FROM:<a> X=\xff",
    b"FROM:<a> BODY=8BITMIME RET=FULL ENVID=+41", b"FROM:<a> SIZE=1 SIZE=2", b"FROM:<a> AUTH=<>", b"TO:<>", b"TO:<<a>>",
    b"TO:<2025550143@sms.example.com>", b"TO:<@a,@b:c@d>", b'TO:<"a\\ b"@c>', b"TO:<\xc3\xa9@c>", b"TO:<a\tb>",
    b"TO:<" + b"x" * 300 + b">", b"TO:<a> NOTIFY=NEVER,DELAY", b"TO:<a> ORCPT=rfc822;+zz", b"TO:<a> NOTIFY",
    b"pc7.shop.example", b"[127.0.0.1]", b"", b" ", b"PLAIN", b"LOGIN", b"PLAIN =", b"PLAIN *", b"LOGIN \xff", b"x y z",
    b"a" * 2_100,
    b"PLAIN " + base64.b64encode(b"\0shop\0wrench"), b"PLAIN " + base64.b64encode(b"\0shop\0\xff"), b"CRAM-MD5", b"\0",
    b"LOGIN " + base64.b64encode(b"\xff\n"), b"/ HTTP/1.1", b"\x1b[2J",
)  # fmt: skip
paths = st.sampled_from(PATHS)
ends = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\r\n", b"\0\r\n", b" \r\n", b""])
commands = st.builds(lambda verb, path, end: verb + b" " + path + end, verbs, paths, ends)
contents = st.lists(
    st.sampled_from([
        b"Subject: x\r\n", b"\r\n", b".\r\n", b"\r\n.\r\n", b"\n.\n", b"\r.\r", b"..\r\n", b".", b"\0", b"\xff\xfe",
        b"Received: x\r\n" * 6, b"x" * 1_100, b"line\r\n" * 900, b"QUIT\r\n",
    ]),
    max_size=8,
).map(b"".join)  # fmt: skip
steps = st.one_of(
    commands,
    commands,
    st.just(b"EHLO pc7\r\n"),
    st.just(GOOD),
    st.just(MAIL),
    st.builds(lambda content: GOOD + content + b"\r\n.\r\n", contents),
    contents,
    st.binary(max_size=60),
)
sessions = st.lists(steps, max_size=12).map(lambda found: b"EHLO pc7\r\n" + b"".join(found))


@pytest.fixture(scope="module")
def doors() -> Iterator[Conversations]:
    with conversing() as found:
        yield found


@times(100)
@given(st.binary(max_size=400).flatmap(cut_up))
def test_arbitrary_bytes_are_answered_line_by_line(doors: Conversations, pieces: list[bytes]) -> None:
    doors.judged(pieces)


@times(200)
@given(sessions.flatmap(cut_up))
def test_any_order_of_commands_is_answered_line_by_line(doors: Conversations, pieces: list[bytes]) -> None:
    doors.judged(pieces)
    doors.serves()


@times(60)
@given(contents.flatmap(lambda content: cut_up(b"EHLO pc7\r\n" + GOOD + content + b"\r\n.\r\n" + GOOD + MAIL)))
def test_a_mail_ends_at_its_lone_dot_however_it_is_cut(doors: Conversations, pieces: list[bytes]) -> None:
    doors.judged(pieces)


@times(60)
@given(sessions, st.sampled_from(["login", "mail", "rcpt", "data"]))
def test_a_fault_of_the_house_is_told_in_general_words(doors: Conversations, sent: bytes, stage: str) -> None:
    doors.house.host.faults = {stage: RuntimeError("words of a fault")}
    try:
        found = doors.judged([sent + b"RSET\r\n" + GOOD + MAIL])
    finally:
        doors.house.host.faults = {}

    assert [reply for reply in found if "words" in reply or "Runtime" in reply] == []
    doors.serves()


def test_a_fault_that_was_met_is_answered_451(doors: Conversations) -> None:
    doors.house.host.faults = {"data": RuntimeError("words of a fault")}
    try:
        found = doors.judged([b"EHLO pc7\r\n" + GOOD + MAIL + b"QUIT\r\n"])
    finally:
        doors.house.host.faults = {}

    assert [FAULT, "221 2.0.0 Bye"] == found[-2:]


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        pytest.param(b"NOOP\r\nNOOP\r\n", b"220 mx\r\n250 2.0.0 Here\r\n", id="a line without an answer"),
        pytest.param(b"NOOP\r\n", b"220 mx\r\n250 2.0.0 a\r\n250 2.0.0 b\r\n", id="two answers"),
        pytest.param(b"DATA\r\nx\r\n", b"220 mx\r\n354 go\r\n250 2.0.0 a\r\n", id="an answer before the end"),
        pytest.param(b"NOOP\r\n", b"220 mx\r\n500 No enhanced code\r\n", id="no enhanced code"),
        pytest.param(b"NOOP\r\n", b"220 mx\r\n250-a\r\n251 b\r\n", id="two codes in one reply"),
        pytest.param(b"QUIT\r\nNOOP\r\n", b"220 mx\r\n221 Bye\r\n250 2.0.0 a\r\n", id="words after the last"),
    ],
)
def test_the_rules_of_a_conversation_find_what_breaks_them(sent: bytes, received: bytes) -> None:
    with pytest.raises(AssertionError):
        assert_each_line_is_answered_once(sent, replies(received))
