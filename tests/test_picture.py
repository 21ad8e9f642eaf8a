"""Pictures are what their bytes say, made fit for phones, and never dangerous: real files through the real decoder."""

from __future__ import annotations

import io
import re
import time
import zlib
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gateway import attachment, picture

PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n"
UNKNOWN = "a file of unknown type was left out"
DAMAGED = "a picture that cannot be decoded was left out"
TOO_MANY_PIXELS = "a picture of more than 25 megapixels was left out"


def noise(width: int, height: int) -> Image.Image:
    return Image.effect_noise((width, height), 90).convert("RGB")


def saved(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format=kind, **options)
    return out.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be large."""
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    body = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + body + chunk(b"IEND", b"")


def mail(*files: tuple[bytes, str, str, str], html: str = "") -> bytes:
    """A mail with files of (data, content type, Content-Disposition, Content-ID)."""
    message = EmailMessage(policy=SMTP)
    message["From"] = "shop@jobs.example"
    message.set_content("Your car is ready.")
    if html:
        message.add_alternative(html, subtype="html")
    for data, kind, disposition, cid in files:
        main, _, sub = kind.partition("/")
        message.add_attachment(data, maintype=main, subtype=sub)
        part = list(message.iter_attachments())[-1]
        del part["Content-Disposition"]
        if disposition:
            part["Content-Disposition"] = disposition
        if cid:
            part["Content-ID"] = f"<{cid}>"
    return message.as_bytes()


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


SMALL = Image.new("RGB", (120, 110), "red")
PHOTO = saved(noise(300, 200))
ATTACHED = 'attachment; filename="car.jpg"'


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF"])
def test_a_picture_that_every_program_shows_stays_as_it_is(kind: str) -> None:
    data = saved(SMALL, kind)
    found = picture.inspected(data, 3)

    extension = {"JPEG": "jpg", "PNG": "png", "GIF": "gif"}[kind]
    assert (found.kind, found.name, found.problem) == (f"image/{kind.lower()}", f"picture-3.{extension}", "")
    assert found.data == data


@pytest.mark.parametrize("kind", ["WEBP", "BMP", "TIFF", "AVIF"])
def test_another_picture_becomes_a_jpeg(kind: str) -> None:
    found = picture.inspected(saved(SMALL, kind), 1)

    assert (found.kind, found.name, found.problem) == ("image/jpeg", "picture-1.jpg", "")
    assert (opened(found.data).format, opened(found.data).size) == ("JPEG", SMALL.size)


@pytest.mark.parametrize(
    ("data", "kind", "name"),
    [
        (PDF, "application/pdf", "document-1.pdf"),
        (b"BEGIN:VCARD\r\nVERSION:3.0\r\nEND:VCARD\r\n", "text/vcard", "contact-1.vcf"),
        (b"\xef\xbb\xbfbegin:vcard\r\n", "text/vcard", "contact-1.vcf"),
        (b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n", "text/calendar", "date-1.ics"),
        (b"\0\0\0\x18ftyp3gp5\0\0\0\0", "video/3gpp", "video-1.3gp"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0", "video/mp4", "video-1.mp4"),
        (b"\0\0\0\x18ftypqt  \0\0\0\0", "video/quicktime", "video-1.mov"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1", "image/heic", "picture-1.heic"),
        (b"#!AMR\n\x0c\0", "audio/amr", "sound-1.amr"),
        (b"ID3\x04\0\0\0\0\0\0", "audio/mpeg", "sound-1.mp3"),
        (b"\xff\xfb\x90\0", "audio/mpeg", "sound-1.mp3"),
        ("Größe: 5\n".encode(), "text/plain", "text-1.txt"),
        (b"<html><script>alert(1)</script>", "text/plain", "text-1.txt"),
    ],
)
def test_a_known_file_is_passed_on_under_a_name_of_ours(data: bytes, kind: str, name: str) -> None:
    found = picture.inspected(data, 1)

    assert (found.kind, found.name, found.data, found.problem) == (kind, name, data, "")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        pytest.param(b"", UNKNOWN, id="nothing"),
        pytest.param(b"MZ\x90\0\x03", UNKNOWN, id="a program"),
        pytest.param(b"PK\x03\x04\0\0", UNKNOWN, id="an archive"),
        pytest.param(b"%!PS-Adobe-3.0 EPSF-3.0\n\0", UNKNOWN, id="a PostScript picture"),
        pytest.param(b"words\xff\xfe", UNKNOWN, id="words in no charset"),
        pytest.param(b"x" * ((25 << 20) + 1), "a file of more than 25 MB was left out", id="too large"),
        pytest.param(PHOTO[: len(PHOTO) // 2], DAMAGED, id="half a JPEG"),
        pytest.param(saved(SMALL, "PNG")[:-30], DAMAGED, id="most of a PNG"),
        pytest.param(saved(SMALL, "WEBP")[:60], DAMAGED, id="the begin of a WebP"),
        pytest.param(bomb(5000, 4000), DAMAGED, id="a PNG without its pixels"),
        pytest.param(bomb(5_001, 5_000), TOO_MANY_PIXELS, id="a little more than 25 megapixels"),
        pytest.param(bomb(10_000, 6_000), TOO_MANY_PIXELS, id="60 megapixels"),
        pytest.param(bomb(60_000, 60_000), TOO_MANY_PIXELS, id="3,600 megapixels"),
        pytest.param(bomb(2**31 - 1, 2**31 - 1), TOO_MANY_PIXELS, id="beyond all numbers"),
    ],
)
def test_what_is_left_out_says_why(data: bytes, problem: str) -> None:
    found = picture.inspected(data, 2)

    assert (found.data, found.problem, found.name) == (b"", problem, "file-2")


def film(frames: int, *, broken_at: int = -1) -> bytes:
    """A GIF of one pixel and many frames, one of which cannot be decoded."""
    head = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff"
    whole = b"\x21\xf9\4\0\0\0\0\0\x2c\0\0\0\0\1\0\1\0\0\2\2\x4c\1\0"
    broken = whole[:-3] + b"\xff\xff\0"
    return head + b"".join(broken if n == broken_at else whole for n in range(frames)) + b";"


def test_of_a_long_film_the_first_200_frames_are_looked_at() -> None:
    assert picture.inspected(film(150, broken_at=149), 1).problem == DAMAGED
    assert picture.inspected(film(300, broken_at=299), 1).kind == "image/gif"


def test_a_film_with_a_frame_that_is_too_large_is_left_out() -> None:
    head, mark, frame = film(2).rpartition(b"\x2c")
    huge = head + mark + frame[:4] + b"\xff\x7f\xff\x7f" + frame[8:]

    assert picture.inspected(huge, 1).problem == "a picture of more than 25 megapixels was left out"


def test_a_film_of_a_great_many_frames_is_not_walked_through() -> None:
    began = time.process_time()

    assert picture.inspected(film(200_000), 1).kind == "image/gif"
    assert time.process_time() - began < 1.0


@given(st.binary(max_size=400), st.sampled_from([PHOTO, saved(SMALL, "GIF"), saved(SMALL, "PNG"), PDF]))
def test_no_bytes_make_the_decoder_raise(noise: bytes, begin: bytes) -> None:
    for data in (noise, begin[:40] + noise, begin[: len(begin) // 2] + noise + begin[len(begin) // 2 :]):
        found = picture.inspected(data, 1)

        assert bool(found.data) != bool(found.problem)
        assert re.fullmatch(r"[a-z]+-1(?:\.[a-z0-9]+)?", found.name)


def test_a_large_photo_is_shrunk_turned_and_forgets_where_it_was_taken() -> None:
    notes = Image.Exif()
    notes[0x0112] = 6  # Orientation: turn by 90 degrees
    notes[0x8825] = {1: "N", 2: (40.0, 42.0, 46.0)}  # GPS
    notes[0x010F] = "a camera"
    raw = mail((saved(noise(2400, 1800), quality=90, exif=notes, comment=b"secret"), "image/jpeg", ATTACHED, ""))

    (found,) = attachment.attached(raw)

    assert (found.kind, found.name, found.problem) == ("image/jpeg", "picture-1.jpg", "")
    assert len(found.data) <= 600_000
    fit = opened(found.data)
    assert (fit.format, fit.height) == ("JPEG", max(fit.size))
    assert fit.height <= 1600
    assert dict(fit.getexif()) == {}
    assert b"secret" not in found.data
    assert b"camera" not in found.data


@pytest.mark.parametrize("most", [30_000, 200_000, 900_000])
def test_a_picture_is_made_as_small_as_the_smallest_gateway_wants_it(most: int) -> None:
    photo = (saved(noise(2400, 1800), quality=90), "image/jpeg", ATTACHED, "")
    drawing = (saved(Image.effect_mandelbrot((700, 700), (-2, -1.5, 1, 1.5), 90), "PNG"), "image/png", ATTACHED, "")
    found = attachment.attached(mail(photo, drawing, (PDF * 9_000, "application/pdf", ATTACHED, "")), most)

    assert [len(one.data) <= min(most, 600_000) for one in found[:2]] == [True, True]
    assert [one.problem for one in found] == ["", "", ""]
    assert len(found[2].data) > 200_000, "a PDF goes as a link"


def test_a_picture_that_cannot_be_made_small_enough_is_left_out() -> None:
    (found,) = attachment.attached(mail((saved(noise(2400, 1800)), "image/jpeg", ATTACHED, "")), 2_000)

    assert (found.problem, found.data) == ("a picture could not be made small enough", b"")


def test_a_photo_as_sharp_as_a_phone_shows_keeps_its_size() -> None:
    smooth = Image.linear_gradient("L").resize((1600, 1200)).convert("RGB")
    (found,) = attachment.attached(mail((saved(smooth), "image/jpeg", ATTACHED, "")))

    assert opened(found.data).size == (1600, 1200)


def test_a_drawing_stays_a_png_and_a_photo_in_a_png_does_not() -> None:
    colours = Image.merge("RGB", [Image.effect_noise((200, 200), 90) for _ in "RGB"])
    drawing, photo = saved(SMALL, "PNG"), saved(colours, "PNG")
    found = attachment.attached(mail((drawing, "image/png", ATTACHED, ""), (photo, "image/png", ATTACHED, "")))

    assert [p.name for p in found] == ["picture-1.png", "picture-2.jpg"]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_pixel_can_be_sent(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    image = Image.new(mode, (1700, 150)) if mode == "I;16" else SMALL.resize((1700, 150)).convert(mode)
    (found,) = attachment.attached(mail((saved(image, kind), f"image/{kind.lower()}", ATTACHED, "")))

    assert found.problem == ""
    assert opened(found.data).width == 1600


def test_what_is_transparent_becomes_white() -> None:
    clear = Image.new("RGBA", (1700, 200), (0, 0, 0, 0))
    (found,) = attachment.attached(mail((saved(clear, "PNG"), "image/png", ATTACHED, "")))

    assert opened(found.data).getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("kind", "disposition", "cid", "expected"),
    [
        ("image/jpeg", ATTACHED, "", 1),
        ("image/jpeg", "attachment", "", 1),
        ("image/jpeg", 'inline; filename="car.jpg"', "", 1),
        ("image/jpeg", 'inline; filename="car.jpg"', "other@x", 1),
        ("image/jpeg", 'inline; filename="logo.jpg"', "logo@x", 0),
        ("image/jpeg", 'attachment; filename="logo.jpg"', "logo@x", 0),
        ("image/jpeg", "inline", "", 0),
        ("image/jpeg", "", "", 0),
        ("application/octet-stream", ATTACHED, "", 1),
        ("application/octet-stream", 'attachment; filename="car.exe"', "", 0),
        ("application/zip", 'attachment; filename="car.zip"', "", 0),
    ],
)
def test_what_the_mail_shows_itself_is_no_picture_to_send(kind: str, disposition: str, cid: str, expected: int) -> None:
    raw = mail((PHOTO, kind, disposition, cid), html='<p>Hello <img src="cid:logo%40x"></p>')

    assert attachment.count(raw) == expected
    assert len(attachment.attached(raw)) == expected


def test_logos_and_counting_pixels_are_no_pictures() -> None:
    raw = mail(
        *((saved(Image.new("RGB", size)), "image/jpeg", ATTACHED, "") for size in ((99, 500), (500, 99), (1, 1)))
    )

    assert attachment.attached(raw) == ()


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="Invoice 4711.pdf"', "Invoice-4711.pdf"),
        ('attachment; filename="../../etc/passwd.pdf"', "passwd.pdf"),
        ('attachment; filename="C:\\\\shop\\\\bill.PDF"', "bill.pdf"),
        ("attachment; filename*=utf-8''Gr%C3%B6%C3%9Fe%2F5.pdf", "5.pdf"),
        ("attachment; filename*0=\"esti\"; filename*1=\"mate.pdf\"", "estimate.pdf"),
        ('attachment; filename="=?utf-8?b?UmVjaG51bmcgNS5wZGY=?="', "Rechnung-5.pdf"),
        ('attachment; filename="..."', "document-1.pdf"),
        ('attachment; filename="' + "a" * 300 + '.pdf"', "a" * 40 + ".pdf"),
        ("attachment", "document-1.pdf"),
    ],
)  # fmt: skip
def test_a_pdf_goes_as_it_is_under_a_name_that_can_stand_in_an_address(disposition: str, name: str) -> None:
    raw = mail((PDF, "application/pdf", "attachment", ""))
    raw = raw.replace(b"Content-Disposition: attachment", b"Content-Disposition: " + disposition.encode())
    (found,) = attachment.attached(raw)

    assert (found.kind, found.data, found.name) == ("application/pdf", PDF, name)


def test_a_file_that_only_calls_itself_a_pdf_is_ignored() -> None:
    assert attachment.attached(mail((b"MZ\x90\0", "application/pdf", 'attachment; filename="a.pdf"', ""))) == ()


def test_pictures_that_cannot_go_say_why() -> None:
    half = PHOTO[: len(PHOTO) // 2]
    large = PDF + b"x" * 5_000_000
    found = attachment.attached(
        mail(
            (half, "image/jpeg", ATTACHED, ""),
            (bomb(9_000, 9_000), "image/png", ATTACHED, ""),
            (large, "application/pdf", "attachment", ""),
        )
    )

    assert [p.problem for p in found] == [DAMAGED, TOO_MANY_PIXELS, "a PDF of more than 5 MB was left out"]
    assert [p.data for p in found] == [b""] * 3


def test_at_most_ten_pictures_and_five_megabytes_go_with_a_text() -> None:
    one = saved(noise(1100, 1100), quality=85)
    found = attachment.attached(mail(*[(one, "image/jpeg", ATTACHED, "")] * 12))

    assert len(found) == 10
    sizes = [len(p.data) for p in found]
    assert sum(sizes) <= 5_000_000
    assert max(sizes) <= 600_000
    assert {p.problem for p in found if not p.data} == {"the pictures have more than 5 MB in all"}


def test_a_mail_beyond_the_bounds_has_no_pictures() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100_000

    assert (attachment.count(raw), attachment.attached(raw)) == (0, ())


def test_a_photo_with_damaged_notes_is_sent_as_it_lies() -> None:
    notes = b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\x12\x01" * 20
    (found,) = attachment.attached(mail((saved(noise(300, 200), exif=notes), "image/jpeg", ATTACHED, "")))

    assert opened(found.data).size == (300, 200)
    assert opened(found.data).info.get("exif") is None
