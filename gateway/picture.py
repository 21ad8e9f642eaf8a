"""Pictures and files, looked into and made harmless: what came with a text, and what is to go with one.

Runs in the reader's child only: decoding is where crafted files do their harm.  A file is what its bytes say, never
what its sender calls it, and the names are ours.
"""

from __future__ import annotations

import io
import re
import struct
import warnings
from typing import TYPE_CHECKING

from gateway.core.model import Picture

if TYPE_CHECKING:  # imported by the child when the first picture comes: it costs 50 ms
    from PIL.Image import Image

MOST_BYTES = 25 << 20  # of one file that came with a text
MOST_PIXELS = 25_000_000
_MOST_FRAMES = 200
_IMAGE_BYTES = 600_000  # what the carriers take of one
_PDF_BYTES = 5_000_000
_LEAST_SIDE = 100  # below it: logos, lines and counting pixels
_LONGEST_SIDE = 1600
_COLOURS = 256  # a drawing, which JPEG would blur
_STEPS = ((1600, 85), (1600, 70), (1600, 50), (1100, 60), (800, 50), (500, 40))  # longest side, quality
_TEXT_BYTES = 1_000_000

# What Pillow may be asked to read: its other readers are old, odd, or start programs (EPS).
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
_BROKEN = "a picture that cannot be decoded was left out"
_TOO_LARGE = f"a picture of more than {MOST_PIXELS // 1_000_000} megapixels was left out"
_TOO_MUCH = "a picture that needs too much memory was left out"
_KEPT = {"JPEG": "image/jpeg", "MPO": "image/jpeg", "PNG": "image/png", "GIF": "image/gif"}
_PLAIN_MODES = frozenset({"1", "L", "LA", "P", "RGB", "RGBA"})
_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, OverflowError, struct.error)

# kind -> (what the file is called, its extension)
_NAMES = {
    "image/jpeg": ("picture", "jpg"), "image/png": ("picture", "png"), "image/gif": ("picture", "gif"),
    "image/heic": ("picture", "heic"), "application/pdf": ("document", "pdf"), "text/plain": ("text", "txt"),
    "text/vcard": ("contact", "vcf"), "text/calendar": ("date", "ics"), "video/mp4": ("video", "mp4"),
    "video/3gpp": ("video", "3gp"), "video/quicktime": ("video", "mov"), "audio/mp4": ("sound", "m4a"),
    "audio/amr": ("sound", "amr"), "audio/mpeg": ("sound", "mp3"), "audio/ogg": ("sound", "ogg"),
    "audio/wav": ("sound", "wav"),
}  # fmt: skip
_MAGIC = (
    (re.compile(rb".{0,1000}?%PDF-\d", re.DOTALL), "application/pdf"),  # readers take it within 1,024 bytes
    (re.compile(rb"(?:\xef\xbb\xbf)?\s{0,9}BEGIN:VCARD", re.IGNORECASE), "text/vcard"),
    (re.compile(rb"(?:\xef\xbb\xbf)?\s{0,9}BEGIN:VCALENDAR", re.IGNORECASE), "text/calendar"),
    (re.compile(rb"....ftyp3g", re.DOTALL), "video/3gpp"),
    (re.compile(rb"....ftyp(?:hei[cmsx]|hev[cmsx]|mif1|msf1)", re.DOTALL), "image/heic"),
    (re.compile(rb"....ftypM4[AB] ", re.DOTALL), "audio/mp4"),
    (re.compile(rb"....ftypqt  ", re.DOTALL), "video/quicktime"),
    (re.compile(rb"....ftyp(?:iso[m2-9]|mp4[12]|avc1|M4V|MSNV|dash)", re.DOTALL), "video/mp4"),
    (re.compile(rb"#!AMR(?:-WB)?\n"), "audio/amr"),
    (re.compile(rb"ID3[\x02-\x04]|\xff[\xfb\xfa\xf3\xf2]"), "audio/mpeg"),
    (re.compile(rb"OggS\0"), "audio/ogg"),
    (re.compile(rb"RIFF....WAVE", re.DOTALL), "audio/wav"),
)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")


def inspected(data: bytes, number: int) -> Picture:
    """A file that came with a text, the `number`-th of it from 1 on: as it is, or as JPEG where mail programs would not
    show it; `problem` says why there is none.  JPEG, PNG and GIF are what can be decoded, other kinds what they look
    like.
    """
    if len(data) > MOST_BYTES:
        return left_out(number, f"a file of more than {MOST_BYTES >> 20} MB was left out")
    try:
        image = _opened(data)
    except _Unfit as fault:
        return left_out(number, fault.reason)
    if image is None:
        kind = _kind(data)
        if not kind:
            return left_out(number, "a file of unknown type was left out")
        return Picture(kind=kind, name=_name(kind, number), data=data)
    try:
        kind = _KEPT.get(image.format or "", "")
        if kind:
            _decode_all(image)
        else:
            kind, data = "image/jpeg", _jpeg(_drawn(image, max(image.size)), 85)
    except _Unfit as fault:
        return left_out(number, fault.reason)
    except _DAMAGED:
        return left_out(number, _BROKEN)
    except MemoryError:
        return left_out(number, _TOO_MUCH)
    return Picture(kind=kind, name=_name(kind, number), data=data)


def fitted(data: bytes, stem: str, number: int, most_bytes: int = 0) -> Picture | None:
    """One attachment of a mail, the `number`-th from 1 on, ready to go with a text; None for what is no picture or PDF,
    or has a side below 100 px.

    Images come back as JPEG or PNG of at most 1600 px and 600 kB, or `most_bytes` where that is less and not 0, turned
    upright, without what the camera noted.  PDFs stay as they are, under their name's `stem`.
    """
    try:
        image = _opened(data)
        if image is None:
            return _document(data, stem, number)
        if min(image.size) < _LEAST_SIDE:
            return None
        kind, fit = _shrunk(image, data, min(most_bytes or _IMAGE_BYTES, _IMAGE_BYTES))
    except _Unfit as fault:
        return left_out(number, fault.reason)
    except _DAMAGED:
        return left_out(number, _BROKEN)
    except MemoryError:
        return left_out(number, _TOO_MUCH)
    return Picture(kind=kind, name=_name(kind, number), data=fit)


def left_out(number: int, problem: str) -> Picture:
    """In the place of a picture, why there is none."""
    return Picture(kind="", name=f"file-{number}", data=b"", problem=problem)


class _Unfit(Exception):
    """Why a picture is left out, a clause for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _name(kind: str, number: int) -> str:
    stem, extension = _NAMES[kind]
    return f"{stem}-{number}.{extension}"


def _kind(data: bytes) -> str:
    """What a file that is no picture of Pillow's begins like, "" = like nothing that is known."""
    for begin, kind in _MAGIC:
        if begin.match(data):
            return kind
    if not data or len(data) > _TEXT_BYTES or _CONTROL.search(data):
        return ""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return "text/plain"


def _opened(data: bytes) -> Image | None:
    """The image in `data`, not decoded yet; None when it is none.  Raises _Unfit for one that is too large."""
    from PIL import AvifImagePlugin, Image, UnidentifiedImageError

    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # else one for each core, each with memory of its own
    Image.MAX_IMAGE_PIXELS = MOST_PIXELS  # frames and tiles inside are measured by Pillow itself
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            image = Image.open(io.BytesIO(data), formats=_FORMATS)
        except UnidentifiedImageError:
            return None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise _Unfit(_TOO_LARGE) from None
        except _DAMAGED:
            raise _Unfit(_BROKEN) from None
    if image.width * image.height > MOST_PIXELS:
        raise _Unfit(_TOO_LARGE)
    return image


def _decode_all(image: Image) -> None:
    """Decodes each frame, as far as the pixels allow; the rest of a longer film is not for us to show.  Raises _Unfit
    where a later frame is too large.
    """
    from PIL.Image import DecompressionBombError

    frames = min(MOST_PIXELS // (image.width * image.height), _MOST_FRAMES)
    image.load()
    if image.format == "MPO":
        return
    for frame in range(1, frames):
        try:
            image.seek(frame)  # their number is not asked: to count them, Pillow walks through the whole file
        except EOFError:
            return
        except DecompressionBombError:
            raise _Unfit(_TOO_LARGE) from None
        image.load()


def _drawn(image: Image, longest: int) -> Image:
    """The first frame upright in RGB, on white, with no side beyond `longest` px, and nothing but its pixels."""
    from PIL import Image

    if image.format in ("JPEG", "MPO"):
        image.draft("RGB", (longest, longest))  # decodes at a half, a quarter or an eighth: a large photo in no time
    seen = image
    if image.mode in ("P", "PA", "1"):  # which cannot be resized smoothly
        seen = image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    seen.thumbnail((longest, longest), Image.Resampling.LANCZOS, reducing_gap=2.0)
    upright = _upright(seen)
    if upright.has_transparency_data:
        over = upright.convert("RGBA")
        upright = Image.new("RGBA", over.size, "white")
        upright.alpha_composite(over)
    plain = upright.convert("RGB")
    plain.info = {}
    return plain


def _upright(image: Image) -> Image:
    """The image as it was meant to be seen (EXIF Orientation); as it is where that note is damaged."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except _DAMAGED:
        return image


def _jpeg(image: Image, quality: int) -> bytes:
    out = io.BytesIO()
    image.save(out, format="JPEG", quality=quality, optimize=True)
    return out.getvalue()


def _document(data: bytes, stem: str, number: int) -> Picture | None:
    if not _MAGIC[0][0].match(data):
        return None
    if len(data) > _PDF_BYTES:
        return left_out(number, f"a PDF of more than {_PDF_BYTES // 1_000_000} MB was left out")
    return Picture(kind="application/pdf", name=f"{stem or f'document-{number}'}.pdf", data=data)


def _shrunk(image: Image, data: bytes, most: int) -> tuple[str, bytes]:
    """Kind and bytes of an image that a phone can take, at most `most` bytes."""
    small = len(data) <= most and max(image.size) <= _LONGEST_SIDE
    if image.format == "PNG" and small and image.mode in _PLAIN_MODES and image.getcolors(_COLOURS) is not None:
        out = io.BytesIO()
        kept = _upright(image)
        kept.info = {k: v for k, v in kept.info.items() if k == "transparency"}
        kept.save(out, format="PNG", optimize=True)
        if out.tell() <= most:
            return "image/png", out.getvalue()
    drawn = _drawn(image, _LONGEST_SIDE)
    for longest, quality in _STEPS:
        drawn.thumbnail((longest, longest))
        fit = _jpeg(drawn, quality)
        if len(fit) <= most:
            return "image/jpeg", fit
    raise _Unfit("a picture could not be made small enough")
