"""Whatever is posted, no hook is answered 500, and 2xx is for what the provider proved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import hooked
import pytest
from grammar import VALUES, mutations, times
from hooked import DOCUMENT, FORM, RECEIPT, SECRET, STATUS, TEXT, Hooks, hooking, post, signed
from hypothesis import given
from hypothesis import strategies as st

NAMES = (
    "AccountSid", "MessageSid", "SmsSid", "From", "To", "Body", "NumMedia", "MediaUrl0", "MediaUrl9", "OptOutType",
    "MessageStatus", "ErrorCode", "X",
)  # fmt: skip
KEYS = ("data", "attributes", "id", "type", "body", "from", "to", "status", "level", "included", "links")
STEPS = ("hooks", "twilio", "flowroute", "message", "status", "media", "..", "%2e%2e", "%00", "%ff", "", "x" * 99)
HEADERS = ("Content-Type", "X-Twilio-Signature", "Content-Encoding", "X-Forwarded-Host", "Host", "Accept", "Range")
SAID = (FORM, "application/json", "gzip", "deflate", "a, b", ";charset=", f"{FORM};x", "bytes=0-", "0", "*/*")

seen = st.characters(min_codepoint=33, max_codepoint=126)
queries = st.one_of(
    st.sampled_from(["", "?d=a&d=b", "?a=99999999", "?d=%", "?"]), st.text(seen, max_size=30).map("?{}".format)
)
targets = st.builds(
    lambda path, query: f"/{'/'.join(path)}{query}",
    st.lists(st.one_of(st.sampled_from(STEPS), st.text(seen, max_size=12)), max_size=5),
    queries,
)
latin = st.characters(min_codepoint=32, max_codepoint=255, exclude_categories=["Cc"])
headers = st.lists(
    st.tuples(st.sampled_from(HEADERS), st.one_of(st.sampled_from(SAID), st.text(latin, max_size=20))), max_size=4
)
values = st.one_of(
    st.sampled_from([*VALUES, hooked.ACCOUNT, hooked.SID, hooked.OURS, "delivered", "STOP", "99", ""]),
    st.text(max_size=30),
)
forms = st.one_of(
    st.binary(max_size=300),
    st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=12).map(
        lambda pairs: urlencode(pairs, errors="surrogatepass").encode()
    ),
    mutations([TEXT, STATUS], 4),
)
jsons = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inside: st.one_of(st.lists(inside, max_size=3), st.dictionaries(st.sampled_from(KEYS), inside, max_size=6)),
    max_leaves=20,
)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """What Flowroute posts, with some values of other types or gone."""
    made: dict[str, Any] = json.loads(draw(st.sampled_from([DOCUMENT, RECEIPT])))
    for place in (made, made["data"], made["data"]["attributes"]):
        for key in draw(st.lists(st.sampled_from(sorted(place)), max_size=2)):
            place[key] = draw(jsons)
    return json.dumps(made).encode()


@pytest.fixture(scope="module")
def hooks() -> Iterator[Hooks]:
    with hooking() as found:
        yield found


@times(150)
@given(targets, headers, forms)
def test_what_nobody_signed_is_refused(hooks: Hooks, target: str, said: list[tuple[str, str]], body: bytes) -> None:
    statuses, kept = hooks.judged(post(target, body, said))

    assert [] == kept
    assert all(400 <= status < 500 for status in statuses), statuses


@times(150)
@given(
    st.sampled_from(["message", "status", "status?d=01J9ZQ.0.0&a=2", "status?d=&d=&a=", "message?x=%ff"]),
    forms,
)
def test_a_form_that_was_rightly_signed_is_kept_or_refused(hooks: Hooks, target: str, body: bytes) -> None:
    (status,), kept = hooks.judged(signed(f"/hooks/twilio/{target}", body))

    assert (status < 300) == bool(kept)


@times(100)
@given(mutations([TEXT, STATUS], 2), st.sampled_from([("message", TEXT), ("status?d=a&a=1", STATUS)]))
def test_a_signature_holds_for_no_other_form(hooks: Hooks, body: bytes, other: tuple[str, bytes]) -> None:
    target, right = other
    taken = signed(f"/hooks/twilio/{target}", right).rpartition(b"\r\n\r\n")[0]
    length = f"Content-Length: {len(right)}".encode()
    _, before = hooks.judged(taken + b"\r\n\r\n" + right)
    _, kept = hooks.judged(taken.replace(length, f"Content-Length: {len(body)}".encode()) + b"\r\n\r\n" + body)

    # A form may be written in several ways; what it says is signed.
    assert [hook.event for hook in kept] in ([], [hook.event for hook in before])


@times(150)
@given(
    st.sampled_from(["message", "status", "status?d=01J9ZQ.0.0&a=2", "status?a=%ff", "x", "message/"]),
    st.one_of(
        documents(),
        jsons.map(lambda found: json.dumps(found).encode()),
        mutations([DOCUMENT, RECEIPT], 4),
        st.binary(max_size=99),
    ),
)
def test_any_document_behind_the_secret_is_kept_or_refused(hooks: Hooks, target: str, body: bytes) -> None:
    (status,), kept = hooks.judged(
        post(f"/hooks/flowroute/{SECRET}/{target}", body, [("Content-Type", "application/json")])
    )

    assert (status < 300) == bool(kept)


@times(100)
@given(st.one_of(mutations([seed[1:] for seed in hooked.SEEDS if seed[:1] == b"-"], 6), st.binary(max_size=300)))
def test_bytes_that_are_hardly_http_break_nothing(hooks: Hooks, raw: bytes) -> None:
    _, kept = hooks.judged(raw, whole=False)
    (status,), proven = hooks.judged(signed("/hooks/twilio/message", TEXT))

    assert [] == kept
    assert (200, 1) == (status, len(proven))


@pytest.mark.parametrize(
    "body", [b"[" * 20_000, b'{"data":' * 8_000, b"1" * 60_000, b'"\\ud800"', b"NaN", b"a=" * 32_000]
)
def test_documents_that_hurt_parsers_are_refused(hooks: Hooks, body: bytes) -> None:
    said = [("Content-Type", "application/json")]

    assert ([400], []) == hooks.judged(post(f"/hooks/flowroute/{SECRET}/message", body, said))


def test_a_form_of_a_thousand_fields_is_refused(hooks: Hooks) -> None:
    statuses, kept = hooks.judged(post("/hooks/twilio/message", b"a=b&" * 1_000, [("Content-Type", FORM)]))

    assert ([400], []) == (statuses, kept)
