"""Writes text_addresses.csv: 200 lines as old job software exports them.  Numbers are of the kind NPA-555-01XX."""

from __future__ import annotations

import csv
import random
from pathlib import Path

TARGET = Path(__file__).with_name("text_addresses.csv")
SEED = 20_261_121
AREAS = ("202", "206", "212", "312", "415", "512", "604", "617", "702", "808")
DOMAINS = (
    ["vtext.com"] * 30
    + ["txt.att.net"] * 25
    + ["tmomail.net"] * 20
    + ["messaging.sprintpcs.com", "vzwpix.com", "mms.att.net", "email.uscc.net", "sms.rogers.com", "msg.telus.com"] * 3
    + ["vtex.com", "pager.example.com"]
)
SLIPS = {
    11: "{n}@{n}@vtext.com",
    23: "{n}@txt.att.net ",
    37: "{n}@vtext.comvtext.com",
    41: "({a}) 555-{l}@tmomail.net",
    53: "1{n}@tmomail.net",
    67: "{a}.555.{l}@vtext.com",
    79: "{n}@mymetropcsmymetropcs.com",
    83: "front.desk@vtext.com",
    97: "{n} @ vtext.com",
    101: "n/a",
    113: "+1{n}@TXT.ATT.NET",
    127: "{n}@vtext.com.",
    131: "55501@vtext.com",
    149: "{n}@vtext.com@vtext.com",
}


def rows() -> list[list[str]]:
    """The header and 200 technicians: every tenth has a second address, every twentieth none."""
    chance = random.Random(SEED)
    made = [["Tech ID", "Technician", "E-Mail", "Text Address", "Text Address 2", "Shop"]]
    for n in range(1, 201):
        area, last = AREAS[n % 10], f"01{n // 2 % 100:02d}"
        number = f"{area}555{last}"
        slip = SLIPS.get(n, "{n}@" + chance.choice(DOMAINS))
        first = "" if n % 20 == 0 else slip.format(n=number, a=area, l=last)
        second = f"{number}@{chance.choice(DOMAINS)}" if n % 10 == 5 else ""
        person = [f"T{n:03d}", f"Tech {n % 90 + 1}", f"tech{n}@shop.example.com"]
        made.append([*person, first, second, f"Shop {n % 3 + 1}"])
    return made


def main() -> None:
    with TARGET.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\r\n").writerows(rows())


if __name__ == "__main__":
    main()
