"""How receivers see our mail, and whether what they send back can reach us: the word of DNS and of the relay.

How it fails: a question that DNS does not answer is a warning; a relay that cannot be reached is `unreachable`.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Sequence
from datetime import date
from ipaddress import ip_address

from gateway.cli.live_spf import Spf, SpfError, judged
from gateway.config import Config
from gateway.core import proof
from gateway.core.address import mail_domain
from gateway.courier.internet import is_public
from gateway.courier.relay import Relay, RelayError, Timeouts
from gateway.courier.signer import Signer
from gateway.courier.twilio_finding import UNREACHABLE, Finding
from gateway.courier.wire import WIRE_FAULTS
from gateway.mx import Names, Unanswered, in_use

_SECONDS = 15.0  # for each step with the relay
# The address of a root name server: nothing is sent there, the system only names the way.
_FAR = ((socket.AF_INET, "198.41.0.4"), (socket.AF_INET6, "2001:503:ba3e::2:30"))
_NOT_BACK = "bounces to b- and answers to r- cannot reach us"


async def mail(config: Config, _fix: bool) -> list[Finding]:
    """What speaks for and against our mail; nothing of it can be set from here."""
    return await look(config, Names(config.dns_servers, seconds=5.0), outgoing())


def outgoing() -> list[str]:
    """The addresses from which this machine speaks to the internet, IPv4 first; [] = it has no way there."""
    found = []
    for family, far in _FAR:
        with socket.socket(family, socket.SOCK_DGRAM) as asking:
            try:
                asking.connect((far, 53))
            except OSError:
                continue
            found.append(str(asking.getsockname()[0]))
    return found


async def look(config: Config, names: Names, own: Sequence[str]) -> list[Finding]:
    """Every finding; `own` are this machine's addresses as `outgoing` names them."""
    sender = mail_domain(config.rules.relay_sender) or config.rules.domain  # of From and of the envelope
    exchanges, spf, dkim, pointer, relay = await asyncio.gather(
        _told("mx", _exchanges(config, names, own)),
        _told("spf", _spf(config, names, sender, own)),
        _told("dkim", _dkim(config, names, sender)),
        _told("ptr", _pointer(config, names, own)),
        _relay(config),
    )
    passing = any(f.level == "ok" for f in spf) or _strictly_signed(config, sender, dkim)
    dmarc = await _told("dmarc", _dmarc(names, sender, passing=passing))
    return [*exchanges, *spf, *dkim, *dmarc, *pointer, *relay, *_bounces(config)]


async def _told(what: str, question: Awaitable[list[Finding]]) -> list[Finding]:
    try:
        return await question
    except Unanswered as error:
        text = f"{what.upper()} could not be looked up: {error}"
        return [_finding("warning", what, text, "name a server in [dns] servers, or check again later")]


def _finding(level: str, what: str, text: str, remedy: str = "") -> Finding:
    return Finding(number="", level=level, what=what, text=text, remedy=remedy)


async def _exchanges(config: Config, names: Names, own: Sequence[str]) -> list[Finding]:
    """Whether there is a way back to our domain, and where it leads."""
    domain = config.rules.domain
    today = date.today()  # noqa: DTZ011 - the admin's own calendar
    needed = "error" if config.smtp.listen_public or in_use(config.rules, today) else "warning"
    remedy = (
        f"publish an MX record of {domain} that leads to [smtp] listen_public, or to a host that hands mail in there"
    )
    hosts = await names.exchanges(domain)
    if isinstance(hosts, str):
        return [_finding(needed, "mx", f"{domain}: {hosts}: {_NOT_BACK}", remedy)]
    found = [(host, await names.addresses(host)) for host in hosts or [domain]]
    if not any(addresses for _, addresses in found):
        which = f"the MX of {domain} ({', '.join(hosts)}) has no address" if hosts else f"{domain} has no MX"
        return [_finding(needed, "mx", f"{which}: {_NOT_BACK}", remedy)]
    ways = ", ".join(f"{host} ({_whose(addresses, config, own)})" for host, addresses in found)
    if not hosts:
        text = f"{domain} has no MX: mail for it goes to its address, {ways}"
        return [_finding("warning", "mx", text, remedy)]
    return [_finding("ok", "mx", f"mail for {domain} goes to {ways}")]


def _whose(addresses: Sequence[str], config: Config, own: Sequence[str]) -> str:
    if not addresses:
        return "no address"
    listening = {listener.host for listener in config.smtp.listen_public}
    if any(address in listening or address in own for address in addresses):
        return f"{addresses[0]}, this machine"
    if any(ip_address(address) in network for address in addresses for network in config.smtp.upstream):
        return f"{addresses[0]}, the upstream of [smtp]"
    return f"{addresses[0]}, which must hand it in here"


async def _spf(config: Config, names: Names, domain: str, own: Sequence[str]) -> list[Finding]:
    """Whether the domain of our envelope senders says who may send for it."""
    address = next(filter(is_public, own), "") if config.relay.direct else ""
    try:
        spf = await judged(domain, names, address)
    except SpfError as error:
        text = f"{error}: receivers take all mail from {domain} as if it came from anybody (permerror)"
        return [_finding("error", "spf", text, "mend the TXT record that begins with v=spf1")]
    if not spf.record:
        level = "error" if config.relay.direct else "warning"
        wanted = f"v=spf1 ip4:{address or 'ADDRESS'} -all" if config.relay.direct else "v=spf1 include:... -all"
        text = f"{domain} has no SPF record: carriers refuse such mail, or take it for spam"
        return [_finding(level, "spf", text, f'publish the TXT record {domain}: "{wanted}"{_provider(config)}')]
    if spf.everybody:
        text = f"the SPF record of {domain} lets everybody send for it (+all), and so proves nothing"
        return [_finding("warning", "spf", text, "end it with -all or ~all")]
    return [_covered(config, domain, spf, address)]


def _provider(config: Config) -> str:
    return "" if config.relay.direct else f", with what the provider of {config.relay.host} says"


def _covered(config: Config, domain: str, spf: Spf, address: str) -> Finding:
    if not config.relay.direct:
        text = f"{domain} has an SPF record; whether it names the hosts of {config.relay.host} is not judged"
        return _finding("ok", "spf", text, f"compare it{_provider(config)}: {spf.record}")
    if not address:
        text = f"{domain} has an SPF record; this machine's address on the internet is not known, so it is not judged"
        return _finding("warning", "spf", text, f"see that it names that address: {spf.record}")
    if spf.covers is None:
        text = f"{domain} has an SPF record; whether it names {address} is not judged"
        return _finding("warning", "spf", text, f"see for yourself: {spf.record}")
    if spf.covers:
        return _finding("ok", "spf", f"the SPF record of {domain} names {address}")
    text = f"the SPF record of {domain} does not name {address}, from which this machine sends"
    return _finding("error", "spf", text, f"add ip4:{address} to it" if ":" not in address else f"add ip6:{address}")


async def _dkim(config: Config, names: Names, sender: str) -> list[Finding]:
    """Whether our mail is signed, for whom, and whether receivers find the key."""
    dkim = config.dkim
    if dkim is None or dkim.key is None:
        by = "nothing signs our mail" if config.relay.direct else f"only {config.relay.host} can sign our mail"
        remedy = "make a key (openssl genrsa -out dkim.pem 2048) and name it in [dkim]"
        if not config.relay.direct:
            remedy = f"let its provider sign for {sender}, or {remedy}"
        return [_finding("warning", "dkim", f"there is no [dkim]: {by}", remedy)]
    if not proof.aligned(dkim.domain, sender):
        text = f"the From of our mail is at {sender}, for which [dkim] {dkim.domain} may not sign: it goes unsigned"
        remedy = f'let the relay sign for {sender}, or write sender = "per_delivery" in [relay]'
        return [_finding("warning", "dkim", text, remedy)]
    name, wanted = Signer(domain=dkim.domain, selector=dkim.selector, key=dkim.key).record()
    records = await names.texts(name)
    # A name may hold one record only (RFC 6376 3.6.2.2), but some keep notes beside the key.
    record = next((text for text in records if text.startswith("v=DKIM1")), records[0] if records else "")
    if record and _tags(record).get("p") == _tags(wanted)["p"]:
        return [_finding("ok", "dkim", f"our mail is signed for {dkim.domain}, and the key at {name} is ours")]
    what = "holds another key" if record else "holds no key"
    text = f"{name} {what}: no signature of ours is valid"
    return [_finding("error", "dkim", text, f'publish the TXT record {name}: "{wanted}"')]


def _tags(record: str) -> dict[str, str]:
    """The tags of a DKIM or DMARC record, names in lower case, without white space (RFC 6376 3.2)."""
    pairs = (part.partition("=") for part in record.split(";"))
    return {name.strip().lower(): "".join(value.split()) for name, _, value in pairs}


def _strictly_signed(config: Config, sender: str, dkim: Sequence[Finding]) -> bool:
    """Whether our own signature counts for every receiver, also where the policy wants the very domain (adkim=s)."""
    return config.dkim is not None and config.dkim.domain == sender and any(f.level == "ok" for f in dkim)


async def _dmarc(names: Names, sender: str, *, passing: bool) -> list[Finding]:
    """What receivers are told to do with mail of ours that nothing proves."""
    labels = sender.split(".")
    for above in range(len(labels) - 1):
        domain = ".".join(labels[above:])
        found = [text for text in await names.texts(f"_dmarc.{domain}") if text.startswith("v=DMARC1")]
        if not found:
            continue
        tags = _tags(found[0])
        policy = ((tags.get("sp") if above else None) or tags.get("p", "none")).lower()
        text = f"{domain} has a DMARC record (p={policy})"
        if policy in ("reject", "quarantine") and not passing:
            text = f"{text}, and neither SPF nor DKIM is known to pass: receivers are told to {policy} our mail"
            return [_finding("warning", "dmarc", text, "set SPF or DKIM right, or soften the policy until they are")]
        return [_finding("ok", "dmarc", text)]
    text = f"{sender} has no DMARC record: some receivers want one"
    return [_finding("warning", "dmarc", text, f'publish the TXT record _dmarc.{sender}: "v=DMARC1; p=none"')]


async def _pointer(config: Config, names: Names, own: Sequence[str]) -> list[Finding]:
    """Whether this machine's address has a name that leads back to it; asked where it speaks to the carriers itself."""
    if not config.relay.direct:
        return []
    address = next(filter(is_public, own), "")
    if not address:
        text = "this machine has no address of the internet of its own: its name (PTR) is not judged"
        return [
            _finding("warning", "ptr", text, "see that the address by which it goes out has a name that leads back")
        ]
    remedy = f"let whoever gave you {address} name it {config.rules.domain} (PTR), and let that name lead back to it"
    found = await names.pointers(address)
    if not found:
        return [_finding("error", "ptr", f"{address} has no name (PTR): carriers refuse its mail", remedy)]
    for name in found:
        if any(ip_address(one) == ip_address(address) for one in await names.addresses(name)):
            return [_finding("ok", "ptr", f"{address} is named {name}, which leads back to it")]
    text = f"{address} is named {found[0]}, which does not lead back to it: carriers refuse its mail"
    return [_finding("error", "ptr", text, remedy)]


async def _relay(config: Config) -> list[Finding]:
    """Whether the relay takes mail from us.  No mail is sent: the dialog ends before a recipient is named."""
    from gateway.outward import tokens

    if config.relay.direct:
        return []
    settings = config.relay
    relay = Relay(
        host=settings.host,
        port=settings.port,
        tls=settings.tls,
        username=settings.username,
        password=settings.password.reveal() if settings.password else "",
        tokens=tokens(config),
        local_hostname=config.rules.domain,
        timeouts=Timeouts(connect=_SECONDS, command=_SECONDS),
        ssl_context=None,
    )
    sender = config.rules.relay_sender or f"postmaster@{config.rules.domain}"
    try:
        code, said, encrypted = await _greeted(relay, sender)
    except RelayError as error:
        return [_unusable(error)]
    except WIRE_FAULTS as error:
        return [_finding("error", UNREACHABLE, f"{settings.host} was lost at MAIL: {error}", "check again later")]
    where = f"{settings.host}:{settings.port}"
    if code // 100 != 2:
        remedy = "see [relay] sender: it may take one sender only"
        return [_finding("error", "relay", f"{where} takes no mail from {sender}: {code} {said}", remedy)]
    login = ", after a login" if settings.username else ""
    return [_finding("ok", "relay", f"{where} takes mail from {sender}{', encrypted' if encrypted else ''}{login}")]


async def _greeted(relay: Relay, sender: str) -> tuple[int, str, bool]:
    """The relay's answer to MAIL, and whether it came encrypted.  Raises RelayError and WIRE_FAULTS."""
    link = await relay.take()
    encrypted = link.client.get_transport_info("sslcontext") is not None
    wire = link.wire
    try:
        reply = await wire.ask(f"MAIL FROM:<{sender}>\r\n".encode(), _SECONDS)
        await wire.ask(b"RSET\r\n", _SECONDS)
    finally:
        link.part()
    return reply.code, " ".join(reply.message.split()), encrypted


def _unusable(error: RelayError) -> Finding:
    """A relay that is away may come back; one that we must not use, or that does not want us, will not by itself."""
    reason: BaseException | None = error
    while reason is not None and not isinstance(reason, ssl.SSLError):
        reason = reason.__cause__ or reason.__context__
    if reason is None and (error.code // 100 == 4 or "cannot be reached" in str(error)):
        return _finding("error", UNREACHABLE, str(error), "see [relay] host and port, and that the relay runs")
    return _finding("error", "relay", str(error), "see [relay] tls and the keys of the login")


def _bounces(config: Config) -> list[Finding]:
    """With one sender for all mail, what comes back comes to that mailbox."""
    sender = config.rules.relay_sender
    if not sender:
        return []
    text = f"bounces of our mail go to {sender}: this gateway hears of none, and sends such a text no other way"
    remedy = 'write sender = "per_delivery" in [relay] where the relay takes it; else let somebody read that mailbox'
    return [_finding("warning", "bounce", text, remedy)]
