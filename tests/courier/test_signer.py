"""What is signed, what verifies, and what DNS must say: judged by dkimpy's verifier."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
from collections.abc import Callable
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from relays import Hop, Make, Start
from test_mail import PARCEL, send

from gateway.config.secret import SecretError
from gateway.config.signing import SigningKey, read_key
from gateway.core.work import Accepted
from gateway.courier.signer import Signer, wire_form

MAIL = (
    b'From: "+1 202-555-0143" <12025550143@sms.example.com>\r\nTo: desk@example.com\r\nSubject: Re: RO 1042\r\n'
    b"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@sms.example.com>\r\nReply-To: r-a@sms.example.com\r\n"
    b"In-Reply-To: <0@example.com>\r\nReferences: <0@example.com>\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nX-Job: 1042\r\n\r\n"
    b"It is ready.\r\n.\r\n \xc3\xa9 \r\n"
)


def key_of(path: Path, key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> SigningKey:
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    return read_key(path)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return key_of(tmp_path_factory.mktemp("keys") / "dkim.pem", rsa.generate_private_key(65537, 2048))


@pytest.fixture(scope="module")
def signer(key: SigningKey) -> Signer:
    return Signer(domain="sms.example.com", selector="gw1", key=key)


def zone(signer: Signer) -> Callable[..., bytes | None]:
    name, text = signer.record()
    return lambda asked, **_: text.encode() if asked == f"{name}.".encode() else None


def test_a_signed_mail_verifies_with_the_record_that_dns_must_hold(signer: Signer) -> None:
    signed = signer.signed(MAIL)

    assert signed.endswith(MAIL)
    assert signer.record()[0] == "gw1._domainkey.sms.example.com"
    assert dkim.verify(signed, dnsfunc=zone(signer))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"From:", b"From: a@evil.example\r\nFrom:"),
        (b"Subject: Re", b"Subject: Fw"),
        (b"desk@", b"disk@"),
        (b"Reply-To: r-a", b"Reply-To: r-b"),
        (b"text/plain", b"text/html"),
        (b"is ready", b"is late"),
    ],
    ids=["another From", "Subject", "To", "Reply-To", "Content-Type", "words"],
)
def test_no_field_that_people_see_can_be_changed(signer: Signer, old: bytes, new: bytes) -> None:
    head, mail = signer.signed(MAIL).split(b"\r\nFrom:", 1)

    changed = head + b"\r\n" + (b"From:" + mail).replace(old, new, 1)

    assert not dkim.verify(changed, dnsfunc=zone(signer))


def test_spaces_that_a_relay_changes_do_no_harm(signer: Signer) -> None:
    changed = signer.signed(MAIL).replace(b"Re: RO 1042", b"Re:  RO\r\n\t1042").replace(b"X-Job: 1042\r\n", b"")

    assert dkim.verify(changed, dnsfunc=zone(signer))


def test_a_domain_above_signs_for_those_below(key: SigningKey) -> None:
    above = Signer(domain="example.com", selector="gw1", key=key)

    assert dkim.verify(above.signed(MAIL), dnsfunc=zone(above))


@pytest.mark.parametrize(
    "mail",
    [
        pytest.param(MAIL.replace(b"@sms.example.com>", b"@example.com>", 1), id="a domain above"),
        pytest.param(MAIL.replace(b"@sms.example.com>", b"@evilsms.example.com>", 1), id="a name that ends alike"),
        pytest.param(MAIL.replace(b"From:", b"Sender:", 1), id="no From"),
        pytest.param(b"From: a@sms.example.com\r\n" + MAIL, id="two"),
        pytest.param(b"no header at all\r\n", id="no mail"),
        pytest.param(b" leading\r\n\r\n", id="no field"),
        pytest.param(b"\r\n", id="nothing"),
    ],
)
def test_mail_of_others_goes_unsigned(signer: Signer, mail: bytes) -> None:
    assert signer.signed(mail) == mail


@given(st.binary(max_size=300))
def test_whatever_the_bytes_they_are_kept(signer: Signer, data: bytes) -> None:
    for mail in (data, b"From: a@sms.example.com\r\n" + data, b"From: a@sms.example.com\r\n\r\n" + data):
        assert signer.signed(mail).endswith(mail)


def test_an_ed25519_key_signs_too_or_says_what_it_needs(tmp_path: Path) -> None:
    made = ed25519.Ed25519PrivateKey.generate()
    public = made.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    if importlib.util.find_spec("nacl") is None:
        with pytest.raises(SecretError, match=r"dkim\.pem is an ed25519 key, which needs the package pynacl"):
            key_of(tmp_path / "dkim.pem", made)
        return
    signer = Signer(domain="sms.example.com", selector="gw1", key=key_of(tmp_path / "dkim.pem", made))

    assert signer.record()[1] == f"v=DKIM1; k=ed25519; p={base64.b64encode(public).decode()}"
    assert dkim.verify(signer.signed(MAIL), dnsfunc=zone(signer))


async def test_a_mail_is_signed_in_the_form_in_which_it_goes_over_the_wire(
    hop: Start, courier: Make, signer: Signer
) -> None:
    relay: Hop = await hop()
    mail = b"From: a@sms.example.com\nSubject: x\n\n.\nYour car is ready\n..\nno end"

    parcel = PARCEL.__class__(mail_from=PARCEL.mail_from, rcpt_to=PARCEL.rcpt_to, data=mail)
    assert isinstance(await send(courier(relay.port, signer=signer), parcel), Accepted)

    arrived = relay.mails[0].content
    assert isinstance(arrived, bytes)
    assert arrived.count(b"DKIM-Signature:") == 1
    assert dkim.verify(arrived, dnsfunc=zone(signer))


async def test_a_large_mail_does_not_hold_up_the_loop(signer: Signer) -> None:
    large = MAIL + b"\r\n".join([b"x" * 70] * 40_000) + b"\r\n"
    turns = 0
    signing = asyncio.create_task(wire_form(large, signer))

    while not signing.done():
        turns += 1
        await asyncio.sleep(0)

    assert dkim.verify(await signing, dnsfunc=zone(signer))
    assert turns > 2
