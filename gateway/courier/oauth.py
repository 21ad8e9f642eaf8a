"""The login to a relay: by password, or by an access token where its provider takes none (RFC 6749, XOAUTH2).

How it fails: what keeps us from a token is a TokenError with its remedy; no word of it holds a token or a secret.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import aiohttp
from aiosmtplib import SMTP, SMTPAuthenticationError, SMTPHeloError

from gateway.config import unit
from gateway.config.secret import Secret, SecretError, from_file

_EARLY = 60.0  # seconds before its end at which a token is not used any more
_LIFE = 3600.0  # of a token whose provider does not say
_MOST_BYTES = 64 * 1024  # of the provider's answer
_SECONDS = 20.0  # for one fetch
_REMEDIES = {  # RFC 6749 5.2
    "invalid_client": "check [relay] client_id and client_secret; the secret may have run out",
    "unauthorized_client": "allow this grant to the application at the provider",
    "invalid_scope": "check [relay] scope",
}


class LoginError(Exception):
    """The relay cannot be logged in to.  The text goes on after its name, tells why, and is one printable line."""

    def __init__(self, text: str, code: int = 0, reply: str = "") -> None:
        super().__init__(line(text))
        self.code = code
        self.reply = reply


class TokenError(LoginError):
    """No token can be had now: `text` tells why and what to do."""

    def __init__(self, text: str) -> None:
        super().__init__(f"is not logged in to, there is no token: {text}")


def line(text: str) -> str:
    """One printable line of bounded length: the relay chooses these words, and people read them."""
    plain = text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
    return " ".join(plain.split())[:400]


class Tokens(Protocol):
    async def token(self, refused: str = "") -> str:
        """A token to log in with; never from a store that still holds `refused`.  Raises TokenError."""
        ...


async def greet(client: SMTP) -> None:
    """Says EHLO, or HELO to those who do not know it; their last answer is what they offer."""
    try:
        await client.ehlo()
    except SMTPHeloError:
        await client.helo()


async def log_in(client: SMTP, username: str, password: str, token: str, *, clear: bool) -> None:
    """Logs in with the token where there is one, else with the password; `clear`: the connection is not encrypted.

    Raises LoginError; SMTPException and OSError where the connection itself fails.
    """
    if clear:
        raise LoginError("does not offer TLS, and the password is not sent without")
    try:
        await (_log_in_by_token(client, username, token) if token else _log_in(client, username, password))
    except SMTPAuthenticationError as refused:
        check = "that the account may send by SMTP, and [relay] username and scope"
        check = check if token else "[relay] username and password"
        text = f"refused the login, check {check}: {refused.code} {refused.message}"
        raise LoginError(text, refused.code, refused.message) from refused


async def _log_in_by_token(client: SMTP, username: str, token: str) -> None:
    if "xoauth2" not in client.server_auth_methods:
        raise LoginError('offers no XOAUTH2, which [relay] auth = "xoauth2" needs')
    await client.auth_xoauth2(username, token)


async def _log_in(client: SMTP, username: str, password: str) -> None:
    offered = client.server_auth_methods
    # one method, one try: a second refusal for the same password may lock the account
    if "plain" in offered:
        await client.auth_plain(username, password)
    elif "login" in offered:
        await client.auth_login(username, password)
    elif "cram-md5" in offered:
        await client.auth_crammd5(username, password)
    else:
        raise LoginError("offers no login with a password (PLAIN, LOGIN, CRAM-MD5)")


class FileTokens:
    """The token in a file that somebody else refreshes: read anew at each login."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def token(self, refused: str = "") -> str:
        """The first line of the file, be it refused or not: what else there is, only its owner knows."""
        return (await _read(self._path)).reveal()


class FetchedTokens:
    """Tokens of a provider: fetched when needed, kept until a minute before their end, one fetch at a time.

    With a refresh token in `refresh_file` that is the grant, else the credentials of the client are.  A provider may
    change the refresh token at each use: the last one counts, and takes the place of the old one in its file.  A file
    that somebody else changed counts more.
    """

    def __init__(
        self,
        *,
        token_url: str,
        client_id: str,
        client_secret: Secret | None,
        refresh_file: Path | None,
        scope: str,
        unsaved: Callable[[str], None],
        seconds: float = _SECONDS,
    ) -> None:
        """`unsaved` is told why a changed refresh token could not be written; it is lost when the daemon ends.

        Raises ValueError when `token_url` would carry secrets in the clear.
        """
        parts = urlsplit(token_url)
        if parts.scheme != "https" and not unit.loopback(parts.hostname or ""):
            raise ValueError("a token must be fetched over https")
        self._url = token_url
        self._form = {"client_id": client_id} | ({"scope": scope} if scope else {})
        self._client_secret = client_secret
        self._file = refresh_file
        self._written = Secret("")  # what the file held when it was last read or written
        self._refresh = Secret("")
        self._unsaved = unsaved
        self._seconds = seconds
        self._token = Secret("")
        self._ends = 0.0  # by the clock of the loop
        self._fetching = asyncio.Lock()

    async def token(self, refused: str = "") -> str:
        """The kept token, or a fetched one when it ends soon or is the refused one.  Raises TokenError."""
        async with self._fetching:
            kept = self._token.reveal()
            if not kept or kept == refused or asyncio.get_running_loop().time() >= self._ends:
                await self._fetch()
            return self._token.reveal()

    async def _fetch(self) -> None:
        form = {**self._form, "grant_type": "client_credentials"}
        if self._client_secret is not None:
            form["client_secret"] = self._client_secret.reveal()
        if self._file is not None:
            form |= {"grant_type": "refresh_token", "refresh_token": await self._refresh_token(self._file)}
        began = asyncio.get_running_loop().time()
        answer = await self._post(form)
        token, life, changed = answer.get("access_token"), answer.get("expires_in"), answer.get("refresh_token")
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
            raise TokenError(f"{self._url} answered without an access_token; check [relay] token_url")
        self._token = Secret(token)
        self._ends = began + _seconds(life) - _EARLY
        if self._file is not None:
            if isinstance(changed, str) and changed:
                self._refresh = Secret(changed)
            await self._save(self._file)

    async def _refresh_token(self, path: Path) -> str:
        found = await _read(path)
        if found != self._written:
            self._written = self._refresh = found
        return self._refresh.reveal()

    async def _save(self, path: Path) -> None:
        """Writes the refresh token where it changed, and again after a time at which that failed."""
        if self._refresh == self._written:
            return
        try:
            await asyncio.to_thread(_replace, path, self._refresh.reveal())
        except OSError as error:
            self._unsaved(f"{path} cannot be written: {error.strerror}; let the daemon own the file and its folder")
            return
        self._written = self._refresh

    async def _post(self, form: Mapping[str, str]) -> Mapping[str, object]:
        """The JSON object of a 200.  Raises TokenError."""
        try:
            limits = aiohttp.ClientTimeout(total=self._seconds)
            async with (
                aiohttp.ClientSession(timeout=limits, cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.post(
                    self._url, data=form, headers={"Accept": "application/json"}, allow_redirects=False
                ) as answer,
            ):
                body = await _body(answer)
        except TimeoutError as late:
            raise TokenError(f"{self._url} did not answer within {self._seconds:g} s") from late
        except (aiohttp.ClientError, OSError) as fault:
            raise TokenError(f"{self._url} cannot be reached: {fault}") from fault
        read = _object(body)
        if answer.status != 200:
            raise TokenError(f"{self._url} answered {answer.status} {_said(read, self._file)}")
        return read


async def _read(path: Path) -> Secret:
    try:
        return await asyncio.to_thread(from_file, path)
    except SecretError as error:
        raise TokenError("; ".join(error.args)) from error


def _replace(path: Path, text: str) -> None:
    """Puts `text` in the place of the file, whole or not at all; mode 600."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes it with mode 600
    new = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in answer.content.iter_chunked(8192):
        body += piece
        if len(body) > _MOST_BYTES:
            raise aiohttp.ClientPayloadError("the answer is too long")
    return bytes(body)


def _object(body: bytes) -> Mapping[str, object]:
    """The JSON object; {} for anything else."""
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def _seconds(life: object) -> float:
    """expires_in; some providers write it as text."""
    text = str(life)
    return float(text) if text.isascii() and text.isdigit() and len(text) < 9 else _LIFE


def _said(answer: Mapping[str, object], refresh_file: Path | None) -> str:
    """The provider's error and the remedy."""
    error, description = answer.get("error"), answer.get("error_description")
    code = error if isinstance(error, str) else ""
    words = f"{code}: {description}" if isinstance(description, str) and description else code
    remedy = _REMEDIES.get(code, "")
    if code == "invalid_grant" and refresh_file is not None:
        remedy = f"sign in again and write the new refresh token into {refresh_file}"
    return "; ".join(filter(None, (words, remedy)))
