"""Mail that was made to hurt: parsers that hang or raise, headers within headers."""

from __future__ import annotations

import asyncio
import base64
import os
import random
import re
from pathlib import Path

import pytest
from cases import Open, Seen, case
from gauges import DAEMON_BYTES, LAG_SECONDS, READER_BYTES, costs
from house import House
from letters import HEAD, MAILS, TEXT, became, dropped
from rig import (
    ANN,
    JOBS,
    MIB,
    OURS,
    VOUCHED,
    events,
    healthy,
    texted,
)

BOMBS = {
    "; x 32k": HEAD + b"Content-Type: text/plain" + b";" * 32_000 + b"\r\n\r\nhello\r\n",
    "; x 128k, folded": HEAD + b"Content-Type: text/plain" + b";\r\n " * 32_000 + b"\r\n\r\nhello\r\n",
    "To: a, x 32k": HEAD + b"To: " + b"a," * 32_000 + b"\r\n" + TEXT,
    "100k parts": HEAD
    + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    + b"--b\r\n\r\nx\r\n" * 100_000
    + b"--b--\r\n",
    "990 nestings": HEAD
    + b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(990))
    + TEXT,
    "html <a x 20k": HEAD + b"Content-Type: text/html\r\n\r\n" + b"<a " * 20_000 + b"\r\n",
    "html <!-- x 20k": HEAD + b"Content-Type: text/html\r\n\r\n" + b"<!--" * 20_000 + b"\r\n",
    "html <div> x 100k": HEAD + b"Content-Type: text/html\r\n\r\n" + b"<div>" * 100_000 + b"\r\n",
    "> x 100k": HEAD + b"\r\n" + b"> " * 100_000 + b"hello\r\n",
}
# About as large as a mail may be.
LARGE = {
    "parts, 10 MB": HEAD + b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + b"--b\r\n\r\nx\r\n" * 1_000_000,
    "empty lines, 10 MB": HEAD + b"\r\n" + b"\r\n" * 5_000_000,
    "header lines, 10 MB": HEAD + b"X-A: b\r\n" * 1_250_000 + TEXT,
    "one header, 10 MB": HEAD + b"To: " + b"a,\r\n " * 2_000_000 + b"\r\n" + TEXT,
    "html <a, 10 MB": HEAD + b"Content-Type: text/html\r\n\r\n" + b"<a \r\n" * 2_000_000,
}
ODD = {
    "( x 1000 in To": HEAD + b"To: " + b"(" * 1000 + b"\r\n" + TEXT,
    'To: "': HEAD + b'To: "\r\n' + TEXT,
    "To: (c):": HEAD + b"To: (c):\r\n" + TEXT,
    "name*": HEAD + b"Content-Type: text/plain; name*\r\n\r\nhello\r\n",
    "[x@y] as id": HEAD + b"Message-ID: <[x@y]>\r\n" + TEXT,
    "lone surrogate": HEAD + b"X-Note: \xed\xa0\x80\r\n" + TEXT,
    "no header end": b"Subject: RO 17",
    "only a dot": b"",
    "header without a name": HEAD + b": nobody\r\n" + TEXT,
    "a word as a date": HEAD + b"Date: yesterday\r\n" + TEXT,
    "boundary of 100 kB": HEAD + b'Content-Type: multipart/mixed; boundary="' + b"b" * 100_000 + b'"\r\n\r\nhello\r\n',
    "rfc2231 gap": HEAD + b"Content-Type: text/plain; name*0*=a; name*999999999999=b\r\n\r\nhello\r\n",
    "base64 broken": HEAD + b"Content-Transfer-Encoding: base64\r\n\r\n" + b"=" * 4001 + b"A\r\n",
    "uuencode broken": HEAD + b"Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 666 x\r\n\xff\xff\r\nend\r\n",
}
ODD |= {
    f"charset {name}": HEAD + f'Content-Type: text/plain; charset="{name}"\r\n\r\nhello\r\n'.encode()
    for name in ("no-such", "rot13", "zlib", "idna", "undefined", "utf-7", "a?b", "x" * 5000)
}


@case(43, "mails that hang a parser", "stored; parse killed; failed + notice; loop lag < 100 ms meanwhile")
async def test_a_mail_that_hangs_a_parser_costs_itself_and_nobody_else(shop: House, seen: Seen) -> None:
    clock = asyncio.get_running_loop().time
    ends: dict[str, tuple[str, float]] = {}
    assert await became(shop, await dropped(shop, HEAD + TEXT)) == "planned"
    async with healthy(shop) as pulse, costs(shop) as cost:
        for name, raw in BOMBS.items():
            begun = clock()
            answer = await dropped(shop, raw)
            assert answer.startswith("250"), (name, answer)
            ends[name] = (await became(shop, answer), clock() - begun)
    after = await dropped(shop, HEAD + b"Message-ID: <after@shop.example.com>\r\n" + TEXT)
    parked = [name for name, (end, _) in ends.items() if end == "parked"]
    told = [m for m in shop.world.mails if m.is_for(JOBS) or m.is_for("admin@shop.example.com")]

    slowest = max(took for _, took in ends.values())
    seen(f"{len(parked)} of {len(BOMBS)} parked, the rest read, {slowest:.1f} s at most; {pulse.told}; {cost.told}")
    assert await became(shop, after) == "planned"
    assert slowest < 30
    assert pulse.worst < 1
    assert cost.own_lag < LAG_SECONDS
    assert cost.grown < 64 * MIB
    assert cost.reader < READER_BYTES
    assert bool(told) == bool(parked)


@case(43, "mails of 10 MB, made to hang a parser", "stored; failed + notice or read; loop lag < 100 ms meanwhile")
async def test_a_mail_as_large_as_may_be_holds_nobody_up(open_shop: Open, seen: Seen) -> None:
    house = await open_shop(VOUCHED)
    await house.start()
    assert await became(house, await dropped(house, HEAD + TEXT)) == "planned"
    ends: dict[str, str] = {}
    async with healthy(house) as pulse, costs(house) as cost:
        for name, raw in LARGE.items():
            ends[name] = await became(house, await dropped(house, raw))
        crowd = [f"{2025550000 + n}@sms.example.com" for n in range(110, 200)]
        answers = await house.daemon.mail(LARGE["parts, 10 MB"] + b"z\r\n", JOBS, crowd)

    seen(f"{ends}; {answers[-1][:9]} for {len(crowd)} recipients; {pulse.told}; {cost.told}")
    assert answers[-1].startswith("250")
    assert set(ends.values()) <= {"parked", "planned"}
    assert cost.own_lag < LAG_SECONDS
    assert pulse.worst < 1
    assert cost.most < DAEMON_BYTES
    assert cost.reader < READER_BYTES


@case(43, "a pattern of the admin's that hangs on a mail", "read without it; parse killed; loop lag < 100 ms meanwhile")
async def test_a_pattern_that_never_ends_is_stopped_and_the_mail_goes_on_without_it(
    open_shop: Open, seen: Seen
) -> None:
    house = await open_shop("[text]\njob = '(a+)+!'\n")
    await house.start()
    async with healthy(house) as pulse, costs(house) as cost:
        answer = await dropped(house, HEAD.replace(b"RO 17", b"a" * 60) + TEXT)
        end = await became(house, answer)
    killed = events(house, "reader.killed")

    seen(f"{end}; {[k['error'] for k in killed]}; {pulse.told}; {cost.told}")
    assert end == "planned"
    assert len(events(house, "reader.patterns_skipped")) == 1
    # On a busy machine the time by the clock may be up first, and it is tried once more.
    assert len(killed) in (1, 2)
    assert cost.own_lag < LAG_SECONDS
    assert pulse.worst < 1


@case(44, "mails that make a parser raise", "never a 5xx by an exception, none lost")
async def test_an_odd_mail_is_never_refused_by_a_fault_of_ours_and_never_lost(shop: House, seen: Seen) -> None:
    ends: dict[str, str] = {}
    for name, raw in ODD.items():
        answer = await dropped(shop, raw)
        ends[name] = await became(shop, answer) if answer.startswith("250") else answer[:9]
    counts = {end: list(ends.values()).count(end) for end in sorted(set(ends.values()))}

    seen(f"{len(ODD)} mails: {counts}; {len(events(shop, 'session.failed'))} faults")
    assert set(counts) <= {"parked", "planned", "ignored"}
    assert [] == events(shop, "session.failed")
    assert [] == events(shop, "engine.failed")


@case(45, "mails of all sorts, mutated", "no crash, none lost, loop lag < 100 ms")
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("count", [150, pytest.param(1802, marks=pytest.mark.long)])
async def test_mails_of_all_sorts_have_each_an_end(count: int, open_shop: Open, seen: Seen) -> None:
    house = await open_shop('[policy]\nduplicate_window = "0 s"\n')
    await house.start()
    dice = random.Random(count)
    corpus = [path.read_bytes() for path in sorted(_corpus().rglob("*.eml"))]
    assert await became(house, await dropped(house, HEAD + TEXT)) == "planned"
    answers: list[str] = []

    async def client(share: list[bytes]) -> None:
        answers.extend([await dropped(house, raw) for raw in share])

    mails = [_mutated(corpus[n % len(corpus)], dice, n // len(corpus)) for n in range(count)]
    async with healthy(house) as pulse, costs(house) as cost:
        async with asyncio.TaskGroup() as group:
            for n in range(6):
                group.create_task(client(mails[n::6]))
        ends = [await became(house, answer, 120) for answer in answers if answer.startswith("250")]

    counts = {end: ends.count(end) for end in sorted(set(ends))}
    refused = sorted({answer[:9] for answer in answers if not answer.startswith("250")})
    seen(f"{len(ends)} of {count} accepted: {counts}; refused: {refused}; {pulse.told}; {cost.told}")
    assert len(answers) == count
    assert set(refused) <= {"550 5.6.0", "554 5.4.6", "500 5.5.2"}
    assert [] == events(house, "engine.failed") + events(house, "session.failed")
    assert pulse.worst < 1
    assert cost.own_lag < LAG_SECONDS
    assert cost.grown < 64 * MIB


def _corpus() -> Path:
    """GATEWAY_CORPUS may name a folder of public mails."""
    return Path(os.environ.get("GATEWAY_CORPUS", MAILS))


def _mutated(raw: bytes, dice: random.Random, strength: int) -> bytes:
    """The mail with CRLF, and more of its bytes changed with each round."""
    data = bytearray(re.sub(rb"\r?\n", b"\r\n", raw.replace(b"\0", b"")))
    for _ in range(min(strength, 10) * 3):
        at = dice.randrange(len(data) or 1)
        match dice.randrange(4):
            case 0:
                data[at : at + 1] = bytes([dice.choice(b';:<>"=?()@,%\\ \xff\x80aA0')])
            case 1:
                del data[at : at + dice.randrange(1, 40)]
            case 2:
                data[at:at] = bytes(data[at : at + dice.randrange(1, 200)])
            case _:
                data[at:at] = dice.choice(
                    (b"=?utf-8?q?=0d=0a?=", b"\r\n\r\n", b";" * 50, b"--", b"=?x?b?", b"\xe2\x80")
                )
    return re.sub(rb"\r(?!\n)|(?<!\r)\n", b"", bytes(data))


@case(46, "header injection by encoded words", "no new header, no CR or LF in the subject of a text")
async def test_encoded_line_ends_in_a_subject_make_no_header_anywhere(open_shop: Open, seen: Seen) -> None:
    house = await open_shop(f'{VOUCHED}[text]\nsubject = "prefix"\n')
    await house.start()
    evil = (
        "RO 17 =?utf-8?q?a=0d=0aBcc:_evil@y.example=0d=0a=0d=0aX?= =?utf-8?b?"
        + base64.b64encode(b"\r\nX-Evil: yes\r\n").decode()
    )
    raw = HEAD.replace(b"RO 17", f"{evil}?=".encode()) + TEXT
    for to in (f"{ANN[1:]}@sms.example.com", "bob@sms.example.com"):
        assert (await dropped(house, raw, to)).startswith("250")
    text = await texted(house, "hello", ANN)
    await house.world.customer_texts(ANN, OURS, "Bcc: evil@y.example\r\nX-Evil: yes\r\n\r\nhi")
    mails = await house.world.wait(lambda w: len(w.mails) >= 2 and list(w.mails), 20)

    first = text.body.split("hello")[0].strip()
    heads = {name.lower() for mail in mails for name in mail.message}
    seen(f"text: {first[:60]!r}; {len(mails)} mails, headers {sorted(heads & {'bcc', 'x-evil'})}")
    assert "\n" not in first
    assert "\r" not in text.body
    assert not heads & {"bcc", "x-evil"}
    assert not any("evil" in rcpt.address for mail in mails for rcpt in mail.rcpt_to)
