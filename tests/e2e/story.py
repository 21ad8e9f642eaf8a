"""The language of the stories in t-*/story.txt: one line, one thing that somebody does or sees.

    mail FILE FROM TO[,TO] [door=NAME] [login=NAME] [notify=NEVER] [envid=X] [-> REGEX]    a mail in, and its answer
    texts PHONE NUMBER "WORDS" [picture=FILE,FILE] [-> STATUS]   a customer's text, and the webhook's answer (200)
    again [-> STATUS]                            the webhook of that text once more
    forge NAME=VALUE [-> STATUS]                 the last webhook with another value and its old signature (403)
    texted PHONE "WORDS"                         the next text to a phone by Twilio; \\n is a new line
    gets ADDRESS FILE                            the next mail to an address or "@domain", compared with want/FILE
    among ADDRESS FILE ...                       the next mails to it, one like each file, in any order
    run WORDS [-> CODE]                          gateway WORDS, and its exit code (0)
    stdin "WORDS"                                what the next `run` reads; \\n is a new line
    prints REGEX / hides REGEX                   what the last `run` printed, in it or not
    keys NAME,NAME                               the keys of each row of its --json
    row {JSON}                                   a row that holds these values
    rows COUNT {JSON}                            how many rows hold these values
    event NAME [FIELD=VALUE] [FIELD=>NAME]       an event not named before; => keeps the field as {NAME}
    never NAME                                   no such event up to now
    fault twilio|mail NAME [count=] [to=] [number=] [seconds=] [words=]    see gateway/simulator/faults.py
    account NAME=yes|no ...                      confirms, blocks, advanced_opt_out: see gateway/simulator/phones.py
    script PHONE {JSON}                          what becomes of texts to PHONE, see gateway/simulator/phones.py
    clear                                        ends all faults and scripts
    posts PHONE COUNT                            how many requests for a text to PHONE came to Twilio
    config TOML                                  changes config.toml
    serve -> CODE / prints REGEX                 a second daemon
    guess LOGIN COUNT [-> REGEX]                 wrong passwords in one session: "535 535 535 closed"
    start, stop, kill, hup

More verbs are in verbs_b.py and verbs_c.py.  `{name}` stands for a value kept before, in stories and in mails;
{story} is the story's folder.  Where a story ends the daemon is stopped by SIGTERM and must end with 0, and each text
and mail that came out must have been named by it.

A file in want/ begins with header lines, `From:` and so on, compared as people see them; `Envelope-From:` and
`Envelope-Options:` stand for the envelope, `Absent:` lists headers that must not be there.  The body after the blank
line is the whole text; of a multipart each part stands under a line `--- content/type`.  {token} {id} {date} {line}
and {any} stand for what differs from run to run; {name=token} keeps it as {name}.
"""

from __future__ import annotations

import base64
import json
import re
import shlex
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import aiosmtplib
from daemon import SECONDS, Done, Event
from house import PASSWORD, House
from verbs_a import AccountVerbs
from verbs_b import ByFlowroute, Verbs, pictures
from verbs_c import CarrierVerbs

from gateway.simulator.hooks import signature
from gateway.simulator.journal import Called, Mailed
from gateway.simulator.phones import Script
from gateway.simulator.texts import Text

_KINDS = {
    "token": "[a-z2-7]{10,16}",
    "id": r"[a-z2-7]{11}(?:[.-]\d+)*",
    "date": r"\d{4}-\d\d-\d\d",
    "line": r"[^\n]*",
    "any": r"(?s:.*)",
}
_RAW = {"prints", "hides", "row", "rows", "script", "config"}  # their line is taken as it is
_KIND = re.compile(rf"\{{(?:(\w+)=)?({'|'.join(_KINDS)})\}}")
_NAME = re.compile(r"\{(\w+)\}")


class Story(AccountVerbs, CarrierVerbs, Verbs):
    def __init__(self, house: House, folder: Path) -> None:
        self.house = house
        self.folder = folder
        house.names["story"] = str(folder)
        self._seen_texts: set[str] = set()
        self._seen_mails: set[int] = set()
        self._seen_events: set[int] = set()
        self.seen_by_flowroute: set[str] = set()
        self.text: Text | None = None
        self.mail: Mailed | None = None
        self._last = Done(0, "", "")
        self._stdin = b""

    async def play(self) -> None:
        """Plays story.txt to its end.  Raises AssertionError that names the line."""
        for number, line in enumerate((self.folder / "story.txt").read_text().splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            try:
                await self._line(line)
            except (AssertionError, TimeoutError) as error:
                raise AssertionError(f"story.txt:{number}: {line}\n{error}") from None
        if self.house.daemon.running:
            await self.house.daemon.stop()
        self._nothing_else()

    async def _line(self, line: str) -> None:
        self._open_the_doors()
        verb, _, rest = self._filled(line).partition(" ")
        act: Callable[..., Awaitable[None]] = getattr(self, f"v_{verb}")
        if verb in _RAW:
            await act(rest)
            return
        left, arrow, right = rest.partition(" -> ") if not rest.startswith("-> ") else ("", "->", rest[3:])
        words = shlex.split(left)
        if arrow:
            await act(*words, expected=right.strip())
        else:
            await act(*words)

    def _open_the_doors(self) -> None:
        """Tells the carriers where the public door is: each start has ports of its own."""
        doors = self.house.daemon.doors.get("smtp_public")
        if doors:
            self.house.world.mail.carriers.door = doors[0]

    def _filled(self, text: str) -> str:
        return _NAME.sub(lambda m: self.house.names.get(m[1], m[0]), text)

    # -- what people do

    async def v_mail(self, file: str, author: str, to: str, *options: str, expected: str = "250 2.0.0 ") -> None:
        named = dict(option.split("=", 1) for option in options)
        raw = (self.folder / file).read_bytes().decode("latin-1")
        login = named.get("login", "")
        answers = await self.house.daemon.mail(
            self._filled(raw).encode("latin-1"),
            "" if author == "<>" else author,
            to.split(","),
            door=named.get("door", "smtp"),
            login=(login, PASSWORD) if login else None,
            rcpt_options=[f"NOTIFY={named['notify']}"] if "notify" in named else [],
            mail_options=[f"ENVID={named['envid']}"] if "envid" in named else [],
        )
        said = "\n".join(answers)
        assert re.search(expected, said, re.MULTILINE), said
        if found := re.search(r"accepted as (\S+)", said):
            self.house.names["mail"] = found[1]

    async def v_texts(self, phone: str, number: str, words: str, *options: str, expected: str = "200") -> None:
        media = pictures(self.folder, options)
        assert await self.house.world.customer_texts(phone, number, words, media) == int(expected)

    async def v_again(self, *, expected: str = "200") -> None:
        text = [t for t in self.house.world.twilio.texts.all() if t.direction == "inbound"][-1]
        assert await self.house.world.twilio.phones.deliver(text) == int(expected)

    async def v_forge(self, change: str, *, expected: str = "403") -> None:
        last = [entry for entry in self.house.world.journal.entries if isinstance(entry, Called)][-1]
        form = dict(last.form)
        mark = signature(self.house.token, last.url, form)
        name, _, value = change.partition("=")
        url = last.url.replace("https://sms.example.com", self.house.world.twilio.hooks.base)
        async with (
            aiohttp.ClientSession() as http,
            http.post(url, data=form | {name: value}, headers={"X-Twilio-Signature": mark}) as answer,
        ):
            assert answer.status == int(expected)

    async def v_guess(self, login: str, count: str, *, expected: str = "535 535 535 closed") -> None:
        said = []
        client = aiosmtplib.SMTP(
            hostname="127.0.0.1", port=self.house.daemon.port(), start_tls=True, validate_certs=False, timeout=SECONDS
        )
        await client.connect()
        await client.ehlo()
        for n in range(int(count)):
            words = base64.b64encode(f"\0{login}\0guess{n}".encode())
            try:
                answer = await client.execute_command(b"AUTH", b"PLAIN", words)
            except (aiosmtplib.SMTPException, OSError):
                said.append("closed")
                break
            if answer.code == 421:  # said before the connection ends, and not always heard
                said.append("closed")
                break
            said.append(str(answer.code))
        client.close()
        assert " ".join(said) == expected, said

    # -- what came of it

    async def v_texted(self, phone: str, words: str) -> None:
        found = await self._next(lambda: next(iter(self._new_texts(phone)), None), f"a text to {phone}")
        self._seen_texts.add(found.sid)
        self.text = found
        assert self._match(words.replace("\\n", "\n"), found.body), f"it is {found.body!r}"

    async def v_gets(self, address: str, file: str) -> None:
        number, mail = await self._next(lambda: next(iter(self._new_mails(address)), None), f"a mail to {address}")
        self._seen_mails.add(number)
        self.mail = mail
        self._compare((self.folder / "want" / file).read_text(), mail)

    async def v_posts(self, phone: str, count: str) -> None:
        assert self.house.world.twilio.posts.get(phone, 0) == int(count)

    async def v_event(self, name: str, *fields: str) -> None:
        wanted: dict[str, str] = {}
        kept: dict[str, str] = {}
        for one in fields:
            if "=>" in one:
                key, _, into = one.partition("=>")
                kept[key] = into
            else:
                key, _, value = one.partition("=")
                wanted[key] = value
        event = await self._event(name, wanted)
        for key, into in kept.items():
            self.house.names[into] = str(event[key])

    async def v_never(self, name: str) -> None:
        assert [] == [event for event in self.house.daemon.events if event["event"] == name]

    # -- commands

    async def v_run(self, *words: str, expected: str = "0") -> None:
        self._last = await self.house.daemon.command(*words, stdin=self._stdin)
        self._stdin = b""
        assert self._last.code == int(expected), self._last

    async def v_stdin(self, words: str) -> None:
        self._stdin = (words.replace("\\n", "\n") + "\n").encode()

    async def v_prints(self, pattern: str) -> None:
        told = self._last.out + self._last.err
        assert re.search(pattern, told, re.MULTILINE), told

    async def v_hides(self, pattern: str) -> None:
        told = self._last.out + self._last.err
        assert not re.search(pattern, told, re.MULTILINE), told

    async def v_keys(self, names: str) -> None:
        assert self._last.rows
        for row in self._last.rows:
            assert set(row) == set(names.split(",")), row

    async def v_row(self, line: str) -> None:
        wanted = json.loads(line)
        fits = [row for row in self._last.rows if _holds(row, wanted)]
        assert fits, self._last.out

    async def v_rows(self, line: str) -> None:
        count, _, wanted = line.partition(" ")
        found = [row for row in self._last.rows if _holds(row, json.loads(wanted))]
        assert len(found) == int(count), self._last.out

    async def v_serve(self, *, expected: str = "75") -> None:
        self._last = await self.house.daemon.command("serve")
        assert self._last.code == int(expected), self._last

    # -- the world and the daemon

    async def v_fault(self, where: str, name: str, *options: str) -> None:
        named: dict[str, Any] = dict(option.split("=", 1) for option in options)
        faults = self.house.world.twilio.faults if where == "twilio" else self.house.world.mail.faults
        seconds = float(named["seconds"]) if "seconds" in named else None
        told = {key: named[key] for key in ("to", "number", "words") if key in named}
        faults.add(name, count=int(named.get("count", 1)), seconds=seconds, **told)

    async def v_script(self, line: str) -> None:
        phone, _, rest = line.partition(" ")
        values = json.loads(rest)
        if "statuses" in values:
            values["statuses"] = tuple(values["statuses"])
        self.house.world.twilio.phones.scripts[phone] = Script(**values)

    async def v_clear(self) -> None:
        self.house.world.twilio.faults.clear()
        self.house.world.mail.faults.clear()
        self.house.world.twilio.phones.scripts.clear()

    async def v_config(self, text: str) -> None:
        self.house.merge(text.replace("\\n", "\n"))
        self.house.write()

    async def v_start(self) -> None:
        await self.house.start()

    async def v_stop(self) -> None:
        await self.house.daemon.stop()

    async def v_kill(self) -> None:
        await self.house.daemon.kill()

    async def v_hup(self) -> None:
        self.house.daemon.signal(signal.SIGHUP)

    # -- how it is found

    async def _next(self, find: Callable[[], Any], what: str) -> Any:
        try:
            return await self.house.world.wait(lambda _: find(), SECONDS)
        except TimeoutError as error:
            raise AssertionError(f"no {what}: {error}\n{self.house.daemon.told()}") from None

    def _new_texts(self, phone: str = "") -> list[Text]:
        return [
            text
            for text in self.house.world.phone(phone)
            if text.direction == "outbound-api" and text.sid not in self._seen_texts
        ]

    def _new_mails(self, address: str = "@") -> list[tuple[int, Mailed]]:
        mails = enumerate(self.house.world.mails)
        return [(n, m) for n, m in mails if n not in self._seen_mails and (address == "@" or m.is_for(address))]

    async def _event(self, name: str, wanted: dict[str, str]) -> Event:
        daemon = self.house.daemon
        start = 0
        while True:
            event = await daemon.wait_event(name, after=start)
            at = next(n for n, e in enumerate(daemon.events) if n >= start and e is event)
            if at not in self._seen_events and fits(event, wanted):
                self._seen_events.add(at)
                return event
            start = at + 1

    def _fits_file(self, file: str, mail: Mailed) -> bool:
        try:
            self._compare((self.folder / "want" / file).read_text(), mail)
        except AssertionError:
            return False
        return True

    def _compare(self, want: str, mail: Mailed) -> None:
        head, _, body = want.partition("\n\n")
        message = mail.message
        shown = {
            "envelope-from": mail.mail_from or "<>",
            "envelope-options": " ".join(mail.rcpt_to[0].options),
        }
        told = f"\n\nthe mail was:\nEnvelope-From: {mail.mail_from}\n{mail.raw.decode('utf-8', 'replace')}"
        for line in head.splitlines():
            name, _, value = line.partition(": ")
            if name.lower() == "absent":
                assert [] == [one for one in value.split(", ") if one in message], told
                continue
            actual = shown.get(name.lower(), str(message.get(name, "(absent)")))
            assert self._match(value, actual), f"{name}: wanted {value!r}, it is {actual!r}{told}"
        actual = _body(mail)
        assert self._match(body.rstrip("\n"), actual), f"wanted:\n{body}\nit is:\n{actual}{told}"

    def _match(self, want: str, actual: str) -> bool:
        pattern, at, kept = "", 0, []
        want = self._filled(want)
        for found in _KIND.finditer(want):
            kept.append(found[1] or "")
            pattern += re.escape(want[at : found.start()]) + f"({_KINDS[found[2]]})"
            at = found.end()
        match = re.fullmatch(pattern + re.escape(want[at:]), actual)
        if match:
            self.house.names |= {name: value for name, value in zip(kept, match.groups(), strict=True) if name}
        return match is not None

    def _nothing_else(self) -> None:
        world = self.house.world
        assert [] == [(text.to, text.body) for text in self._new_texts()], "texts that the story does not name"
        if world.flowroute is not None:
            assert [] == [(text.to, text.body) for text in ByFlowroute(self).new()]
        assert [] == [m.raw.decode("utf-8", "replace") for _, m in self._new_mails()], "mails that it does not name"
        assert [] == world.surprises
        assert "" == self.house.daemon.complaints
        assert [] == [e for e in self.house.daemon.events if e["event"] in ("engine.failed", "hook.failed")]


def fits(event: Event, wanted: dict[str, str]) -> bool:
    """Whether the event holds these fields, as text."""
    return all(str(event.get(key, "")) == value for key, value in wanted.items())


def _body(mail: Mailed) -> str:
    message = mail.message
    if not message.is_multipart():
        return mail.text
    shown = []
    for part in message.iter_parts():
        inner = part.get_payload()
        if part.get_filename():
            text = f"({part.get_filename()})"
        elif isinstance(inner, list):  # message/delivery-status: one header block after the other
            text = "\n".join(str(block) for block in inner)
        else:
            text = str(part.get_payload(decode=True), "utf-8", "replace")  # type: ignore[arg-type]  # bytes of a leaf
        clean = re.sub("\n{3,}", "\n\n", text.replace("\r\n", "\n")).strip("\n")
        shown.append(f"--- {part.get_content_type()}\n{clean}")
    return "\n".join(shown)


def _holds(row: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):
        return isinstance(row, dict) and all(k in row and _holds(row[k], v) for k, v in wanted.items())
    return bool(row == wanted)
