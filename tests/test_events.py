"""Events: one line each, whole and masked, wherever they go at the moment."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from gateway import events
from gateway.core.model import Fate
from gateway.events import REGISTRY, emit, masked

NUMBERISH = st.text(alphabet="0123456789+-. ()/aZ@\n٣é", max_size=40)


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    events.setup(stream)
    yield stream
    structlog.reset_defaults()


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_its_fields_in_their_order_then_event_level_and_a_time_in_utc(out: io.StringIO) -> None:
    emit("delivery.accepted", delivery="m1.1.1", courier="mail", fate=Fate.HANDED_OVER, ms=3, ids=["a"])
    (line,) = lines(out)

    assert list(line) == ["delivery", "courier", "fate", "ms", "ids", "event", "level", "timestamp"]
    assert (line["event"], line["level"], line["fate"]) == ("delivery.accepted", "info", "handed_over")
    assert str(line["timestamp"]).endswith("Z")
    assert datetime.fromisoformat(str(line["timestamp"])).utcoffset() == timedelta()
    assert out.getvalue().count("\n") == 1


def test_what_json_does_not_know_is_shown_as_python_shows_it(out: io.StringIO) -> None:
    emit("command.done", what=timedelta(seconds=1))

    assert lines(out)[0]["what"] == "datetime.timedelta(seconds=1)"


def test_an_event_counts_for_its_courier() -> None:
    labels = {"event": "delivery.deferred", "courier": "flowroute"}
    before = REGISTRY.get_sample_value("gateway_events_total", labels) or 0.0
    emit("delivery.deferred", delivery="m1.1.1", courier="flowroute")
    emit("delivery.deferred", delivery="m1.1.1", courier="flowroute")

    assert REGISTRY.get_sample_value("gateway_events_total", labels) == before + 2


def test_an_event_that_is_not_listed_is_a_bug() -> None:
    with pytest.raises(KeyError):
        emit("nobody.knows")


def test_lines_go_where_the_last_setup_says(out: io.StringIO) -> None:
    emit("engine.started")
    other = io.StringIO()
    events.setup(other, level="warning")
    emit("engine.stopping")
    emit("courier.down")

    assert [line["event"] for line in lines(out)] == ["engine.started"]
    assert [line["event"] for line in lines(other)] == ["courier.down"], "info is below the level"


@pytest.mark.parametrize(
    ("field", "value", "shown"),
    [
        ("to", "+12025550143", "+1******0143"),
        ("to", "2025550143@txt.att.net", "+1******0143@txt.att.net"),
        ("recipient", "x12025550143y@sms.example.com", "x+1******0143y@sms.example.com"),
        ("username", "jobs", "jobs"),
        ("note", "(202) 555-0143 is not here", "+1******0143 is not here"),
        ("error", "450 4.2.0 +44 20 7946 0143 is busy", "450 4.2.0 +4*******0143 is busy"),
        ("note", "250 2.0.0 Ok: queued as 4F2A1B7C9", "250 2.0.0 Ok: queued as 4F2A1B7C9"),
        ("remote_id", "2025550143", "2025550143"),
        ("reason", None, None),
    ],
)
def test_what_may_hold_a_number_is_masked(out: io.StringIO, field: str, value: object, shown: object) -> None:
    emit("session.cut", **{field: value})

    assert lines(out)[0][field] == shown


@given(NUMBERISH)
def test_no_number_is_missed_for_a_quick_look(text: str) -> None:
    every = events._DIGITS.sub(events._mask, text)

    assert masked(text) == every
    assert events._masked_address(text) == events._RUN.sub(events._mask, every)


def test_lines_of_many_threads_stay_whole(out: io.StringIO) -> None:
    def speak(n: int) -> None:
        for _ in range(200):
            emit("inbound.accepted", inbound=f"m{n}" * 20)

    threads = [threading.Thread(target=speak, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(lines(out)) == 800


def test_that_nobody_reads_any_more_is_an_error_of_the_caller() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = os.fdopen(writer, "w")
    events.setup(stream)
    with pytest.raises(BrokenPipeError):
        emit("engine.stopped")
    with pytest.raises(BrokenPipeError):
        stream.close()
