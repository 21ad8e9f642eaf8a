"""Mail is read in a child process: a crafted mail costs itself and nothing else."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from PIL import Image

from gateway.core.model import Picture, Reading, Unreadable
from gateway.ports import Media, Reader, ReaderUnavailable
from gateway.reader import Limits, MailReader

FROM = b"From: shop@jobs.example\r\n"
TMOBILE = b"From: 2025550143@tmomail.net\r\n"
CARRIERS = Path(__file__).parent / "data" / "mails" / "carriers"
# Of HTML, so that a child must read them.
HTML = b"Content-Type: text/html\r\n"
SIMPLE = FROM + HTML + b"Subject: Ready\r\nReferences: <a@x> <b@x>\r\n\r\nYour car is ready.<br>Do not reply.\r\n"


def html(body: bytes) -> bytes:
    return FROM + HTML + b"\r\n" + body


def nested(count: int) -> bytes:
    return FROM + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (i, i) for i in range(count)
    )


def bulky(megabytes: int) -> bytes:
    """A mail whose attachment takes the parser about a second of CPU for every 40 MB."""
    line = b"QUFB" * 19 + b"\r\n"
    head = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nwords\r\n--b\r\nContent-Type: image/png\r\n\r\n"
    )
    return FROM + head + line * (megabytes * 1_000_000 // len(line)) + b"--b--\r\n"


def drawn(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(out, format="PNG")
    return out.getvalue()


def with_files(*files: tuple[str, bytes]) -> bytes:
    """A mail with files of (content type, bytes) attached."""
    head = FROM + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nwords\r\n"
    parts = (
        f"--b\r\nContent-Type: {kind}\r\nContent-Disposition: attachment\r\n".encode()
        + b"Content-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(data).replace(b"\n", b"\r\n")
        for kind, data in files
    )
    return head + b"".join(parts) + b"--b--\r\n"


def media(data: bytes) -> Media:
    return Media(kind="application/octet-stream", name="../../etc/passwd", data=data)


TORTURE = {
    "content type of 32,000 semicolons": FROM + b"Content-Type: text/plain" + b";" * 32_000 + b"\r\n\r\nx",
    "32,000 recipients": FROM + b"To: " + b"a," * 32_000 + b"\r\n\r\nx",
    "32,000 authors": b"From: " + b"a," * 32_000 + b"\r\n\r\nx",
    "100,000 parts": FROM + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100_000,
    "990 nestings": nested(990),
    "1,900 nestings of one boundary": FROM + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" * 1_900,
    "990 messages in messages": FROM + b"Content-Type: message/rfc822\r\n\r\n" * 990,
    "open tags": html(b"<a " * 20_000),
    "open comments": html(b"<!--" * 20_000),
    "open instructions": html(b"<?" * 50_000),
    "open sections": html(b"<![CDATA[" * 20_000),
    "50,000 open elements": html(b"<b>" * 50_000 + b"x"),
    "20,000 nested elements": html(b"<div>" * 20_000 + b"x" + b"</div>" * 20_000),
    "tables in tables": html(b"<table><tr><td>" * 20_000 + b"x"),
    "open scripts": html(b"<script>" * 30_000),
    "a long reference": html(b"<div>" * 300 + b"&#" + b"9" * 100_000 + b";"),
    "1,000 open comments in From": b"From: " + b"(" * 1_000 + b"\r\n\r\nx",
    "1,000 open comments in To": FROM + b"To: " + b"(" * 1_000 + b"\r\n\r\nx",
    "an open quote": b'From: "\r\nTo: "\r\n\r\nx',
    "a comment and a colon": b"From: (c):\r\nTo: (c):\r\n\r\nx",
    "a parameter without a value": FROM + b"Content-Type: text/plain; name*\r\n\r\nx",
    "NUL in the charset": FROM + b'Content-Type: text/plain; charset="a\0b"\r\n\r\nx\xe9',
    "a message id in square brackets": FROM + b"Message-ID: <[x@y]>\r\n\r\nx",
    "encoded words without end": b"Subject: " + b"=?a?q?" * 5_000 + b"\r\n\r\nx",
    "5,000 encoded words": b"Subject: " + b"=?utf-8?q?=C3?= " * 5_000 + b"\r\n\r\nx",
    "spaces": FROM + b"\r\n" + b" " * 250_000 + b"x",
    "attributions without end": FROM + b"\r\n" + (b"On 1 " * 190 + b"\r\n") * 8,
    "quotes without end": FROM + b"\r\n" + b"> " * 100_000,
    "a report of parentheses": FROM + b"To: " + b"(" * 5_000 + b"\r\nSubject: failure notice\r\n\r\n<a@b>:\r\n" * 2,
    "nothing": b"",
    "no header": b"\r\n\r\nx",
    "every byte": bytes(range(256)) * 64,
    **{
        f"charset {name}": FROM + f"Content-Type: text/plain; charset={name}\r\n\r\n".encode() + b"h\xe9llo"
        for name in ("no-such", "rot13", "zlib", "bz2", "idna", "undefined", "punycode", "hex", "utf-7", "mbcs", "\x01")
    },
}

Make = Callable[..., MailReader]


@pytest.fixture
async def make() -> AsyncIterator[Make]:
    made: list[MailReader] = []

    def one(*, children: int = 1, cut_after: tuple[str, ...] = (), **limits: float) -> MailReader:
        made.append(MailReader(cut_after, children=children, limits=Limits(**limits)))  # type: ignore[arg-type]
        return made[-1]

    yield one
    for reader in made:
        await reader.close()


async def read(reader: Reader, raw: bytes) -> Reading:
    found = await reader.read(raw)
    assert isinstance(found, Reading), found
    return found


class Turns:
    """Counts how often the loop gets to a timer of a millisecond."""

    def __init__(self) -> None:
        self.count = 0
        self._loop = asyncio.get_running_loop()
        self._tick()

    def _tick(self) -> None:
        self.count += 1
        self._timer = self._loop.call_later(0.001, self._tick)

    async def pass_by(self, turns: int, tasks: list[asyncio.Task[Reading | Unreadable]]) -> None:
        """Returns after that many turns, or when a task has ended."""
        until = self.count + turns
        while self.count < until and not any(task.done() for task in tasks):
            await asyncio.wait(tasks, timeout=0.005, return_when=asyncio.FIRST_COMPLETED)

    def stop(self) -> None:
        self._timer.cancel()


@pytest.fixture
async def turns() -> AsyncIterator[Turns]:
    counting = Turns()
    yield counting
    counting.stop()


def ended(pid: int) -> Callable[[], bool]:
    """A wait, of at most 20 s, for the end of a process that need not be our child."""
    handle = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(handle, select.POLLIN)

    def wait() -> bool:
        try:
            return bool(poll.poll(20_000))
        finally:
            os.close(handle)

    return wait


async def test_a_reading_crosses_the_process_boundary_unchanged(make: Make) -> None:
    reader = make(cut_after=("do not reply",))
    found = await read(reader, SIMPLE)

    assert (found.author, found.subject, found.text, found.cut) == (
        "shop@jobs.example",
        "Ready",
        "Your car is ready.",
        "Do not reply.",
    )
    assert found.references == ("<a@x>", "<b@x>")
    assert found.bounce == ()


PLAIN = FROM + b"Subject: RO 7: ready\r\n\r\nYour car is ready.\r\n\r\nThank you,\r\nExample Auto\r\n"


async def test_a_small_plain_mail_is_read_without_a_child_and_as_a_child_reads_it(make: Make) -> None:
    reader = make()
    reader.configure(("example auto",), r"RO (\d+)", ("(ready)",), (r"(\d+) pm",), ("tmomail.net",))
    found = await read(reader, PLAIN)

    assert found == reader.read_now(PLAIN)
    assert reader.pids == ()
    assert (found.job, found.captured, found.cut) == ("7", {"(ready)": "ready"}, "Example Auto")
    asked = await reader.ask("read", PLAIN)
    assert isinstance(asked, dict)
    assert asked["reading"] == json.loads(json.dumps(asdict(found)))


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(SIMPLE, id="HTML"),
        pytest.param(PLAIN.replace(FROM, TMOBILE), id="a text that a carrier sent on"),
        pytest.param(PLAIN.replace(b"RO 7", b"Undelivered"), id="the Subject of a report"),
        pytest.param(PLAIN.replace(b"shop@", b"postmaster@"), id="the author of a report"),
    ],
)
async def test_what_a_child_must_look_into_is_not_read_without_one(make: Make, raw: bytes) -> None:
    reader = make()
    reader.configure((), reply_domains=("tmomail.net",))

    assert reader.read_now(raw) is None
    assert (await read(reader, raw)).author
    assert len(reader.pids) == 1


async def test_a_closed_reader_reads_no_plain_mail_either(make: Make) -> None:
    reader = make()
    await reader.close()

    assert reader.read_now(PLAIN) is None
    with pytest.raises(ReaderUnavailable):
        await reader.read(PLAIN)


async def test_a_delivery_report_is_read_in_the_same_child(make: Make) -> None:
    report = (Path(__file__).parent / "data" / "mails" / "dsn_failed.eml").read_bytes()

    assert (await read(make(), report)).bounce == (
        "failed",
        "5.1.1",
        "550 5.1.1 <2025550143@sms.carrier.example> User unknown",
    )


async def test_the_pictures_of_a_mail_cross_the_boundary_in_their_order(make: Make) -> None:
    reader = make()
    raw = with_files(
        ("image/png", drawn(200, 100)), ("application/pdf", b"%PDF-1.7 x"), ("image/png", drawn(3000, 200))
    )
    found = await reader.attached(raw)

    assert (await read(reader, raw)).pictures == 3
    assert [(p.kind, p.name, p.problem) for p in found] == [
        ("image/png", "picture-1.png", ""),
        ("application/pdf", "document-2.pdf", ""),
        ("image/jpeg", "picture-3.jpg", ""),
    ]
    assert found[1].data == b"%PDF-1.7 x"
    assert Image.open(io.BytesIO(found[2].data)).width == 1600


async def test_a_mail_without_attachments_has_no_pictures(make: Make) -> None:
    reader = make()

    assert (await read(reader, SIMPLE)).pictures == 0
    assert await reader.attached(SIMPLE) == ()
    assert await reader.attached(b"") == ()


async def test_a_file_that_came_with_a_text_is_looked_into(make: Make) -> None:
    reader = make()
    data = drawn(50, 50)
    large = b"%PDF-1.7" + bytes(24 << 20)

    assert await reader.inspected(media(data)) == Picture(kind="image/png", name="picture-1.png", data=data)
    assert await reader.inspected(media(large), 2) == Picture(kind="application/pdf", name="document-2.pdf", data=large)
    assert (await reader.inspected(media(b"MZ\0"), 3)).problem == "a file of unknown type was left out"


async def test_a_picture_that_needs_too_much_memory_costs_only_itself(make: Make) -> None:
    reader = make(decoding_bytes=90 << 20)
    huge = drawn(5000, 5000)
    found = await reader.attached(with_files(("image/png", huge), ("image/png", drawn(200, 100))))

    assert [p.problem for p in found] == ["a picture that needs too much memory was left out", ""]
    assert (await reader.inspected(media(huge))).problem == "a picture that needs too much memory was left out"
    assert (await read(reader, SIMPLE)).subject == "Ready"


async def test_a_picture_that_takes_too_much_cpu_costs_only_itself(make: Make) -> None:
    reader = make(cpu_seconds=1, decoding_seconds=0, deadline_seconds=60, memory_bytes=8 << 30)
    found = await reader.attached(with_files(*[("image/png", drawn(5000, 5000))] * 10))

    assert found == (Picture(kind="", name="file-1", data=b"", problem="it took more than 1 s of CPU"),)
    assert (await read(reader, SIMPLE)).subject == "Ready"


async def test_no_picture_takes_as_much_memory_as_a_mail(make: Make) -> None:
    reader = make()
    out = io.BytesIO()
    Image.new("RGB", (5000, 5000)).save(out, "AVIF", speed=10)
    await reader.inspected(media(out.getvalue()))
    status = Path(f"/proc/{reader.pids[0]}/status").read_text()

    assert int(status.split("VmPeak:")[1].split()[0]) << 10 <= Limits().decoding_bytes
    assert (await read(reader, bulky(40))).text == "words"


async def test_where_memory_runs_out_the_kernel_takes_the_child_first(make: Make) -> None:
    reader = make()
    await reader.start()

    assert Path(f"/proc/{reader.pids[0]}/oom_score_adj").read_text() == "1000\n"


async def test_pictures_hold_up_no_mail(make: Make) -> None:
    reader = make(children=2)
    await asyncio.gather(read(reader, SIMPLE), read(reader, SIMPLE))
    assert len(reader.pids) == 2
    ends: list[str] = []

    async def look() -> None:
        await reader.inspected(media(drawn_once))
        ends.append("picture")

    async def job() -> None:
        await read(reader, SIMPLE)
        ends.append("mail")

    drawn_once = drawn(4900, 4900)
    await asyncio.gather(*(look() for _ in range(4)), job())

    assert ends.index("mail") <= 1


async def test_a_picture_that_is_not_looked_into_in_time_is_not_tried_again(
    make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    reader = make(deadline_seconds=0.001, decoding_seconds=0, second_for_bytes=10**12)
    found = await reader.inspected(media(drawn(5000, 5000)))

    assert "could not be read within" in found.problem
    assert capsys.readouterr().out.count("reader.killed") == 1


@pytest.mark.parametrize("deadline", [0.2, 60.0], ids=["its time", "its CPU"])
@pytest.mark.parametrize("key", ["job", "subject_patterns", "patterns"])
async def test_a_mail_on_which_the_patterns_take_too_long_is_read_without_them(
    make: Make, capsys: pytest.CaptureFixture[str], key: str, deadline: float
) -> None:
    reader = make(cpu_seconds=1, deadline_seconds=deadline)
    slow = "(a+)+$"
    reader.configure((), **{key: slow if key == "job" else (slow, "(a)")})  # type: ignore[arg-type]
    found = await read(reader, FROM + b"Subject: " + b"a" * 60 + b"!\r\n\r\nwords\r\n")

    assert (found.text, found.job, found.captured) == ("words", "", {})
    assert "reader.patterns_skipped" in capsys.readouterr().out
    assert (await read(reader, SIMPLE)).subject == "Ready"


async def test_what_the_patterns_find_is_in_the_reading(make: Make) -> None:
    reader = make()
    raw = FROM + b"Subject: RO 4711 is ready\r\n\r\nBring $ 120 at 10:30.\r\n"
    reader.configure((), r"RO (\d+)", (r"RO (\d+) is", r"nothing (.)"), (r"at (\d+:\d+)",))
    found = await read(reader, raw)

    assert found.job == "4711"
    assert found.captured == {r"RO (\d+) is": "4711", r"at (\d+:\d+)": "10:30"}


async def test_a_text_that_a_carrier_sent_on_is_read_without_what_the_carrier_wrote(make: Make) -> None:
    reader = make()
    raw = (CARRIERS / "uscellular_stop.eml").read_bytes()
    before = await read(reader, raw)
    reader.configure((), reply_domains=("mms.uscc.net",))
    found = await read(reader, raw)

    assert ("STOP", "", "", 0) == (found.answer, found.subject, found.link, found.pictures)
    assert before == replace(found, answer=before.answer, answer_cut=before.answer_cut, subject=before.subject)
    assert before.answer != "STOP"


async def test_a_text_that_waits_at_the_carrier_is_read_as_its_address(make: Make) -> None:
    reader = make()
    reader.configure((), reply_domains=("pm.sprint.com",))
    found = await read(reader, (CARRIERS / "sprint_link.eml").read_bytes())

    assert ("", "http://pictures.sprint.example/?mivt=0123456789&shareName=MMS") == (found.answer, found.link)


async def test_a_carriers_report_is_no_text(make: Make) -> None:
    reader = make()
    raw = (CARRIERS / "verizon_vtext_bounce.eml").read_bytes()
    before = await read(reader, raw)
    reader.configure((), reply_domains=("vtext.com",))

    assert "failed" == before.bounce[0]
    assert before == await read(reader, raw)


async def test_the_pictures_of_a_text_are_those_of_the_person(make: Make) -> None:
    reader = make()
    logo, photo = (base64.encodebytes(drawn(width, 100)).replace(b"\n", b"\r\n") for width in (200, 300))
    part = b"--b\r\nContent-Type: image/%s\r\nContent-Transfer-Encoding: base64\r\n\r\n%s"
    head = b"Content-Type: multipart/related; boundary=b\r\n\r\n--b\r\n\r\nThis leaks\r\n"
    raw = TMOBILE + head + part % (b"gif; name=tmobilelogo.gif", logo) + part % (b"png", photo) + b"--b--\r\n"
    reader.configure((), reply_domains=("tmomail.net",))
    found = {author: await reader.attached(raw.replace(b"2025550143", author)) for author in (b"2025550143", b"maria")}

    assert 1 == (await read(reader, raw)).pictures
    assert {b"2025550143": [300], b"maria": [200]} == {
        author: [Image.open(io.BytesIO(p.data)).width for p in pictures] for author, pictures in found.items()
    }


async def test_a_crafted_text_has_an_answer_and_the_next_one_too(make: Make) -> None:
    reader = make(children=2)
    reader.configure((), reply_domains=("tmomail.net",))
    answers = [await reader.read(raw.replace(FROM, TMOBILE)) for raw in TORTURE.values()]

    assert [] == [found for found in answers if isinstance(found, Unreadable) and "died" in found.reason]
    assert "Ready" == (await read(reader, SIMPLE)).subject


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"\r\n" + b"You have received a New Message. http://a " * 1_500, id="notices"),
        pytest.param(b"\r\n" + b"You have received a New Message.\r\nhttp://a\r\n" * 1_400, id="lines of notices"),
        pytest.param(b"\r\n" + b"this message was sent using " * 2_200, id="footers"),
        pytest.param(b"\r\n" + b"http://" * 9_000, id="links"),
        pytest.param(b"Content-Type: image/gif" + b"; name = x" * 800 + b"\r\n\r\n", id="names"),
        pytest.param(b"Content-Location: " + b"a" * 8_000 + b"\r\n\r\n", id="a location"),
        pytest.param(b"X-Long: " + b"=?a?q?" * 10_000 + b"\r\n\r\n", id="headers"),
        pytest.param(b"Content-Type: text/html\r\n\r\n" + b"<table><tr><td>" * 4_000, id="tables"),
        pytest.param(b"Content-Type: text/html\r\n\r\n" + b"<a <!-- " * 7_000, id="open tags"),
        pytest.param(
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
            + (b"--b\r\nContent-Type: text/html\r\n\r\n" + b"<b><table>" * 600 + b"\r\n") * 10,
            id="parts of HTML",
        ),
    ],
)
async def test_sixty_kilobytes_of_a_crafted_text_stay_within_the_limits_of_the_child(make: Make, raw: bytes) -> None:
    reader = make()
    reader.configure((), reply_domains=("tmomail.net",))

    assert isinstance(await reader.read(TMOBILE + raw), Reading)


async def test_a_question_that_nobody_can_answer_spoils_one_child_and_no_mail(make: Make) -> None:
    reader = make()
    answer = await reader.ask("no such question", b"")

    assert isinstance(answer, Unreadable)
    assert "KeyError" in answer.reason
    assert (await read(reader, SIMPLE)).subject == "Ready"


async def test_crafted_mail_has_an_answer_and_the_next_mail_too(make: Make) -> None:
    reader = make(children=2)
    answers = {name: await reader.read(raw) for name, raw in TORTURE.items()}

    assert {name for name, found in answers.items() if not isinstance(found, Reading | Unreadable)} == set()
    assert {
        name for name, found in answers.items() if isinstance(found, Unreadable) and "died" in found.reason
    } == set()
    assert (await read(reader, SIMPLE)).subject == "Ready"


async def test_a_mail_that_takes_too_much_cpu_is_unreadable_and_the_loop_stays_free(
    make: Make, turns: Turns, capsys: pytest.CaptureFixture[str]
) -> None:
    reader = make(cpu_seconds=1, second_for_bytes=10**12, deadline_seconds=60, memory_bytes=8 << 30)
    await reader.start()
    reading = asyncio.create_task(reader.read(bulky(150)))
    await turns.pass_by(20, [reading])

    assert not reading.done()
    await reading
    assert reading.result() == Unreadable(reason="it took more than 1 s of CPU")
    assert "reader.killed" in capsys.readouterr().out
    assert (await read(reader, SIMPLE)).subject == "Ready"


async def test_a_mail_that_needs_too_much_memory_is_unreadable(make: Make) -> None:
    reader = make(memory_bytes=256 << 20, cpu_seconds=60, deadline_seconds=60)
    found = await reader.read(bulky(60))

    assert found == Unreadable(reason="it needs more memory than a mail may take")
    assert (await read(reader, SIMPLE)).subject == "Ready"


async def test_a_mail_that_is_not_read_in_time_is_unreadable(make: Make) -> None:
    reader = make(deadline_seconds=0.001, second_for_bytes=10**12, memory_bytes=8 << 30)
    found = await reader.read(bulky(40))

    assert isinstance(found, Unreadable)
    assert "could not be read within" in found.reason
    assert reader.pids == ()


async def test_each_mail_has_its_own_cpu_time(make: Make) -> None:
    reader = make(cpu_seconds=2, second_for_bytes=10**12, deadline_seconds=60, memory_bytes=8 << 30)
    await reader.start()
    pids = reader.pids
    used = 0.0
    while used < 2.5:
        assert (await read(reader, bulky(6))).text == "words"
        fields = Path(f"/proc/{pids[0]}/stat").read_text().rsplit(")", 1)[1].split()
        used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    assert reader.pids == pids


async def test_a_child_killed_between_mails_is_replaced_unnoticed(make: Make) -> None:
    reader = make()
    await reader.start()
    (pid,) = reader.pids
    wait = ended(pid)
    os.kill(pid, signal.SIGKILL)
    assert await asyncio.to_thread(wait)

    assert (await read(reader, SIMPLE)).subject == "Ready"
    assert reader.pids != (pid,)


async def test_signals_to_the_group_do_not_end_a_child(make: Make) -> None:
    reader = make()
    await reader.start()
    (pid,) = reader.pids
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGINT)

    assert (await read(reader, SIMPLE)).subject == "Ready"
    assert reader.pids == (pid,)


async def test_a_child_is_replaced_after_its_share_of_mails(make: Make) -> None:
    reader = make(mails_per_child=2)
    seen = []
    for _ in range(4):
        await read(reader, SIMPLE)
        seen.append(reader.pids)

    assert seen[0] == seen[1] != seen[2] == seen[3]


async def test_large_mails_are_read_one_at_a_time_and_small_ones_beside_them(make: Make) -> None:
    reader = make(children=2)
    large = FROM + HTML + b"\r\n" + b"words<br>\r\n" * 120_000
    found = await asyncio.gather(read(reader, large), read(reader, large))
    assert [one.text[:5] for one in found] == ["words", "words"]
    assert len(reader.pids) == 1
    await asyncio.gather(read(reader, large), read(reader, SIMPLE))
    assert len(reader.pids) == 2


async def test_a_child_of_another_version_is_not_asked(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade changes the files under a daemon that runs, and a child is started when it is needed."""
    monkeypatch.setattr("gateway.child.READY", b"ready 0.0.9")
    with pytest.raises(ReaderUnavailable, match="restart the daemon after an upgrade"):
        await make().read(SIMPLE)


async def test_a_child_that_is_not_asked_ends_and_the_next_question_starts_another(make: Make) -> None:
    reader = make(rest_seconds=0.2)
    await read(reader, SIMPLE)
    (pid,) = reader.pids
    assert await asyncio.to_thread(ended(pid))

    assert (await read(reader, SIMPLE)).subject == "Ready"
    assert reader.pids != (pid,)


async def test_a_child_that_is_asked_again_and_again_lives(make: Make) -> None:
    reader = make(rest_seconds=2, mails_per_child=1_000_000)
    begun = asyncio.get_running_loop().time()
    await read(reader, SIMPLE)
    pids = reader.pids
    while asyncio.get_running_loop().time() < begun + 3:
        assert (await read(reader, SIMPLE)).subject == "Ready"

    assert reader.pids == pids


async def test_callers_are_served_in_the_order_in_which_they_ask(make: Make) -> None:
    reader = make()
    order: list[str] = []

    async def ask(n: int) -> None:
        order.append((await read(reader, HTML + f"Subject: {n}\r\n\r\nx".encode())).subject)

    await asyncio.gather(*(ask(n) for n in range(20)))

    assert order == [str(n) for n in range(20)]


async def test_who_asks_again_and_again_is_not_served_before_the_others(make: Make) -> None:
    reader = make()
    await reader.start()
    order: list[str] = []

    async def ask(name: str, times: int) -> None:
        for _ in range(times):
            await read(reader, SIMPLE)
            order.append(name)

    await asyncio.gather(ask("many", 10), ask("once", 1))

    assert order[1] == "once"


async def test_a_cancelled_read_leaves_no_answer_for_the_next_one(make: Make, turns: Turns) -> None:
    reader = make(memory_bytes=8 << 30)
    await reader.start()
    first = asyncio.create_task(reader.read(bulky(20)))
    await turns.pass_by(20, [first])
    assert not first.done()
    first.cancel()

    assert (await read(reader, SIMPLE)).subject == "Ready"
    assert first.cancelled()


@pytest.mark.parametrize("program", ["/nonexistent/python", "/bin/false", "/bin/echo"])
async def test_without_a_child_no_mail_is_judged(make: Make, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    reader = make()
    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", program)
        with pytest.raises(ReaderUnavailable):
            await reader.start()
        with pytest.raises(ReaderUnavailable):
            await reader.read(SIMPLE)

    assert (await read(reader, SIMPLE)).subject == "Ready"


async def test_a_closed_reader_judges_no_mail(make: Make, turns: Turns) -> None:
    reader = make(children=1, memory_bytes=8 << 30)
    await reader.start()
    tasks = [asyncio.create_task(reader.read(raw)) for raw in (bulky(20), SIMPLE)]
    await turns.pass_by(20, tasks)
    await reader.close()
    done = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(one) for one in done] == [ReaderUnavailable, ReaderUnavailable]
    assert reader.pids == ()
    with pytest.raises(ReaderUnavailable):
        await reader.read(SIMPLE)


async def test_the_child_knows_nothing_of_the_daemons_environment(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_TEST_SECRET", "hush")
    reader = make()
    await reader.start()

    assert b"GATEWAY_TEST_SECRET" not in Path(f"/proc/{reader.pids[0]}/environ").read_bytes()


PARENT = """
import asyncio, sys
from gateway.reader import MailReader

async def main():
    reader = MailReader(children=1)
    await reader.start()
    print(*reader.pids, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("stopped", [False, True], ids=["reading its stdin", "not looking at its stdin"])
def test_a_child_dies_when_its_parent_is_killed(stopped: bool) -> None:
    home = Path(__file__).parents[1]
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=home, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        wait = ended(pid)
        if stopped:
            os.kill(pid, signal.SIGSTOP)
        parent.kill()

    assert wait()
