"""Bytes -> a checked uint8 picture. No torch: the production application reads pictures with this module alone.

Everything that comes in is treated as hostile: the kind is judged by content, sizes are capped before anything is
decoded, and whatever goes wrong inside a decoder comes out as a PictureError of one sentence.
"""

from __future__ import annotations

import contextlib
import io
import threading
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, WebPImagePlugin  # noqa: F401  (the import registers WebP without loading all other plug-ins)

from workbench.errors import WorkbenchError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MAX_BYTES = 32 * 2**20
MAX_PIXELS = 64_000_000
# A small file can be made to keep a decoder busy for minutes: by very many parts, or by very many passes over the
# pixels. Cameras and editors stay far below these (libpng cuts its data at 8 KB, a colour profile takes 255 parts).
MAX_PNG_CHUNKS = 20_000
MAX_JPEG_SEGMENTS = 600
MAX_JPEG_FILLING = 4096
MAX_JPEG_SCANS = 50

_ORIENTATION_TAG = 0x0112
_METADATA = {"exif", "xmp", "Raw profile type exif", "XML:com.adobe.xmp"}  # where Pillow finds it in a PNG
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# How files that are no picture of ours begin, so that a refusal can name what it refuses.
_OTHER_KINDS = (
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"%PDF", "a PDF document"),
    (b"8BPS", "a Photoshop file"),
    (b"\0\0\1\0", "a Windows icon"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"PK\3\4", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)

# Pillow warns about odd metadata; the filters of `warnings` are global, so only one thread at a time may set them.
_warnings_lock = threading.Lock()


class PictureError(WorkbenchError):
    """A picture is refused; the text names it, says why, and what would be accepted."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture: pixels uint8 (H, W, 3), upright RGB; notes say what had to be done to get there."""

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...] = ()


def read_picture(
    source: bytes | Path,
    *,
    name: str | None = None,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
) -> Picture:
    """Decode one PNG, JPEG, WebP, GIF or BMP picture from bytes or a file.

    The kind is judged by the content, not by the file's name. What is not plain RGB is converted and noted: CMYK
    (without its colour profile), 16 bits a channel (scaled to 8), transparency (laid over white), palette and grey
    (silently), an animation (its first frame), an EXIF orientation (applied). Sizes are checked before decoding.
    `name` stands in messages for the picture. Raises PictureError, and nothing else, for whatever cannot be read.
    """
    name = name or (source.name if isinstance(source, Path) else "the picture")
    content = _content(source, name, max_bytes)
    kind = _kind(content, name)
    try:
        with _open(content, kind, name, max_pixels) as image:
            return _decoded(image, content, kind)
    except PictureError:
        raise
    except Exception as error:  # decoders promise no list of what they raise on damaged bytes
        raise PictureError(f"{name}: damaged {kind} ({_reason(error)}). Save the picture again.") from error


def _content(source: bytes | Path, name: str, max_bytes: int) -> bytes:
    """The bytes, never more than `max_bytes` of them."""
    if isinstance(source, Path):
        try:
            # Only a regular file has an end: a pipe or a device would be read for ever.
            if not source.is_file():
                what = "is a folder" if source.is_dir() else "is no file" if source.exists() else "does not exist"
                raise PictureError(f"{name}: {what}. Give the path of a picture.")
            with source.open("rb") as file:
                content = file.read(max_bytes + 1)
        except (OSError, ValueError) as error:
            raise PictureError(f"{name}: cannot be read ({_reason(error)}).") from error
    elif isinstance(source, (bytes, bytearray, memoryview)):
        content = source if isinstance(source, bytes) else bytes(source[: max_bytes + 1])
    else:
        raise PictureError(f"{name}: a picture must be bytes or a Path, not {type(source).__name__}.")
    if not content:
        raise PictureError(f"{name}: is empty (0 bytes).")
    if len(content) > max_bytes:
        raise PictureError(f"{name}: is larger than the limit of {max_bytes / 1e6:,.1f} MB. Save it smaller.")
    return content


def _kind(content: bytes, name: str) -> str:
    """One of FORMATS, by how the content begins; a PictureError that names what it is instead otherwise."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if content.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WEBP"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if content.startswith(b"BM") and len(content) >= 26 and content[6:10] == b"\0\0\0\0":
        return "BMP"
    raise PictureError(f"{name}: is {_other_kind(content)}, not a picture in PNG, JPEG, WebP, GIF or BMP format.")


def _other_kind(content: bytes) -> str:
    for beginning, what in _OTHER_KINDS:
        if content.startswith(beginning):
            return what
    if content[4:8] == b"ftyp":
        brand = content[8:12]
        return "an AVIF picture" if brand.startswith(b"avi") else "an HEIC picture or a film"
    head = content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<svg", b"<?xml", b"<!doctype", b"<html")):
        return "an SVG drawing" if b"<svg" in head else "an HTML or XML page"
    try:
        text = content[:1024].decode("utf-8", errors="strict" if len(content) <= 1024 else "ignore")
    except UnicodeDecodeError:
        return "of an unknown kind"
    printable = sum(letter.isprintable() or letter in "\t\r\n" for letter in text)
    return "text" if printable == len(text) else "of an unknown kind"


def _open(content: bytes, kind: str, name: str, max_pixels: int) -> Image.Image:
    """Read the header and refuse what is too large or incomplete; no pixel is decoded yet."""
    if kind == "PNG":
        _check_png(content, name)
    if kind == "JPEG":
        _check_jpeg(content, name)
    if kind == "WEBP":
        # Pillow's WebP reader reserves the whole canvas on opening: look at the size first.
        _check_size(_webp_size(content), name, max_pixels)
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(content), formats=(kind,))
        except Image.DecompressionBombError as error:
            limit = min(max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or max_pixels))
            raise PictureError(f"{name}: has more pixels than the limit of {limit:,}. Save it smaller.") from error
    _check_size(image.size, name, max_pixels)
    return image


def _check_size(size: tuple[int, int], name: str, max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise PictureError(f"{name}: has no pixels ({width}×{height}).")
    if width * height > max_pixels:
        raise PictureError(
            f"{name}: has {width:,}×{height:,} pixels, more than the limit of {max_pixels:,}. Save it smaller."
        )


def _webp_size(content: bytes) -> tuple[int, int]:
    """Width and height as the header of a WebP file states them (RFC 9649); (0, 0) where there is none."""
    kind, body = content[12:16], content[20:30]
    if len(body) < 10:
        return 0, 0
    if kind == b"VP8X":
        return 1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        return int.from_bytes(body[6:8], "little") & 0x3FFF, int.from_bytes(body[8:10], "little") & 0x3FFF
    return 0, 0


def _check_jpeg(content: bytes, name: str) -> None:
    """Refuse more segments, filling between them, or scans than a picture needs."""
    place, segments, filling = 2, 0, 0
    # Pillow reads segments and filling up to the first scan one by one, and joins metadata anew for each.
    while segments <= MAX_JPEG_SEGMENTS and filling <= MAX_JPEG_FILLING and place + 4 <= len(content):
        marker = content[place + 1]
        if content[place] != 0xFF or marker in (0x00, 0xFF):
            place, filling = place + 1, filling + 1
        elif marker == 0xDA:
            break
        else:
            # These stand alone; every other segment states its length.
            alone = marker == 0xC8 or 0xD0 <= marker <= 0xD9 or 0xF0 <= marker <= 0xFD
            place += 2 if alone else 2 + max(2, int.from_bytes(content[place + 2 : place + 4]))
            segments += 1
    # Within a scan 0xFF is always followed by 0 or a restart marker, so these two bytes can only begin a scan.
    scans = content.count(b"\xff\xda")
    if segments > MAX_JPEG_SEGMENTS or filling > MAX_JPEG_FILLING or scans > MAX_JPEG_SCANS:
        raise PictureError(f"{name}: is made of more parts than any ordinary JPEG. Save it again with an editor.")


def _check_png(content: bytes, name: str) -> None:
    """Every chunk that makes pixels must be whole and match its checksum: Pillow skips those of the pixel data."""
    seen: list[bytes] = []
    for kind, body, checksum in _png_chunks(content):
        seen.append(kind)
        if len(seen) > MAX_PNG_CHUNKS:
            raise PictureError(f"{name}: is made of more parts than any ordinary PNG. Save it again with an editor.")
        if kind[:1].isupper() and zlib.crc32(body, zlib.crc32(kind)) != checksum:
            raise PictureError(f"{name}: damaged PNG (the checksum of its {kind!r} part is wrong). Save it again.")
    if b"IEND" not in seen:
        raise PictureError(f"{name}: the PNG is cut short. Copy or save the picture again.")


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, memoryview, int]]:
    view, start = memoryview(content), 8
    while start + 12 <= len(view):
        length, kind = (
            int.from_bytes(view[start : start + 4]),
            bytes(view[start + 4 : start + 8]),
        )
        end = start + 8 + length
        if end + 4 > len(view):
            return
        yield kind, view[start + 8 : end], int.from_bytes(view[end : end + 4])
        if kind == b"IEND":
            return
        start = end + 4


def _decoded(image: Image.Image, content: bytes, kind: str) -> Picture:
    """Decode the first frame and bring it to upright 8-bit RGB."""
    notes = []
    if image.format != "MPO" and getattr(image, "is_animated", False):
        # MPO is a photo with a second view or a depth map behind it, not an animation.
        notes.append("animated: first frame used")
    sixteen_bits = kind == "PNG" and content[24] == 16
    if sixteen_bits:
        notes.append("16 bits a channel scaled to 8")
    image.load()
    orientation = _orientation(image)
    if image.mode == "CMYK":
        notes.append("CMYK converted to RGB")
    rgb, see_through = _opaque_rgb(_eight_bits(image) if sixteen_bits else image)
    if see_through:
        notes.append("transparency laid over white")
    if orientation in _UPRIGHT:
        rgb = rgb.transpose(_UPRIGHT[orientation])
        notes.append("turned upright by its EXIF orientation")
    return Picture(np.array(rgb, dtype=np.uint8), tuple(notes))


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or it cannot be read."""
    value = 1
    if image.format == "PNG" and not _METADATA & image.info.keys():
        return value  # to look for it takes as long as to decode a small picture
    # Metadata of any shape must not cost the picture.
    with _warnings_lock, warnings.catch_warnings(), contextlib.suppress(Exception):
        warnings.simplefilter("ignore")
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _eight_bits(image: Image.Image) -> Image.Image:
    """A 16-bit PNG as an 8-bit picture; its transparent colour, where it names one, becomes an alpha channel.

    Pillow clips 16-bit grey to 0..255 on conversion, so that a photo turns white; colour it scales itself.
    """
    clear = image.info.get("transparency")
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.uint32)
        grey = Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
        if not isinstance(clear, int):
            return grey
        return Image.merge(
            "LA",
            (grey, Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8))),
        )
    if isinstance(clear, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in clear)
    return image


def _opaque_rgb(image: Image.Image) -> tuple[Image.Image, bool]:
    """The picture in RGB over white, and whether any of it was transparent."""
    if not (image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info):
        return (image if image.mode == "RGB" else image.convert("RGB")), False
    layers = image.convert("RGBA")
    if layers.getchannel("A").getextrema() == (255, 255):
        return layers.convert("RGB"), False
    white = Image.new("RGBA", layers.size, "white")
    return Image.alpha_composite(white, layers).convert("RGB"), True


def _reason(error: BaseException) -> str:
    """What a library said, as one short clause."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    text = str(text).partition(" <_io.")[0]  # Pillow names the Python object it read from
    return " ".join(str(text).split())[:120].rstrip(".")
