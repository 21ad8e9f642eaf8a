"""The key that signs outgoing mail: read from a PEM file, and judged before the daemon starts."""

from __future__ import annotations

import base64
import binascii
import importlib
import re
from dataclasses import dataclass, field
from pathlib import Path

from gateway.config.secret import SecretError, guarded

LEAST_BITS = 1024  # RFC 8301 3.2: verifiers refuse less
GOOD_BITS = 2048
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\n(.*?)\n-----END \1-----", re.DOTALL)
_ED25519 = bytes.fromhex("06032b6570")  # the object identifier of RFC 8410
_SEED = re.compile(rb"\x04\x22\x04\x20(.{32})", re.DOTALL)
_RSA = bytes.fromhex("300d06092a864886f70d0101010500")  # AlgorithmIdentifier rsaEncryption, RFC 3279 2.3.1
_MAKE = "make one with: openssl genrsa -out"


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    kind: str  # rsa | ed25519
    bits: int
    private: bytes = field(repr=False)  # as dkimpy takes it: PEM, or the seed in base64
    public: bytes  # as DNS shows it: SubjectPublicKeyInfo, or the 32 bytes of RFC 8463 4.2

    @property
    def algorithm(self) -> str:
        """The a= of a signature."""
        return f"{self.kind}-sha256"


def read_key(path: Path) -> SigningKey:
    """The private key in `path`: RSA of 1024 bits or more, or ed25519, as PEM without a password.

    Raises SecretError, as for any secret; args are what is wrong and the remedy.
    """
    raw = guarded(path, "write the key into it").replace(b"\r\n", b"\n")
    found = _PEM.search(raw)
    if found is None:
        raise SecretError(f"{path} holds no key in PEM", f"{_MAKE} {path} 2048")
    if b"ENCRYPTED" in found[1] or b"ENCRYPTED" in found[2]:
        raise SecretError(f"{path} has a password", f"take it away: openssl pkey -in {path} -out new.pem")
    try:
        der = base64.b64decode(b"".join(found[2].split()), validate=True)
    except binascii.Error:
        raise SecretError(f"{path} is damaged", f"{_MAKE} {path} 2048") from None
    return _ed25519(path, der) if _ED25519 in der[:20] else _rsa(path, found[0])


def _ed25519(path: Path, der: bytes) -> SigningKey:
    seed = _SEED.search(der)
    if seed is None:
        raise SecretError(f"{path} is damaged", f"make one with: openssl genpkey -algorithm ed25519 -out {path}")
    try:
        # dkimpy leaves this package to those who need it, and so do we.
        nacl = importlib.import_module("nacl.signing")
    except ModuleNotFoundError:
        text = f"{path} is an ed25519 key, which needs the package pynacl"
        raise SecretError(text, f"pip install pynacl, or an RSA key: {_MAKE} {path} 2048") from None
    public = bytes(nacl.SigningKey(seed[1]).verify_key)
    return SigningKey(kind="ed25519", bits=256, private=base64.b64encode(seed[1]), public=public)


def _rsa(path: Path, pem: bytes) -> SigningKey:
    from dkim.crypto import UnparsableKeyError, parse_pem_private_key  # type: ignore[import-untyped]  # it has no types

    try:
        key = parse_pem_private_key(pem)
    # What is no RSA key breaks dkimpy's parser in several ways.
    except (UnparsableKeyError, ValueError, TypeError, IndexError, KeyError):
        raise SecretError(f"{path} is neither an RSA nor an ed25519 private key", f"{_MAKE} {path} 2048") from None
    modulus, exponent = key["modulus"], key["publicExponent"]
    if key["prime1"] * key["prime2"] != modulus:
        raise SecretError(f"{path} is damaged", f"{_MAKE} {path} 2048")
    if modulus.bit_length() < LEAST_BITS:
        text = f"{path} is an RSA key of {modulus.bit_length()} bits, and mail servers refuse less than {LEAST_BITS}"
        raise SecretError(text, f"{_MAKE} {path} 2048")
    public = _der(0x30, _RSA + _der(0x03, b"\0" + _der(0x30, _integer(modulus) + _integer(exponent))))
    return SigningKey(kind="rsa", bits=modulus.bit_length(), private=pem, public=public)


def _der(tag: int, inner: bytes) -> bytes:
    size = len(inner).to_bytes((len(inner).bit_length() + 7) // 8 or 1, "big")
    return bytes([tag]) + (size if len(inner) < 128 else bytes([0x80 | len(size)]) + size) + inner


def _integer(number: int) -> bytes:
    return _der(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))
