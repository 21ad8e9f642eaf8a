from __future__ import annotations

import json
import select
import signal
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from simulated import ACCOUNT, PHONE, TOKEN
from twilio.rest import Client

from gateway.cli.simulate import command, line
from gateway.simulator.journal import Mailed, RcptTo, Sent, Turned

RUN = [sys.executable, "-c", "from gateway.cli.simulate import command; command()()"]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    args = [*RUN, "--json", "--account-sid", ACCOUNT, "--auth-token-file", str(token)]
    with subprocess.Popen(args, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def read(process: subprocess.Popen[str]) -> dict[str, object]:
    """The next JSON line, within 20 seconds."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], 20)
    assert ready, "nothing was printed"
    return json.loads(process.stdout.readline())


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_simulate_tells_where_it_listens_what_comes_and_ends_with_0(
    running: subprocess.Popen[str], end: signal.Signals
) -> None:
    here = read(running)
    with smtplib.SMTP(str(here["relay_host"]), int(str(here["relay_port"])), timeout=5) as client:
        client.sendmail("a@shop.example", ["b@shop.example"], "Subject: hi\r\n\r\nwords")
    mailed = read(running)
    twilio = Client(ACCOUNT, TOKEN)
    twilio.api.base_url = str(here["api_url"])
    twilio.messages.create(to=PHONE, from_="+12025550100", body="a text")
    texted = read(running)
    running.send_signal(end)

    assert set(here) == {"api_url", "relay_host", "relay_port", "account_sid"}
    assert (mailed["kind"], mailed["text"]) == ("mailed", "words")
    assert (texted["kind"], texted["body"]) == ("texted", "a text")
    assert running.wait(20) == 0


def test_a_port_that_is_taken_exits_69(running: subprocess.Popen[str]) -> None:
    port = str(read(running)["relay_port"])
    second = subprocess.run([*RUN, "--smtp-port", port], capture_output=True, text=True, timeout=20, check=False)

    assert second.returncode == 69
    assert "cannot listen" in second.stderr


@pytest.mark.parametrize(
    "args", [["--hooks", "http://192.0.2.1"], ["--auth-token-file", "/nowhere"], ["--smtp-port", "x"]]
)
def test_wrong_usage_exits_2(args: list[str]) -> None:
    assert CliRunner().invoke(command(), args).exit_code == 2


def test_a_line_has_no_control_characters(noon: datetime) -> None:
    raw = b"Subject: x\r\n\r\n\x1b[2Jtwo\r\nlines\r\n"
    mail = Mailed(
        at=noon,
        mail_from="",
        options=(),
        rcpt_to=(RcptTo(address="b@shop.example"),),
        raw=raw,
        answer="",
        taken=True,
    )
    turned = Turned(at=mail.at, mail_from="a@shop.example", address="b@shop.example", answer="550 no")

    assert line(mail)[8:] == "  mail    <> -> b@shop.example:  [2Jtwo lines [no answer]"
    assert line(turned)[8:] == "  mail    <a@shop.example> -> b@shop.example [550 no]"


def test_what_a_carrier_writes_back_is_a_line_too(noon: datetime) -> None:
    raw = b"Content-Type: text/plain\r\n\r\nOn my way\r\n"
    sent = Sent(at=noon, mail_from="2025550102@vtext.com", to="r-x@sms.example", raw=raw, answer="250 ok")
    lost = replace(sent, answer="", note="nobody said where")

    assert line(sent)[8:] == "  carrier <2025550102@vtext.com> -> r-x@sms.example: On my way [250 ok]"
    assert line(lost)[8:] == "  carrier <2025550102@vtext.com> -> r-x@sms.example: On my way [nobody said where]"
