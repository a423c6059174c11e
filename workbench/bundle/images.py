"""Decode untrusted bytes into a uint8 image. No torch: the production application reads images with this module alone.

The format is determined by content, sizes are capped before anything is decoded, and whatever goes wrong inside a
decoder becomes an ImageError of one sentence.
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
from workbench.wording import one_line

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MAX_BYTES = 32 * 2**20
MAX_PIXELS = 64_000_000
# A small file can keep a decoder busy for minutes with very many parts, or very many passes over the pixels. Cameras
# and editors stay far below these limits (libpng splits its data at 8 KB, a colour profile takes at most 255 parts).
MAX_PNG_CHUNKS = 20_000
MAX_JPEG_SEGMENTS = 600
MAX_JPEG_PADDING = 4096
MAX_JPEG_SCANS = 50

_ORIENTATION_TAG = 0x0112
_METADATA = {"exif", "xmp", "Raw profile type exif", "XML:com.adobe.xmp"}  # where Pillow finds the orientation in a PNG
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# How other files begin, so that an error can name what it refuses.
_OTHER_FORMATS = (
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"%PDF", "a PDF document"),
    (b"8BPS", "a Photoshop file"),
    (b"\0\0\1\0", "a Windows icon"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (b"PK\3\4", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)

# Pillow warns about odd metadata. Warning filters are global, so only one thread at a time may change them.
_warnings_lock = threading.Lock()


class ImageError(WorkbenchError):
    """An image is refused; the message names it, the reason, and what would be accepted."""


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """A decoded image: pixels uint8 (H, W, 3), upright RGB; notes list the conversions that were applied."""

    pixels: NDArray[np.uint8]
    notes: tuple[str, ...] = ()


def read_image(
    source: bytes | Path,
    *,
    name: str | None = None,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
) -> DecodedImage:
    """Decode a PNG, JPEG, WebP, GIF or BMP image from bytes or a file.

    The format is determined by the content, not by the file name. Anything but plain RGB is converted: palette and grey
    silently, the rest with a note: CMYK (without its colour profile), 16 bits per channel (scaled to 8), transparency
    (composited over white), an animation (its first frame), an EXIF orientation (applied). Sizes are checked before
    decoding. name: what messages call the image. Raises ImageError, and nothing else, for what cannot be read.

    >>> from workbench.folders import REFERENCE
    >>> image = wb.read_image(REFERENCE / "self_test" / "00.png")
    >>> image.pixels.shape, image.notes
    ((32, 32, 3), ())
    """
    try:
        content = _content(source, max_bytes)
        return _decode(content, _format(content), max_pixels)
    except ImageError as error:
        name = name or (source.name if isinstance(source, Path) else "the image")
        raise ImageError(f"{name}: {error}") from error


def _content(source: bytes | Path, max_bytes: int) -> bytes:
    """Return the bytes, never reading more than `max_bytes` and one."""
    if isinstance(source, Path):
        try:
            # Only a regular file has an end: a pipe or a device could be read forever.
            if not source.is_file():
                what = "is a folder" if source.is_dir() else "is not a file" if source.exists() else "does not exist"
                raise ImageError(f"{what}. Give the path of an image.")
            with source.open("rb") as file:
                content = file.read(max_bytes + 1)
        except (OSError, ValueError) as error:
            raise ImageError(f"cannot be read ({_reason(error)}).") from error
    elif isinstance(source, (bytes, bytearray, memoryview)):
        content = source if isinstance(source, bytes) else bytes(source[: max_bytes + 1])
    else:
        raise ImageError(f"must be bytes or a Path, not {type(source).__name__}.")
    if not content:
        raise ImageError("is empty (0 bytes).")
    if len(content) > max_bytes:
        raise ImageError(f"is larger than the limit of {max_bytes / 1e6:,.1f} MB. Save it smaller.")
    return content


def _format(content: bytes) -> str:
    """Return one of FORMATS by how the content begins. Raises ImageError that names what it is otherwise."""
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
    raise ImageError(f"is {_other_format(content)}, not an image in PNG, JPEG, WebP, GIF or BMP format.")


def _other_format(content: bytes) -> str:
    for beginning, what in _OTHER_FORMATS:
        if content.startswith(beginning):
            return what
    if content[4:8] == b"ftyp":
        brand = content[8:12]
        return "an AVIF image" if brand.startswith(b"avi") else "an HEIC image or a video"
    head = content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<svg", b"<?xml", b"<!doctype", b"<html")):
        return "an SVG drawing" if b"<svg" in head else "an HTML or XML page"
    try:
        text = content[:1024].decode("utf-8", errors="strict" if len(content) <= 1024 else "ignore")
    except UnicodeDecodeError:
        return "of an unknown kind"
    printable = sum(letter.isprintable() or letter in "\t\r\n" for letter in text)
    return "text" if printable == len(text) else "of an unknown kind"


def _decode(content: bytes, kind: str, max_pixels: int) -> DecodedImage:
    try:
        with _open(content, kind, max_pixels) as image:
            return _upright_rgb(image, content, kind)
    except ImageError:
        raise
    except Exception as error:  # there is no list of what a decoder raises on damaged bytes
        raise ImageError(f"damaged {kind} ({_reason(error)}). Save the image again.") from error


def _open(content: bytes, kind: str, max_pixels: int) -> Image.Image:
    """Read the header and refuse what is too large or incomplete; no pixel is decoded yet."""
    if kind == "PNG":
        _check_png(content)
    if kind == "JPEG":
        _check_jpeg(content)
    if kind == "WEBP":
        # Pillow's WebP reader allocates the whole canvas on opening, so the size is checked first.
        _check_size(_webp_size(content), max_pixels)
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(content), formats=(kind,))
        except Image.DecompressionBombError as error:
            limit = min(max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or max_pixels))
            raise ImageError(f"has more pixels than the limit of {limit:,}. Save it smaller.") from error
    _check_size(image.size, max_pixels)
    return image


def _check_size(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise ImageError(f"has no pixels ({width}×{height}).")
    if width * height > max_pixels:
        raise ImageError(f"has {width:,}×{height:,} pixels, more than the limit of {max_pixels:,}. Save it smaller.")


def _webp_size(content: bytes) -> tuple[int, int]:
    """Return width and height from the header of a WebP file (RFC 9649), or (0, 0) if it has none."""
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


def _check_jpeg(content: bytes) -> None:
    """Refuse more segments, padding between them, or scans than an image needs."""
    start, segments, padding = 2, 0, 0
    # Pillow reads segments and padding up to the first scan one by one, and concatenates metadata for each.
    while segments <= MAX_JPEG_SEGMENTS and padding <= MAX_JPEG_PADDING and start + 4 <= len(content):
        marker = content[start + 1]
        if content[start] != 0xFF or marker in (0x00, 0xFF):
            start, padding = start + 1, padding + 1
        elif marker == 0xDA:
            break
        else:
            # These have no length; every other segment begins with its own.
            alone = marker == 0xC8 or 0xD0 <= marker <= 0xD9 or 0xF0 <= marker <= 0xFD
            start += 2 if alone else 2 + max(2, int.from_bytes(content[start + 2 : start + 4]))
            segments += 1
    # Within a scan 0xFF is always followed by 0 or a restart marker, so these two bytes can only begin a scan.
    scans = content.count(b"\xff\xda")
    if segments > MAX_JPEG_SEGMENTS or padding > MAX_JPEG_PADDING or scans > MAX_JPEG_SCANS:
        raise ImageError("has more parts than any ordinary JPEG. Save it again with an editor.")


def _check_png(content: bytes) -> None:
    """Refuse a critical chunk that is cut short or fails its checksum: Pillow ignores the checksums of pixel data."""
    seen: list[bytes] = []
    for kind, body, checksum in _png_chunks(content):
        seen.append(kind)
        if len(seen) > MAX_PNG_CHUNKS:
            raise ImageError("has more parts than any ordinary PNG. Save it again with an editor.")
        if kind[:1].isupper() and zlib.crc32(body, zlib.crc32(kind)) != checksum:
            raise ImageError(f"damaged PNG (the checksum of its {kind!r} part is wrong). Save it again.")
    if b"IEND" not in seen:
        raise ImageError("the PNG is cut short. Copy or save the image again.")


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, memoryview, int]]:
    view, start = memoryview(content), 8
    while start + 12 <= len(view):
        length, kind = int.from_bytes(view[start : start + 4]), bytes(view[start + 4 : start + 8])
        end = start + 8 + length
        if end + 4 > len(view):
            return
        yield kind, view[start + 8 : end], int.from_bytes(view[end : end + 4])
        if kind == b"IEND":
            return
        start = end + 4


def _upright_rgb(image: Image.Image, content: bytes, kind: str) -> DecodedImage:
    """Decode the first frame and convert it to upright 8-bit RGB."""
    notes = []
    if image.format != "MPO" and getattr(image, "is_animated", False):
        # MPO is a photo with a second view or a depth map behind it, not an animation.
        notes.append("animated: first frame used")
    sixteen_bits = kind == "PNG" and content[24] == 16
    if sixteen_bits:
        notes.append("16 bits per channel scaled to 8")
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
    return DecodedImage(np.array(rgb, dtype=np.uint8), tuple(notes))


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 if there is none or it cannot be read."""
    value = 1
    if image.format == "PNG" and not _METADATA & image.info.keys():
        return value  # looking for it takes as long as decoding a small image
    # Broken metadata must not lose the image.
    with _warnings_lock, warnings.catch_warnings(), contextlib.suppress(Exception):
        warnings.simplefilter("ignore")
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return a 16-bit PNG as an 8-bit image; the transparent colour, if it names one, becomes an alpha channel.

    Pillow clips 16-bit grey to 0..255 on conversion, which turns photos white; it scales colour correctly.
    """
    clear = image.info.get("transparency")
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.uint32)
        grey = Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
        if not isinstance(clear, int):
            return grey
        alpha = Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8))
        return Image.merge("LA", (grey, alpha))
    if isinstance(clear, tuple):
        image.info["transparency"] = tuple(value >> 8 for value in clear)
    return image


def _opaque_rgb(image: Image.Image) -> tuple[Image.Image, bool]:
    """Return the image in RGB over white, and whether any of it was transparent."""
    if not (image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info):
        return (image if image.mode == "RGB" else image.convert("RGB")), False
    layers = image.convert("RGBA")
    if layers.getchannel("A").getextrema() == (255, 255):
        return layers.convert("RGB"), False
    white = Image.new("RGBA", layers.size, "white")
    return Image.alpha_composite(white, layers).convert("RGB"), True


def _reason(error: BaseException) -> str:
    """Return the message of a library's exception as one short clause."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    text = str(text).partition(" <_io.")[0]  # Pillow names the Python object it read from
    return one_line(text).rstrip(".")
