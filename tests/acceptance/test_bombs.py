"""Pictures and archives that were made to hurt."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from email.message import EmailMessage
from pathlib import Path

from cases import Open, Seen, case
from gauges import LAG_SECONDS, READER_BYTES, costs
from house import House
from rig import (
    ANN,
    JOBS,
    MIB,
    OURS,
    VOUCHED,
    healthy,
    send,
    texted,
)


def png(width: int, height: int, depth: int = 1, colour: int = 0) -> bytes:
    """A picture of zeros, its size in pixels told truly, its bytes few."""
    per_line = (width * depth * {0: 1, 2: 3, 6: 4}[colour] + 7) // 8 + 1
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(per_line)) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", head), (b"IDAT", packed), (b"IEND", b""))
    told = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(told)


def fits() -> bytes:
    """A FITS file that unpacks to 64 MiB (CVE-2026-40192)."""
    cards = ["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    2"]
    cards += ["NAXIS1  =                 8192", "NAXIS2  =                 8192", "END"]
    head = "".join(f"{card:<80}" for card in cards).encode()
    return gzip.compress(head + b" " * (2880 - len(head)) + bytes(64 * MIB))


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in range(4):
            archive.writestr(f"../../{n}", bytes(32 * MIB))
    return out.getvalue()


@case(60, "pixel bombs, FITS, a zip bomb, ../../x as a name", "refused; RSS < + 64 MiB; no file outside")
async def test_attachments_made_to_hurt_are_left_out_and_the_words_arrive(open_shop: Open, seen: Seen) -> None:
    house = await open_shop(VOUCHED)
    await house.start()
    assert (await send(house, "warm", ANN[1:])).startswith("250")
    await texted(house, "warm", ANN)
    files = [
        ("image/png", "9k.png", png(9000, 9000)),
        ("image/png", "20k.png", png(13000, 13000)),
        ("image/png", "rgba.png", png(16000, 16000, 8, 6)),
        ("image/fits", "x.fits", fits()),
        ("application/zip", "../../x", zipped()),
        ("image/jpeg", "../../../../tmp/gateway-was-here.jpg", b"\xff\xd8\xff\xe0junk"),
    ]
    async with healthy(house) as pulse, costs(house) as cost:
        for n, file in enumerate(files):
            await _both_ways(house, n, file)
        wanted = [f"Look {n}." for n in range(len(files))]
        await house.world.wait(lambda w: all(any(x in m.text for m in w.mails) for x in wanted), 60)
        # What passes when it is harmless: else all of this would show nothing.
        await _both_ways(house, len(files), ("image/png", "dent.png", png(400, 300)))
        look = await house.world.wait(lambda w: [m for m in w.mails if f"Look {len(files)}." in m.text], 60)
    texts = [t for t in house.world.phone(ANN) if t.direction == "outbound-api"]
    pictures = {t.body: len(t.media_urls) for t in texts if t.media_urls}
    mailed = [
        p
        for m in house.world.mails
        if "Look" in m.text
        for p in m.message.walk()
        if p.get_content_maintype() == "image"
    ]

    seen(f"{len(files)} both ways: words arrived; pictures that passed: {len(pictures)} out, {len(mailed)} in; "
         f"{cost.told}; {pulse.told}")  # fmt: skip
    assert [f"with {len(files)}"] == list(pictures)
    assert len(mailed) == sum(p.get_content_maintype() == "image" for p in look[0].message.walk()) == 1
    assert cost.grown < 64 * MIB
    assert cost.reader < READER_BYTES
    assert cost.own_lag < LAG_SECONDS
    assert pulse.worst < 1
    assert not Path("/tmp/gateway-was-here.jpg").exists()
    assert [] == [path for path in house.folder.rglob("*") if path.name in ("x", "0", "1", "2", "3")]


async def _both_ways(house: House, number: int, file: tuple[str, str, bytes]) -> None:
    """Sends a file with a mail to a customer, who has its words then, and from her phone with a text."""
    kind, name, data = file
    mail = EmailMessage()
    mail["From"], mail["Subject"], mail["Message-ID"] = JOBS, "RO 17", f"<a{number}@shop.example.com>"
    mail.set_content(f"with {number}")
    main, _, sub = kind.partition("/")
    mail.add_attachment(data, maintype=main, subtype=sub, filename=name)
    assert (await house.daemon.mail(mail.as_bytes(), JOBS, [f"{ANN[1:]}@sms.example.com"]))[0].startswith("250")
    await texted(house, f"with {number}", ANN)
    assert await house.world.customer_texts(ANN, OURS, f"Look {number}.", [(kind, data)]) == 200
