"""The forms of single values: durations, sizes, listeners, names.  Wrong ones are told in the shop's words."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface, ip_network
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import phonenumbers
from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

from gateway.config.values import Listener
from gateway.core import address as addresses

_DURATION = re.compile(r"(\d{1,9}) ?(s|min|h|d)")
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_SIZE = re.compile(r"(\d{1,9}) ?(KB|MB|GB)")
_BYTES = {"KB": 1024, "MB": 1024**2, "GB": 1024**3}
_HOST_PORT = re.compile(r"\[([0-9A-Fa-f:.]+)\]:(\d{1,5})|([A-Za-z0-9.]+):(\d{1,5})")
_HOURS = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d")
_SENDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_AUTHSERV = re.compile(r"[a-z0-9][a-z0-9._-]{0,252}")
NAMING = "begin with a small letter, go on with small letters, digits, . and _; postmaster and the like are reserved"


def wrong(text: str, remedy: str = "") -> PydanticCustomError:
    """An error whose words are ours: `text` follows the name of the key."""
    return PydanticCustomError("said", "{text}", {"text": text, "remedy": remedy})


def words(value: object) -> str:
    """The value, if it is text; raises the error otherwise."""
    if not isinstance(value, str):
        raise wrong("must be text in quotes")
    return value


def duration(value: object) -> timedelta:
    """ "90 s", "15 min", "24 h" or "14 d"."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise wrong("must be a duration", 'write it like "90 s", "15 min", "24 h" or "14 d"')
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


def size(value: object) -> int:
    """Bytes of "500 KB", "10 MB" or "1 GB"; 1 KB is 1024 bytes."""
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if not found:
        raise wrong("must be a size", 'write it like "500 KB", "10 MB" or "1 GB"')
    return int(found[1]) * _BYTES[found[2]]


def span(least: str, most: str) -> PlainValidator:
    """A duration within bounds."""
    low, high = duration(least), duration(most)

    def within(value: object) -> timedelta:
        found = duration(value)
        if not low <= found <= high:
            raise wrong(f'must be from "{least}" to "{most}"')
        return found

    return PlainValidator(within)


def room(least: str, most: str) -> PlainValidator:
    """A size within bounds."""
    low, high = size(least), size(most)

    def within(value: object) -> int:
        found = size(value)
        if not low <= found <= high:
            raise wrong(f'must be from "{least}" to "{most}"')
        return found

    return PlainValidator(within)


def _listener(value: object) -> Listener:
    found = _HOST_PORT.fullmatch(words(value))
    remedy = 'write address and port: "127.0.0.1:2525", "[::1]:2525", or "0.0.0.0:25" for every address'
    if not found:
        raise wrong("must be an address and a port", remedy)
    host, port = found[1] or found[3], int(found[2] or found[4])
    if not _is_ip(host) and host != "localhost":
        raise wrong("must begin with an IP address of this machine", remedy)
    if port > 65_535:
        raise wrong("must end with a port from 0 to 65535", remedy)
    return Listener(host, port)


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def loopback(host: str) -> bool:
    """Whether `host` is this machine itself."""
    return host == "localhost" or (_is_ip(host) and ip_address(host).is_loopback)


def _listener_or_off(value: object) -> Listener | None:
    return None if value == "" else _listener(value)


def _ip(value: object) -> str:
    if not _is_ip(words(value)):
        raise wrong("must be an IP address", 'write it like "192.0.2.53"')
    return str(value)


def _network(value: object) -> IPv4Network | IPv6Network:
    text = words(value)
    try:
        near = ip_interface(text)
    except ValueError:
        remedy = 'write it like "192.168.1.0/24", or one address: "192.168.1.20"'
        raise wrong("must be an IP network", remedy) from None
    try:
        return ip_network(text)
    except ValueError:
        remedy = f'write "{near.network}" for the network, or "{near.ip}" for the one machine'
        raise wrong("has bits set behind the slash", remedy) from None


def _domain(value: object) -> str:
    domain = words(value).lower()
    if "." not in domain or not addresses.legal_domain(domain):
        raise wrong("must be a mail domain", 'write it like "sms.example.com", without @ and without a dot at the end')
    return domain


def _host(value: object) -> str:
    host = words(value).strip("[]").lower()
    if not _is_ip(host) and (not host or not addresses.legal_domain(host)):
        raise wrong(
            "must be a host name or an IP address", 'write it like "smtp.example.com"; the port has its own key'
        )
    return host


def _media_host(value: object) -> str:
    host = words(value).lower()
    if _is_ip(host) or "." not in host or not addresses.legal_domain(host):
        raise wrong("must be the name of a host", 'write it like "twiliocdn.com"; its subdomains are included')
    return host


def _authserv(value: object) -> str:
    name = words(value).lower()
    if name and not _AUTHSERV.fullmatch(name):
        remedy = 'write what stands first in the Authentication-Results of your mail server, like "mx.example.com"'
        raise wrong("must be one name without spaces", remedy)
    return name


def mailbox(text: str) -> str | None:
    """The mail address with its domain in lower case; None when it is none."""
    parts = addresses.split(text)
    if parts is None or not addresses.dotted(parts[0]) or "." not in parts[1]:
        return None
    return f"{parts[0]}@{parts[1]}"


def _mailbox(value: object) -> str:
    found = mailbox(words(value))
    if found is None:
        raise wrong("must be a mail address", 'write it like "office@example.com", without a name and without <>')
    return found


def _mailbox_or_none(value: object) -> str:
    return "" if value == "" else _mailbox(value)


def _relay_sender(value: object) -> str:
    return "" if value == "per_delivery" else _mailbox(value)


def _pattern(value: object) -> str:
    text = words(value)
    if not text or not text.isprintable() or " " in text:
        raise wrong("must be a mail address in which * stands for anything", 'write it like "*@example.com" or "*"')
    return text.lower()


def _selector(value: object) -> str:
    selector = words(value).lower()
    if not addresses.legal_domain(selector) or len(selector) > 63:
        raise wrong("must be a name for DNS", 'write it like "gw1": letters, digits and hyphens')
    return selector


def _country(value: object) -> str:
    text = words(value)
    if text in phonenumbers.SUPPORTED_REGIONS:
        return text
    near = text.upper() if text.upper() in phonenumbers.SUPPORTED_REGIONS else "US"
    raise wrong("must be a country of two capital letters", f'write it like "{near}" (ISO 3166)')


def _zone(value: object) -> ZoneInfo:
    text = words(value)
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = get_close_matches(text, available_timezones(), n=1)
        remedy = f'did you mean "{near[0]}"?' if near else 'write it like "America/New_York"'
        raise wrong("is not the name of a time zone", remedy) from None


def _legal(check: Callable[[str], bool], remedy: str) -> PlainValidator:
    def form(value: object) -> str:
        if not check(words(value)):
            raise wrong("is not a possible name", remedy)
        return str(value)

    return PlainValidator(form)


def _url(value: object) -> str:
    text = words(value)
    parts = urlsplit(text) if text.isascii() and text.isprintable() and " " not in text else urlsplit("")
    remedy = 'write it like "https://sms.example.com"; http only for this machine itself'
    try:
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if parts.scheme not in ("https", "http") or not host or parts.query or parts.fragment or "@" in parts.netloc:
        raise wrong("must be a web address", remedy)
    if parts.scheme == "http" and not loopback(host):
        raise wrong("must begin with https://", remedy)
    return text.rstrip("/")


def _url_or_none(value: object) -> str:
    return "" if value == "" else _url(value)


def _hours(value: object) -> str:
    text = words(value)
    begin, _, end = text.partition("-")
    if text and (not _HOURS.fullmatch(text) or begin == end):
        raise wrong("must be two different times of day", 'write it like "20:00-08:00", or "" for none')
    return text


def _database(value: object) -> str:
    text = words(value)
    if text.startswith(("postgresql:", "postgres:")):
        raise wrong("names PostgreSQL, which is not supported yet", 'write "sqlite:gateway.db"')
    if not text.startswith("sqlite:") or not text.removeprefix("sqlite:").strip("/"):
        raise wrong("must begin with sqlite: and name a file", 'write "sqlite:gateway.db"; it is looked for in state')
    return text.removeprefix("sqlite:")


Listen = Annotated[Listener, PlainValidator(_listener)]
ListenOrOff = Annotated[Listener | None, PlainValidator(_listener_or_off)]
Ip = Annotated[str, PlainValidator(_ip)]
Network = Annotated[IPv4Network | IPv6Network, PlainValidator(_network)]
Domain = Annotated[str, PlainValidator(_domain)]
Host = Annotated[str, PlainValidator(_host)]
MediaHost = Annotated[str, PlainValidator(_media_host)]
Authserv = Annotated[str, PlainValidator(_authserv)]
Mailbox = Annotated[str, PlainValidator(_mailbox)]
MailboxOrNone = Annotated[str, PlainValidator(_mailbox_or_none)]
Selector = Annotated[str, PlainValidator(_selector)]
RelaySender = Annotated[str, PlainValidator(_relay_sender)]
Pattern = Annotated[str, PlainValidator(_pattern)]
Country = Annotated[str, PlainValidator(_country)]
Zone = Annotated[ZoneInfo, PlainValidator(_zone)]
Name = Annotated[
    str,
    _legal(addresses.legal_name, NAMING),
]
SenderName = Annotated[str, _legal(lambda text: _SENDER.fullmatch(text) is not None, "use letters, digits, . _ and -")]
Url = Annotated[str, PlainValidator(_url)]
UrlOrNone = Annotated[str, PlainValidator(_url_or_none)]
Hours = Annotated[str, PlainValidator(_hours)]
Database = Annotated[str, PlainValidator(_database)]
