"""`gateway carriers` as commands: set, suggest, migrate and check, on the shop's own files.

Each command runs as a process where files, pipes, terminals and exit codes are the point; else within this one.
"""

from __future__ import annotations

import asyncio
import os
import pty
import re
import secrets
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tomli
import tomlkit
from click.testing import CliRunner
from daemon import Daemon, Done, environment
from house import ACCOUNT, SHOP, House, merge

from gateway.cli import cli
from gateway.config import load
from gateway.simulator.hooks import Hooks
from gateway.simulator.journal import Journal
from gateway.simulator.lookup import KnownLine, Lookups
from gateway.simulator.twilio import Twilio

SAMPLE = Path(__file__).parents[1] / "data" / "text_addresses.csv"
PHONE = "+12025550143"
OWN = """\
# our carriers

[verizon.sms]  # the techs' own
address = "{national}@vtext.com"
status = "retiring"   # they wrote us
ends = 2099-03-31

# the hill
[hill]
name = "Hill Cell"
country = "US"
mccmnc = ["310-999"]
[hill.sms]
address = "{national}@sms.hill.example"
status = "active"
"""


@dataclass
class Shop:
    """A folder with config.toml, and the commands."""

    daemon: Daemon
    config: Any

    @property
    def folder(self) -> Path:
        return self.daemon.folder

    @property
    def carriers(self) -> Path:
        return self.folder / "carriers.toml"

    def write(self, differences: str = "") -> None:
        merge(self.config, tomlkit.parse(differences))
        (self.folder / "config.toml").write_text(tomlkit.dumps(self.config))

    async def carry(self, *words: str, stdin: bytes = b"") -> Done:
        """The command within this process: a rule needs no start of Python for each case."""
        call = ["-c", str(self.folder / "config.toml"), "carriers", *words]
        ended = await asyncio.to_thread(CliRunner(catch_exceptions=False).invoke, cli, call, stdin, prog_name="gateway")
        return Done(ended.exit_code, ended.stdout, ended.stderr)

    async def run(self, *words: str, stdin: bytes = b"") -> Done:
        """The command as a process of its own."""
        done = await self.daemon.command("carriers", *words, stdin=stdin)
        assert "Traceback" not in done.err
        return done


@pytest.fixture
def shop(state: Path) -> Shop:
    made = Shop(Daemon(state), tomlkit.parse(SHOP.read_text()))
    (state / "token").touch(mode=0o600)
    (state / "token").write_text("a token of thirty-two characters")
    made.write('[dns]\nservers = ["127.0.0.1"]\n')
    return made


async def test_set_keeps_comments_and_order_and_says_old_and_new(shop: Shop) -> None:
    shop.carriers.write_text(OWN)
    shop.carriers.chmod(0o640)

    done = await shop.run("set", "verizon.sms.status", "retired", "hill.name", "Hill & Dale")

    assert done.code == 0, done
    assert shop.carriers.read_text() == OWN.replace('"retiring" ', '"retired" ').replace("Hill Cell", "Hill & Dale")
    assert stat.S_IMODE(shop.carriers.stat().st_mode) == 0o640
    assert done.out.splitlines()[:3] == [
        "verizon.sms.status: retiring -> retired",
        "hill.name: Hill Cell -> Hill & Dale",
        f"{shop.carriers} was changed",
    ]
    assert "bob: Verizon Wireless closed vtext.com on 2099-03-31" in done.out
    assert "systemctl reload gateway" in done.out
    assert [path.name for path in shop.folder.glob(".*")] == []


async def test_set_makes_the_file_and_copies_a_shipped_channel_whole(shop: Shop) -> None:
    before = (await shop.carry("show", "t-mobile", "--json")).rows

    done = await shop.carry("set", "t-mobile.sms.status", "active", "t-mobile.country", "US")
    after = (await shop.carry("show", "t-mobile", "--json")).rows

    assert done.code == 0, done
    assert f"{shop.carriers} was created" in done.out
    assert 'add carriers = "carriers.toml"' in done.out
    assert shop.carriers.read_text().startswith("# Carrier rows of our own")
    kept = ("address", "domain", "seen", "max_chars", "source")
    assert [[row[key] for key in kept] for row in after] == [[row[key] for key in kept] for row in before]
    assert [row["status"] for row in after] == ["active", "unverified"]


@pytest.mark.parametrize(
    ("words", "below", "added"),
    [
        (("verizon.mms.status", "retired"), "ends = 2099-03-31\n", "\n[verizon.mms]\n"),
        (("hill.successor", "verizon"), 'mccmnc = ["310-999"]\n', 'successor = "verizon"\n'),
        (("hill.mms.domain", "mms.hill.example"), 'mccmnc = ["310-999"]\n', "\n[hill.mms]\n"),
    ],
)
async def test_set_puts_a_fresh_key_above_comments_of_what_follows(
    shop: Shop, words: tuple[str, ...], below: str, added: str
) -> None:
    shop.carriers.write_text(OWN)

    done = await shop.carry("set", *words)
    text = shop.carriers.read_text()

    assert done.code == 0, done
    assert below + added in text
    assert "# the hill\n[hill]\n" in text
    assert "[verizon.sms]  # the techs' own\n" in text


async def test_set_reads_dates_counts_lists_and_removes(shop: Shop) -> None:
    shop.carriers.write_text(OWN)
    words = ("hill.sms.max_chars", "140", "hill.mccmnc", "310-998, 310-999", "hill.sms.seen", "2026-11-01")

    done = await shop.carry("set", *words)
    gone = await shop.carry("set", "hill.sms.max_chars", "")
    values = tomli.loads(shop.carriers.read_text())

    assert (done.code, gone.code) == (0, 0), (done, gone)
    assert values["hill"]["mccmnc"] == ["310-998", "310-999"]
    assert values["hill"]["sms"]["seen"].isoformat() == "2026-11-01"
    assert "max_chars" not in values["hill"]["sms"]
    assert gone.out.splitlines()[0] == "hill.sms.max_chars: 140 -> nothing"


async def test_set_adds_a_carrier_that_gets_a_name(shop: Shop) -> None:
    address = "{national}@sms.dale.example"

    nameless = await shop.carry("set", "dale.sms.address", address)
    named = await shop.carry("set", "dale.name", "Dale Cell", "dale.sms.address", address, "--json")

    assert nameless.code == 1
    assert "there is no carrier dale" in nameless.err
    assert named.code == 0, named
    assert [(row["key"], row["old"], row["new"]) for row in named.rows] == [
        ("dale.name", None, "Dale Cell"),
        ("dale.sms.address", None, address),
    ]
    assert named.rows[0]["created"] is True
    assert tomli.loads(shop.carriers.read_text()) == {"dale": {"name": "Dale Cell", "sms": {"address": address}}}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("verizon.sms.status", "retird"), 1, "carriers.toml:5:10: error: 'retird' is not a status"),
        (("verizon.sms.ends", ""), 1, "a gateway that is retiring needs the day of its end"),
        (("hill.sms.address", "sms.hill.example"), 1, "'sms.hill.example' is not a mail address"),
        (("hill.successor", "vrizon"), 1, "there is no carrier 'vrizon'"),
        (("hill.sms.address", "{national}@sms.example.com"), 1, "sms.example.com is the domain of a carrier"),
        (("hil.name", ""), 1, "did you mean hill?"),
        (("verizon.sms.sttus", "active"), 2, "did you mean status?"),
        (("verizon.status", "active"), 2, "did you mean verizon.sms.status?"),
        (("verizon.smms.status", "active"), 2, "there is no channel smms"),
        (("verizon", "active"), 2, "names no key"),
        (("verizon.sms.status",), 2, "has no value"),
    ],
)
async def test_set_refuses_what_check_would_and_writes_nothing(
    shop: Shop, words: tuple[str, ...], code: int, said: str
) -> None:
    shop.carriers.write_text(OWN)

    done = await shop.carry("set", *words)

    assert done.code == code, done
    assert said in done.err
    assert shop.carriers.read_text() == OWN


async def test_set_keeps_line_ends_of_windows_and_a_byte_order_mark(shop: Shop) -> None:
    raw = b"\xef\xbb\xbf" + OWN.replace("\n", "\r\n").encode()
    shop.carriers.write_bytes(raw)

    same = await shop.carry("set", "hill.name", "Hill Cell")
    unchanged = shop.carriers.read_bytes()
    done = await shop.carry("set", "hill.name", "Hill")

    assert (same.code, done.code) == (0, 0)
    assert "as it was" in same.out
    assert unchanged == raw
    assert shop.carriers.read_bytes() == raw.replace(b"Hill Cell", b"Hill")


async def test_set_mends_a_file_with_an_error_and_names_one_that_is_no_toml(shop: Shop) -> None:
    shop.carriers.write_text(OWN.replace('"retiring"', '"retird"'))
    mended = await shop.carry("set", "verizon.sms.status", "retiring")
    shop.carriers.write_text("[verizon\n")
    broken = await shop.carry("set", "verizon.sms.status", "retired")

    assert mended.code == 0, mended
    assert broken.code == 78
    assert "carriers.toml:1:9: error: not TOML" in broken.err


async def test_a_running_daemon_takes_what_was_set_at_its_next_reload(house: House) -> None:
    await house.start()
    done = await house.daemon.command("carriers", "set", "verizon.sms.status", "retired")
    house.daemon.signal(signal.SIGHUP)
    await house.daemon.wait_event("config.reloaded")
    told = await house.daemon.command("preview", "bob@sms.example.com", "-", "--json", stdin=b"Subject: x\n\nhello\n")

    assert done.code == 0, done
    assert "vtext.com" not in str(told.rows[0]["route"]), told


async def test_check_tells_twins_ends_and_dead_domains_with_their_lines(shop: Shop) -> None:
    shop.carriers.write_text(
        OWN
        + '[dale]\nname = "Dale"\n[dale.sms]\naddress = "{national}@vtext.com"\n'
        + '[past]\nname = "Past"\n[past.sms]\naddress = "{national}@sms.past.example"\n'
        + 'status = "retiring"\nends = 2026-01-01\n'
    )
    lines = (shop.folder / "config.toml").read_text().splitlines()
    bob = lines.index('carrier = "verizon"') + 1

    done = await shop.carry("check", "--json")
    told = {(Path(row["file"]).name, row["line"], row["column"]): row["text"] for row in done.rows}

    assert done.code == 0, done
    assert "{national}@vtext.com is also that of verizon," in told["carriers.toml", 19, 11]
    assert told["carriers.toml", 25, 8] == "past.sms ended on 2026-01-01 and counts as retired"
    assert "texts to bob go by vtext.com, which Verizon Wireless closes on 2099-03-31" in told["config.toml", bob, 11]
    assert any(row["text"].startswith("MX records could not be looked up") for row in done.rows)


async def test_check_asks_dns_and_names_the_employee_of_a_domain_that_is_gone(shop: Shop) -> None:
    import dns.message
    import dns.rcode

    class Gone(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport: Any = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            answer = dns.message.make_response(dns.message.from_wire(data))
            answer.set_rcode(dns.rcode.NXDOMAIN)
            self.transport.sendto(answer.to_wire(), addr)

    loop = asyncio.get_running_loop()
    try:
        transport, _ = await loop.create_datagram_endpoint(Gone, local_addr=("127.0.0.53", 53))
    except OSError:
        pytest.skip("port 53 of 127.0.0.53 cannot be had here")
    shop.write('[dns]\nservers = ["127.0.0.53"]\n')

    done = await shop.carry("check")
    transport.close()

    assert done.code == 0, done
    assert "vtext.com: the domain does not exist; bob cannot be texted there" in done.out


async def test_check_is_78_where_the_file_has_an_error_and_tells_its_place(shop: Shop) -> None:
    shop.carriers.write_text('[hill]\nname = "Hill"\nsuccessor = "hill"\n[hill.sms]\naddress = "hill.example"\n')

    done = await shop.run("check")

    assert done.code == 78
    assert "carriers.toml:3:13: error: the successors of hill lead back to it" in done.out
    assert "carriers.toml:5:11: error: 'hill.example' is not a mail address" in done.out


@dataclass
class Desk:
    shop: Shop
    lookups: Lookups

    async def suggest(self, *words: str, line: KnownLine | None = None) -> Done:
        if line:
            self.lookups.lines[PHONE] = line
        return await self.shop.carry("suggest", *words)


@pytest.fixture
async def desk(shop: Shop) -> AsyncIterator[Desk]:
    token, journal = secrets.token_hex(16), Journal()
    (shop.folder / "token").write_text(token)
    twilio = Twilio(journal, ACCOUNT, token, hooks=Hooks(journal, token, "https://sms.example.com", ""))
    lookups = Lookups(journal, ACCOUNT, token)
    twilio.serve(lookups.routes())
    async with twilio:
        shop.write(f'[twilio]\napi_url = "{twilio.url}"')
        yield Desk(shop, lookups)
    assert journal.surprises == []


async def test_suggest_names_the_one_row_that_fits_and_the_next_step(desk: Desk) -> None:
    desk.lookups.lines[PHONE] = KnownLine(code="313-340", name="Boost Mobile, LLC")

    done = await desk.shop.run("suggest", "(202) 555-0143", "--yes")
    rows = (await desk.suggest(PHONE, "--yes", "--json")).rows

    assert done.code == 0, done
    assert "Twilio says: mobile, network 313-340, Boost Mobile, LLC" in done.out
    assert "2025550143@sms.myboostmobile.com" in done.out
    assert 'Write carrier = "boost"' in done.out
    assert "gateway carriers test EMPLOYEE" in done.out
    assert (rows[0]["id"], rows[0]["mccmnc"], rows[0]["type"]) == ("boost", "313-340", "mobile")
    assert [(row["channel"], row["status"]) for row in rows[0]["rows"]] == [
        ("sms", "unverified"),
        ("mms", "unverified"),
    ]


async def test_suggest_guesses_no_brand_of_a_shared_network(desk: Desk) -> None:
    done = await desk.suggest(PHONE, "--yes", line=KnownLine(code="310-260", name="T-Mobile USA, Inc."))
    rows = (await desk.suggest(PHONE, "--yes", "--json")).rows

    assert done.code == 1
    assert "cannot be told apart" in done.out
    assert "mint-mobile" in done.out
    assert rows[0]["id"] is None
    assert {"t-mobile", "metro"} <= {row["id"] for row in rows[0]["rows"]}


@pytest.mark.parametrize(
    ("kind", "words"), [("landline", "a landline"), ("nonFixedVoip", "an internet line"), ("uan", "of the kind uan")]
)
async def test_suggest_gives_no_carrier_to_what_is_no_mobile(desk: Desk, kind: str, words: str) -> None:
    done = await desk.suggest(PHONE, "--yes", line=KnownLine(kind=kind, name="Verizon"))

    assert done.code == 1
    assert words in done.out
    assert "only a mobile may get a carrier" in done.out


async def test_suggest_takes_an_employee_and_an_own_row(desk: Desk) -> None:
    desk.shop.carriers.write_text(OWN)
    desk.lookups.lines["+12025550102"] = KnownLine(code="310-999", name="Hill Cell")

    done = await desk.suggest("bob", "--yes")

    assert done.code == 0, done
    assert 'Write carrier = "hill" under [[employee]] of bob.' in done.out
    assert desk.lookups.asked == ["+12025550102"]


async def test_suggest_says_that_a_closed_gateway_is_closed(desk: Desk) -> None:
    desk.lookups.lines["+16045550143"] = KnownLine(code="302-370", name="Fido Solutions Inc.")

    done = await desk.suggest("+1 604 555 0143", "--yes")

    assert done.code == 0, done
    assert "closed sms.fido.ca on 2023-07-18: leave carrier out" in done.out


async def test_suggest_says_plainly_what_twilio_refuses_and_where_it_is_out_of_reach(desk: Desk) -> None:
    refused = await desk.suggest(PHONE, "--yes", line=KnownLine(kind=None, error_code=60601))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    desk.shop.write(f'[twilio]\napi_url = "http://127.0.0.1:{port}"')
    silent = await desk.suggest(PHONE, "--yes")

    assert refused.code == 1
    assert "Canadian carriers only after an approval" in refused.err
    assert silent.code == 69
    assert PHONE[2:] not in refused.err + silent.err


async def test_suggest_asks_nothing_that_nobody_agreed_to_pay(desk: Desk) -> None:
    alone = await desk.suggest(PHONE)
    nobody = await desk.suggest("nobody", "--yes")

    assert (alone.code, nobody.code) == (2, 2)
    assert "about one cent" in alone.err
    assert desk.lookups.asked == []


@pytest.mark.parametrize(("answer", "asked"), [("y", 1), ("n", 0)])
async def test_suggest_asks_on_a_terminal_before_it_costs_money(desk: Desk, answer: str, asked: int) -> None:
    desk.lookups.lines[PHONE] = KnownLine(code="313-340", name="Boost Mobile")
    ours, theirs = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "gateway",
        "-c",
        str(desk.shop.folder / "config.toml"),
        "carriers",
        "suggest",
        PHONE,
    ]
    process = await asyncio.create_subprocess_exec(
        *command, env=environment(), stdin=theirs, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    async with asyncio.timeout(60):
        _, err = await process.communicate()
    os.close(ours)

    assert b"costs about one cent" in err
    assert process.returncode == (0 if asked else 1), err
    assert len(desk.lookups.asked) == asked


async def test_suggest_without_an_account_says_so(shop: Shop) -> None:
    del shop.config["twilio"]
    shop.write()

    done = await shop.carry("suggest", PHONE, "--yes")

    assert done.code == 1
    assert "there is no [twilio]" in done.err


async def test_migrate_reports_an_export_and_writes_employees_that_load(shop: Shop) -> None:
    target = shop.folder / "employees.toml"

    told = await shop.run("migrate", str(SAMPLE))
    done = await shop.run("migrate", str(SAMPLE), "--write", str(target), "--json")
    employees = load(shop.folder / "config.toml", secrets=False).rules.employees

    assert (told.code, done.code) == (0, 0), (told, done)
    assert f"{SAMPLE}:12: Text Address: the number is there twice; it was read as it is meant" in told.out
    assert f"{SAMPLE}:84: Text Address: no phone number stands before the @" in told.out
    assert "AT&T closed txt.att.net on 2025-06-17" in told.out
    assert re.search(r"\d{7}", told.out.replace(str(SAMPLE), "")) is None
    assert len(done.rows) == int(told.out.splitlines()[-1].split()[0])
    usable = {row["phone"] for row in done.rows if row["phone"]}
    assert {e.phone for e in employees if e.name not in ("bob", "alice")} == usable - {"+12025550102", "+12025550103"}
    assert all(e.fallback == "provider" for e in employees if e.name not in ("bob", "alice"))
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


async def test_migrate_never_overwrites_unless_forced(shop: Shop) -> None:
    target = shop.folder / "new.toml"
    target.write_text("# mine\n")

    refused = await shop.carry("migrate", str(SAMPLE), "--write", str(target))
    kept = target.read_text()
    forced = await shop.carry("migrate", str(SAMPLE), "--write", str(target), "--force")

    assert (refused.code, forced.code) == (1, 0)
    assert "exists" in refused.err
    assert kept == "# mine\n"
    assert "[[employee]]" in target.read_text()


async def test_migrate_again_over_its_own_file_loads_too(shop: Shop) -> None:
    target = str(shop.folder / "employees.toml")

    await shop.carry("migrate", str(SAMPLE), "--write", target)
    first = Path(target).read_text()
    again = await shop.carry("migrate", str(SAMPLE), "--write", target, "--force")

    assert again.code == 0, again
    assert Path(target).read_text() == first
    assert load(shop.folder / "config.toml", secrets=False).rules.employees


async def test_migrate_reads_latin_1_standard_input_and_named_columns(shop: Shop) -> None:
    text = "Name;Text;Other\nJos\u00e9;2025550101@txt.att.net;2025550102@vtext.com\n".encode("latin-1")

    done = await shop.run("migrate", "-", "--column", "text", "--json", stdin=text)
    unknown = await shop.carry("migrate", "-", "--column", "Txt", stdin=text)

    assert done.code == 0, done
    assert [(row["name"], row["verdict"], row["column"]) for row in done.rows] == [("Jos\u00e9", "dead", "Text")]
    assert "Latin-1" in done.err
    assert unknown.code == 2
    assert "did you mean Text?" in unknown.err


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (b"Name,Mail\nAda,ada@shop.example\n", 1, "has no text address"),
        (b"", 1, "has no text address"),
        (b'Name,Text\nAda,"2025550101@vtext.com\n', 1, "line 2 is not CSV"),
        (b"N\0a\0m\0e\0", 2, "export it as CSV UTF-8"),
    ],
)
async def test_migrate_is_no_where_nothing_can_be_used(shop: Shop, text: bytes, code: int, said: str) -> None:
    target = shop.folder / "new.toml"

    done = await shop.carry("migrate", "-", "--write", str(target), stdin=text)

    assert done.code == code, done
    assert said in done.err
    assert not target.exists()


async def test_migrate_needs_no_configuration(state: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway", "carriers", "migrate", str(SAMPLE), "--json"),
        cwd=state,
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()

    assert process.returncode == 0, err
    assert len(out.splitlines()) > 200
