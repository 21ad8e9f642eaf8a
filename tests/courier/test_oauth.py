"""Logins by access token: an SMTP server that speaks XOAUTH2, and a provider's token endpoint, both on loopback."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from relays import Make, Provider, Script, Scripted, TokenRelay
from test_mail import send

from gateway.config import Secret
from gateway.core.work import Accepted, Deferred
from gateway.courier.oauth import FetchedTokens, FileTokens, TokenError


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider(answers=[{"access_token": "a1", "expires_in": 3600}, {"access_token": "a2", "expires_in": 3600}])
    app = web.Application()
    app.router.add_post("/token", made.token)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/token"
    yield made
    await runner.cleanup()


def fetched(provider: Provider, refresh: Path | None = None, **options: Any) -> FetchedTokens:
    base: dict[str, Any] = {
        "token_url": provider.url,
        "client_id": "0123",
        "client_secret": Secret("correct horse"),
        "refresh_file": refresh,
        "scope": "https://mail.google.com/",
        "unsaved": pytest.fail,
    }
    return FetchedTokens(**base | options)


def written(path: Path, text: str) -> Path:
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return path


async def test_a_token_is_fetched_once_and_logs_in_each_connection(
    script: Scripted, courier: Make, provider: Provider
) -> None:
    relay = await script(TokenRelay(good={"a1"}))
    assert isinstance(relay, TokenRelay)
    mine = courier(relay.port, username="gateway@example.com", tokens=fetched(provider))

    outcomes = await asyncio.gather(send(mine), send(mine))

    assert {type(outcome) for outcome in outcomes} == {Accepted}
    assert relay.tokens == ["a1", "a1"]
    assert len(provider.asked) == 1


async def test_a_token_that_is_refused_is_fetched_anew_once(
    script: Scripted, courier: Make, provider: Provider
) -> None:
    relay = await script(TokenRelay(good={"a2"}))
    assert isinstance(relay, TokenRelay)
    mine = courier(relay.port, username="gateway@example.com", tokens=fetched(provider))

    assert isinstance(await send(mine), Accepted)
    assert relay.tokens == ["a1", "a2"]


async def test_a_login_that_is_refused_with_a_fresh_token_says_what_to_do(
    script: Scripted, courier: Make, provider: Provider
) -> None:
    relay = await script(TokenRelay())
    assert isinstance(relay, TokenRelay)
    outcome = await send(courier(relay.port, username="gateway@example.com", tokens=fetched(provider)))

    assert isinstance(outcome, Deferred)
    assert outcome.sender_wide
    assert outcome.code == "5.7.8"
    assert "check that the account may send by SMTP, and [relay] username and scope" in outcome.reason
    assert "a2" not in outcome.reason
    assert relay.tokens == ["a1", "a2"]


async def test_no_token_is_a_fault_of_the_relay_for_all_mails_and_says_why(
    script: Scripted, courier: Make, provider: Provider
) -> None:
    relay = await script(TokenRelay())
    provider.answers, provider.status = (
        [{"error": "invalid_client", "error_description": "AADSTS7000215: no\r\nno"}],
        401,
    )

    outcome = await send(courier(relay.port, username="gateway@example.com", tokens=fetched(provider)))

    assert isinstance(outcome, Deferred)
    assert outcome.sender_wide
    assert outcome.reason.endswith(
        "answered 401 invalid_client: AADSTS7000215: no no; check [relay] client_id and client_secret; the secret may "
        "have run out"
    )
    assert relay.lines == []


@pytest.mark.parametrize(
    ("offered", "options", "said"),
    [
        (b"250 AUTH PLAIN\r\n", {}, "offers no XOAUTH2"),
        (b"250 AUTH XOAUTH2\r\n", {"tls": "opportunistic"}, "does not offer TLS"),
    ],
    ids=["not offered", "in the clear"],
)
async def test_a_token_leaves_only_where_it_is_asked_for_and_encrypted(
    script: Scripted, courier: Make, provider: Provider, offered: bytes, options: dict[str, str], said: str
) -> None:
    relay = await script(Script(replies={"EHLO": b"250-relay\r\n" + offered}))

    outcome = await send(courier(relay.port, username="g", tokens=fetched(provider), **options))

    assert isinstance(outcome, Deferred)
    assert said in outcome.reason
    assert [line for line in relay.lines if line.startswith(b"AUTH")] == []


async def test_a_token_in_a_file_is_read_anew_at_each_login_and_tried_once(
    script: Scripted, courier: Make, tmp_path: Path
) -> None:
    relay = await script(TokenRelay(good={"later"}))
    assert isinstance(relay, TokenRelay)
    path = written(tmp_path / "access.token", "early")
    mine = courier(relay.port, username="gateway@example.com", tokens=FileTokens(path))

    assert isinstance(await send(mine), Deferred)
    assert relay.tokens == ["early"]
    written(path, "later")
    assert isinstance(await send(mine), Accepted)
    path.unlink()
    gone = await send(courier(relay.port, username="gateway@example.com", tokens=FileTokens(path)))
    assert isinstance(gone, Deferred)
    assert "there is no file" in gone.reason


async def test_without_a_refresh_token_the_client_itself_is_granted(provider: Provider) -> None:
    assert await fetched(provider).token() == "a1"
    assert provider.asked == [
        {
            "client_id": "0123",
            "client_secret": "correct horse",
            "grant_type": "client_credentials",
            "scope": "https://mail.google.com/",
        }
    ]


@pytest.mark.parametrize(("life", "fetches"), [(3600, 1), ("3600", 1), (None, 1), (62, 1), (60, 2), (0, 2)], ids=str)
async def test_a_token_is_kept_until_a_minute_before_its_end(provider: Provider, life: object, fetches: int) -> None:
    provider.answers = [{"access_token": "a1", "expires_in": life}]
    tokens = fetched(provider)

    assert [await tokens.token(), await tokens.token()] == ["a1", "a1"]
    assert len(provider.asked) == fetches


async def test_many_who_need_a_token_wait_for_one_fetch(provider: Provider) -> None:
    tokens = fetched(provider)

    assert set(await asyncio.gather(*(tokens.token() for _ in range(5)))) == {"a1"}
    assert set(await asyncio.gather(*(tokens.token(refused="a1") for _ in range(5)))) == {"a2"}
    assert len(provider.asked) == 2


async def test_a_refresh_token_that_the_provider_changes_takes_the_place_of_the_old_one(
    provider: Provider, tmp_path: Path
) -> None:
    path = written(tmp_path / "refresh.secret", "r1")
    provider.answers = [{"access_token": "a1", "refresh_token": "r2", "expires_in": 0}, {"access_token": "a2"}]
    tokens = fetched(provider, path, client_secret=None)

    assert [await tokens.token(), await tokens.token()] == ["a1", "a2"]
    assert [(form["grant_type"], form["refresh_token"]) for form in provider.asked] == [
        ("refresh_token", "r1"),
        ("refresh_token", "r2"),
    ]
    assert "client_secret" not in provider.asked[0]
    assert path.read_text() == "r2\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


async def test_a_refresh_token_that_somebody_else_writes_counts_more(provider: Provider, tmp_path: Path) -> None:
    path = written(tmp_path / "refresh.secret", "r1")
    provider.answers = [{"access_token": "a1", "refresh_token": "r2", "expires_in": 0}]
    tokens = fetched(provider, path)
    await tokens.token()
    written(path, "signed in again")

    await tokens.token()

    assert provider.asked[1]["refresh_token"] == "signed in again"


async def test_a_refresh_token_that_cannot_be_written_is_kept_told_and_written_later(
    provider: Provider, tmp_path: Path
) -> None:
    path = written(tmp_path / "refresh.secret", "r1")
    provider.answers = [{"access_token": "a1", "refresh_token": "r2", "expires_in": 0}, {"access_token": "a2"}]
    told: list[str] = []
    away = tmp_path.with_name(f"{tmp_path.name}-away")

    async def move() -> None:
        tmp_path.rename(away)

    provider.does = move
    tokens = fetched(provider, path, unsaved=told.append)
    assert await tokens.token() == "a1"
    away.rename(tmp_path)
    provider.does = None

    assert await tokens.token() == "a2"
    assert provider.asked[1]["refresh_token"] == "r2"
    assert [f"{path} cannot be written" in words for words in told] == [True]
    assert path.read_text() == "r2\n"


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (
            400,
            {"error": "invalid_grant"},
            r"invalid_grant; sign in again and write the new refresh token into .*secret",
        ),
        (400, {"error": "invalid_scope"}, r"invalid_scope; check \[relay\] scope"),
        (400, {"error": ["odd"]}, "answered 400"),
        (503, {}, "answered 503"),
        (302, {"access_token": "a1"}, "answered 302"),
        (200, {}, r"without an access_token; check \[relay\] token_url"),
        (200, {"access_token": "a\r\nb"}, "without an access_token"),
        (200, {"access_token": 1}, "without an access_token"),
        (200, ["access_token"], "without an access_token"),
        (200, {"access_token": "a" * 100_000}, "the answer is too long"),
    ],
)
async def test_what_keeps_us_from_a_token_is_told_with_its_remedy(
    provider: Provider, tmp_path: Path, status: int, answer: Any, said: str
) -> None:
    path = written(tmp_path / "refresh.secret", "correct horse")
    provider.status, provider.answers = status, [answer]

    with pytest.raises(TokenError, match=said) as caught:
        await fetched(provider, path).token()

    assert "correct horse" not in str(caught.value)
    assert str(caught.value).isprintable()


async def test_a_provider_that_is_silent_or_not_there_keeps_nobody_waiting(provider: Provider) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    provider.does = hang
    with pytest.raises(TokenError, match=r"did not answer within 0\.2 s"):
        await fetched(provider, seconds=0.2).token()
    with pytest.raises(TokenError, match="cannot be reached"):
        await fetched(provider, token_url="http://127.0.0.1:1/token").token()


def test_secrets_leave_over_https_only(provider: Provider) -> None:
    with pytest.raises(ValueError, match="https"):
        fetched(provider, token_url="http://login.example.com/token")
