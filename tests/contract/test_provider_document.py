"""Our client and the simulator are judged by a document that neither of them wrote: the provider's own."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from recorder import recorded
from twilio_contract import DOCUMENT

from gateway.core.model import Phone
from gateway.core.work import Accepted, TextParcel
from gateway.courier.twilio import TwilioProvider
from gateway.ports import Media
from gateway.simulator.world import World

ROOT = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("CONTRACT_VENV", ROOT / ".venv-contract")) / "bin/python"
ACCOUNT, TOKEN = "AC" + "a1" * 16, "a token that only this test knows"
OURS, PHONE = Phone("+12025550100"), Phone("+12025550143")
SERVICE = "MG" + "c" * 32
PNG = b"\x89PNG\r\n\x1a\n and more"
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT}/Messages"
TEXT = f"{MESSAGES}/SM{'0' * 32}.json"


@pytest.fixture(autouse=True)
def judge_is_here() -> None:
    if not DOCUMENT.exists():
        pytest.skip("the provider's OpenAPI document is not here")
    if not PYTHON.exists() and os.environ.get("CI") != "true":
        pytest.skip("the judge's environment is not here: ./dev contract makes it")
    assert PYTHON.exists(), "./dev contract makes the judge's environment"


def judged(exchanges: Sequence[dict[str, Any]]) -> list[list[str]]:
    """What is wrong with each of them."""
    lines = "".join(json.dumps(each) + "\n" for each in exchanges)
    command = [PYTHON, "-I", Path(__file__).with_name("judge.py"), DOCUMENT]
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def parcel(**values: Any) -> TextParcel:
    plain = {"number": OURS, "service": "", "to": PHONE, "body": "Señor, your car & dog", "validity_seconds": 7200}
    return TextParcel(**plain | values)


async def exchanged(world: World, provider: TwilioProvider) -> None:
    """Everything that the client asks for, once; what comes back must make sense to it."""
    pictures = ("https://sms.example.com/media/a/1.png", "https://sms.example.com/media/b/2.png")
    for n, text in enumerate([parcel(), parcel(service=SERVICE), parcel(media=pictures)]):
        sent = await provider.send(text, f"in{n}.0.0", 1)
        assert isinstance(sent, Accepted), sent
        assert await provider.fetch(sent.remote_id)
    for n in range(50):  # a second page
        assert isinstance(await provider.send(parcel(body=f"{n}"), "in3.0.0", 1), Accepted)
    await world.wait(lambda w: all(text.status == "delivered" for text in w.phone(PHONE)))
    found = await provider.lookup(parcel(), datetime.now(UTC))
    assert found is not None
    assert len(found) == 53
    await world.twilio.phones.customer_texts(PHONE, OURS, "look", [("image/png", PNG)], missed=True)
    (came,) = await provider.inbound_since(OURS, datetime.now(UTC) - timedelta(minutes=5)) or []
    (address,) = await provider.media_of(came.remote_id) or ()
    media = await provider.fetch_media(address, 1_000_000)
    assert isinstance(media, Media), media
    assert media.data == PNG
    assert await provider.delete_media(address)


async def test_the_client_and_the_simulator_keep_to_the_providers_document() -> None:
    async with World(ACCOUNT, TOKEN, services={SERVICE: OURS}) as world, recorded(world.api_url) as recorder:
        provider = TwilioProvider(
            account_sid=ACCOUNT, auth_token=TOKEN, api_url=recorder.url, public_url="https://sms.example.com"
        )
        try:
            await exchanged(world, provider)
        finally:
            await provider.close()
        assert world.surprises == []
    rows = recorder.rows()
    kinds = {(row["method"], re.sub(r"(SM|MM|ME)[0-9a-f]{32}", r"\1", str(row["path"]))) for row in rows}
    forms = [dict(parse_qsl(str(row["body"]))) for row in rows if row["method"] == "POST"]

    assert [wrong for wrong in judged(rows) if wrong] == []
    assert kinds == {
        ("POST", f"{MESSAGES}.json"),
        ("GET", f"{MESSAGES}.json"),
        ("GET", f"{MESSAGES}/SM.json"),
        ("GET", f"{MESSAGES}/MM.json"),
        ("GET", f"{MESSAGES}/MM/Media.json"),
        ("GET", f"{MESSAGES}/MM/Media/ME"),
        ("DELETE", f"{MESSAGES}/MM/Media/ME.json"),
    }
    assert any("PageToken" in str(row["query"]) for row in rows)
    assert [set(forms[n]) - set(forms[0]) for n in (1, 2)] == [{"MessagingServiceSid"}, {"MediaUrl"}]


GOOD = {
    "method": "POST",
    "path": f"{MESSAGES}.json",
    "query": "",
    "login": "Basic eDp5",
    "kind": "application/x-www-form-urlencoded",
    "body": "To=%2B12025550143&From=%2B12025550100&Body=hi&ValidityPeriod=300",
    "status": 201,
    "answer_kind": "application/json",
    "location": "",
    "answer": '{"sid": "SM00000000000000000000000000000000", "status": "queued", "num_segments": "1"}',
}
READ = {"method": "GET", "path": TEXT, "kind": "", "body": "", "status": 200}
BAD = {
    "a status of no list": ({"answer": '{"status": "sended"}'}, "sended"),
    "segments as a number": ({"answer": '{"num_segments": 1}'}, "not of type 'string'"),
    "a SID of another form": ({"answer": '{"sid": "SMx"}'}, "SMx"),
    "an answer that is a list": ({"answer": "[]"}, "object"),
    "200 for a new text": ({"status": 200}, "200"),
    "an error that the document does not have": ({"status": 429}, "429"),
    "a page of a proxy": ({"answer_kind": "text/html"}, "text/html"),
    "no To": ({"body": "From=%2B12025550100&Body=hi"}, "To"),
    "a key that the document does not have": (
        {"body": str(GOOD["body"]) + "&MessageIntent=customercare"},
        "MessageIntent",
    ),
    "a validity in words": ({"body": str(GOOD["body"]).replace("300", "soon")}, "soon"),
    "a service of another form": ({"body": str(GOOD["body"]) + "&MessagingServiceSid=MGx"}, "MGx"),
    "a form that is JSON": ({"kind": "application/json"}, "json"),
    "no credentials": ({"login": ""}, "Security"),
    "a path that there is not": ({"path": f"{MESSAGES}s.json"}, "Path not found"),
    "a parameter that the document does not have": (READ | {"path": f"{MESSAGES}.json", "query": "Too=1"}, "Too"),
    "a text of another SID": (READ | {"path": TEXT.replace("SM", "XX")}, "XX"),
    "a file that is no redirect": (READ | {"path": f"{TEXT[:-5]}/Media/ME{'0' * 32}", "answer": "[]"}, "object"),
}


def test_the_judge_takes_what_is_right_and_rejects_each_mistake() -> None:
    changed = [GOOD | change for change, _ in BAD.values()]
    good, *bad = judged([GOOD, *changed])
    missed = [
        (name, found) for (name, (_, word)), found in zip(BAD.items(), bad, strict=True) if word not in " ".join(found)
    ]

    assert good == []
    assert missed == []
