"""Which carrier a phone belongs to, by what a network says of it; what brands share cannot tell them apart.

A look-up names the network: a code (MCC-MNC), and a name as number registries write it.  Many brands use another one's
network and bear its code, often its name too.  Where more than one row fits, all are named and none is chosen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.core.carrier import Carrier, CarrierTable

# Codes of networks that carry other brands too.  A code that belongs to one brand stands in the carrier table.
# Source: AOSP carrier list.
_NETWORKS: Mapping[str, str] = {
    "t-mobile": "310-160 310-200 310-210 310-220 310-230 310-240 310-250 310-260 310-310 310-490 310-660 310-800 "
    "311-490 311-882 312-250",
    "att": "310-030 310-070 310-170 310-280 310-380 310-410 310-560 310-680 310-950 311-180 312-670 313-100",
    "verizon": "310-004 310-006 310-012 310-590 310-591 310-592 310-593 310-594 310-595 310-596 310-597 310-598 "
    "310-599 311-270 311-271 311-272 311-273 311-274 311-275 311-276 311-277 311-278 311-279 311-280 311-281 "
    "311-282 311-283 311-284 311-285 311-286 311-287 311-288 311-289 311-480 311-481 311-482 311-483 311-484 311-485",
    "sprint": "310-120 312-530",
    "rogers": "302-720 302-320",
    "bell-ca": "302-610 302-630 302-640 302-690",
    "telus": "302-220 302-221 302-760",
}
_CODES = {code: host for host, codes in _NETWORKS.items() for code in codes.split()}

# The rows of brands that use a network.  Source: carriers.toml, where names and successors say whose SIM it is.
_HOSTED: Mapping[str, tuple[str, ...]] = {
    "t-mobile": (
        "metro", "mint-mobile", "google-fi", "simple-mobile", "ting", "assurance-wireless", "consumer-cellular",
        "republic-wireless", "boost", "tracfone-tmobile", "straight-talk-tmobile",
    ),
    "att": (
        "cricket", "h2o-wireless", "freeup-mobile", "good2go", "red-pocket-att", "consumer-cellular-alt-att", "boost",
        "tracfone-att", "straight-talk-att",
    ),
    "verizon": (
        "xfinity-mobile", "spectrum-mobile", "visible", "page-plus", "greatcall", "tracfone-verizon",
        "straight-talk-verizon",
    ),
    "sprint": ("straight-talk-sprint", "kajeet"),
    "us-cellular": ("tracfone-uscc",),
    "rogers": ("chatr", "tbaytel"),
    "bell-ca": ("virgin-plus", "lucky-mobile", "solo-mobile"),
    "telus": ("koodo", "public-mobile", "pc-mobile"),
}  # fmt: skip

# Words in a name, and the rows that they mean.  Brands stand before the networks that they use.
_BRANDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("METRO PCS", ("metro",)),
    ("METROPCS", ("metro",)),
    ("METRO BY T MOBILE", ("metro",)),
    ("MINT MOBILE", ("mint-mobile",)),
    ("GOOGLE FI", ("google-fi",)),
    ("SIMPLE MOBILE", ("simple-mobile",)),
    ("TING", ("ting",)),
    ("ASSURANCE WIRELESS", ("assurance-wireless",)),
    ("CONSUMER CELLULAR", ("consumer-cellular", "consumer-cellular-alt-att")),
    ("REPUBLIC WIRELESS", ("republic-wireless",)),
    ("TRACFONE", ("tracfone", "tracfone-att", "tracfone-tmobile", "tracfone-uscc", "tracfone-verizon")),
    (
        "STRAIGHT TALK",
        ("straight-talk-att", "straight-talk-sprint", "straight-talk-tmobile", "straight-talk-verizon"),
    ),
    ("CRICKET", ("cricket",)),
    ("ELISKA WIRELESS", ("cricket",)),
    ("H2O WIRELESS", ("h2o-wireless",)),
    ("FREEUP", ("freeup-mobile",)),
    ("GOOD2GO", ("good2go",)),
    ("RED POCKET", ("red-pocket-att",)),
    ("BOOST MOBILE", ("boost",)),
    ("XFINITY MOBILE", ("xfinity-mobile",)),
    ("SPECTRUM MOBILE", ("spectrum-mobile",)),
    ("VISIBLE", ("visible",)),
    ("PAGE PLUS", ("page-plus",)),
    ("GREATCALL", ("greatcall",)),
    ("VIRGIN MOBILE USA", ("virgin-mobile-usa",)),
    ("FIDO", ("fido",)),
    ("CHATR", ("chatr",)),
    ("TBAYTEL", ("tbaytel",)),
    ("VIRGIN PLUS", ("virgin-plus",)),
    ("LUCKY MOBILE", ("lucky-mobile",)),
    ("SOLO MOBILE", ("solo-mobile",)),
    ("KOODO", ("koodo",)),
    ("PUBLIC MOBILE", ("public-mobile",)),
    ("PC MOBILE", ("pc-mobile",)),
)
_HOSTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("T MOBILE", ("t-mobile",)),
    ("OMNIPOINT", ("t-mobile",)),
    ("POWERTEL", ("t-mobile",)),
    ("AT&T", ("att",)),
    ("CINGULAR", ("att",)),
    ("FIRSTNET", ("att",)),
    ("CELLCO PARTNERSHIP", ("verizon",)),
    ("VERIZON", ("verizon",)),
    ("SPRINT", ("sprint",)),
    ("USCC", ("us-cellular",)),
    ("US CELLULAR", ("us-cellular",)),
    ("UNITED STATES CELLULAR", ("us-cellular",)),
    ("C SPIRE", ("c-spire",)),
    ("CELLCOM", ("cellcom-wi",)),
    ("SMITH BAGLEY", ("cellular-one",)),
    ("ROGERS", ("rogers",)),
    ("BELL MOBILITY", ("bell-ca",)),
    ("BELL CANADA", ("bell-ca",)),
    ("TELUS", ("telus",)),
    ("FREEDOM MOBILE", ("freedom-mobile",)),
    ("MTS", ("mts-ca",)),
    ("VIDEOTRON", ("videotron",)),
    ("SASKTEL", ("sasktel",)),
    ("EASTLINK", ("eastlink",)),
)

_CUTS = (
    re.compile(r"\s*:\s*[0-9A-Z]{4}\b"),  # SPID
    re.compile(r"\s*-\s*(?:SVR|NSR|10X)\b"),
    re.compile(r"/[0-9]+\b"),
    re.compile(r"\s+-\s+[A-Z]{2}$"),  # state
    re.compile(r"[\s,]+(?:INC|LLC|L\.L\.C|LP|L\.P|LTD)\.?$"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a network's word says of the carrier."""

    carrier: str = ""  # id of the one row that fits; "" = it cannot be told
    candidates: tuple[str, ...] = ()  # ids of the rows that may be meant, where it cannot be told
    why: str  # a sentence without a full stop


def normal(name: str) -> str:
    """The name of a carrier without what registries add: SPID, -SVR, -NSR, -10X, /2, a state, INC, LLC, LP, LTD.

    Upper case, single spaces.  What is normal stays as it is.
    """
    while True:
        found = " ".join(name.upper().split())
        for cut in _CUTS:
            found = cut.sub("", found).strip(" ,-")
        if found == name:
            return found
        name = found


def tell(name: str, code: str, table: CarrierTable, country: str) -> Told:
    """The row of the carrier whose name and network code ("310-260") a look-up brought; either may be "".

    `country` is the phone's (ISO 3166); "" = a number of +1 whose country is not known.
    """
    rows = {c.id: c for c in table.carriers.values() if not c.country or c.country in _countries(country)}
    by_name, by_code = _named(name, rows), _coded(code, rows)
    reach = tuple(dict.fromkeys(one for host in by_code for one in _family(host, rows)))
    if not by_name and not by_code:
        return Told(why=f"the table knows neither the name {name!r} nor the network code {code or '(none)'}")
    if not by_name and normal(name):
        return Told(
            candidates=reach, why=f"the table does not know the name {name!r}; {code} is {_one_of(reach, rows)}"
        )
    if not by_name:
        return _only(reach, rows, f"the network code {code}")
    fit = tuple(one for one in by_name if one in reach) if by_code else by_name
    if not fit:
        why = f"the name says {_one_of(by_name, rows)}, the network code {code} is {_one_of(by_code, rows)}"
        return Told(candidates=tuple(dict.fromkeys((*by_name, *reach))), why=f"{why}: they disagree")
    if len(fit) == 1:
        return _only(_family(fit[0], rows), rows, f"the name {name!r}")
    return Told(candidates=fit, why=f"the name {name!r} fits several rows")


def hosts(carrier: str) -> bool:
    """Whether other brands use the network of the carrier with that id."""
    return carrier in _HOSTED


def _only(found: tuple[str, ...], rows: Mapping[str, Carrier], what: str) -> Told:
    if len(found) == 1:
        return Told(carrier=found[0], why=f"{what} is that of {rows[found[0]].name} alone")
    host = rows[found[0]].name
    return Told(
        candidates=found, why=f"{what} is that of {host}, whose network other brands use: they cannot be told apart"
    )


def _countries(country: str) -> tuple[str, ...]:
    return (country,) if country else ("US", "CA")


def _family(host: str, rows: Mapping[str, Carrier]) -> tuple[str, ...]:
    """The row of a network first, then the brands that use it."""
    return (host, *(brand for brand in _HOSTED.get(host, ()) if brand in rows))


def _coded(code: str, rows: Mapping[str, Carrier]) -> tuple[str, ...]:
    """Whose network has that code, by the table before the list above."""
    own = tuple(carrier.id for carrier in rows.values() if code in carrier.mccmnc)
    host = _CODES.get(code, "")
    return own or ((host,) if host in rows else ())


def _named(name: str, rows: Mapping[str, Carrier]) -> tuple[str, ...]:
    """The rows that a name means: a brand, else a network, else a row of just that name that nobody took over."""
    words = _words(name)
    if not words:
        return ()
    exact = tuple(c.id for c in rows.values() if not c.successor and _words(c.name) == words)
    return _among(_BRANDS, words, rows) or _among(_HOSTS, words, rows) or exact


def _among(known: Iterable[tuple[str, tuple[str, ...]]], words: str, rows: Mapping[str, Carrier]) -> tuple[str, ...]:
    for alias, ids in known:
        if f" {alias} " in f" {words} " and (found := tuple(one for one in ids if one in rows)):
            return found
    return ()


def _words(name: str) -> str:
    return re.sub(r"[^0-9A-Z&]+", " ", normal(re.sub(r"\([^()]*\)", " ", name))).strip()


def _one_of(ids: Iterable[str], rows: Mapping[str, Carrier]) -> str:
    return " or ".join(rows[one].name for one in ids)
