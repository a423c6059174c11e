"""Reading hostile and odd images."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from workbench.bundle.images import ImageError, read_image

STRESS = os.environ.get("WORKBENCH_STRESS") == "1"

# A smooth image with a sharp corner mark, so that turning and cutting show.
_Y, _X = np.mgrid[:48, :64]
RGB = np.stack([_X * 4, _Y * 5, (_X + _Y) * 2], axis=-1).astype(np.uint8)
RGB[:12, :12] = (255, 0, 0)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def raw_png(width: int, height: int, depth: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


PLAIN = Image.fromarray(RGB)
GOOD = {
    "png": saved(PLAIN, "PNG"),
    "jpeg": saved(PLAIN, "JPEG", quality=95),
    "progressive": saved(PLAIN, "JPEG", quality=90, progressive=True),
    "webp": saved(PLAIN, "WEBP", quality=95),
    "webp-lossless": saved(PLAIN, "WEBP", lossless=True),
    "gif": saved(PLAIN, "GIF"),
    "bmp": saved(PLAIN, "BMP"),
    "rgba": saved(PLAIN.convert("RGBA"), "PNG"),
    "palette": saved(PLAIN.quantize(16), "PNG", transparency=3),
    "grey16": saved(Image.fromarray(RGB[..., 0].astype(np.uint16) * 257), "PNG"),
    "exif": saved(
        PLAIN, "JPEG", exif=b"Exif\0\0" + (lambda e: (e.__setitem__(0x0112, 6), e.tobytes())[1])(Image.Exif())
    ),
    "cmyk": saved(PLAIN.convert("CMYK"), "JPEG"),
    "animated": saved(PLAIN, "GIF", save_all=True, append_images=[ImageOps.invert(PLAIN)]),
    "animated-webp": saved(PLAIN, "WEBP", save_all=True, lossless=True, append_images=[ImageOps.invert(PLAIN)]),
}


# ---- what is read -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind", ["png", "jpeg", "progressive", "webp", "webp-lossless", "gif", "bmp", "palette", "rgba"]
)
def test_pixels_are_those_that_pillow_decodes(kind: str) -> None:
    image = read_image(GOOD[kind])
    with Image.open(io.BytesIO(GOOD[kind])) as opened:
        layers = opened.convert("RGBA")
    expected = Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")
    assert image.pixels.dtype == np.uint8
    assert np.array_equal(image.pixels, np.asarray(expected))
    assert (image.notes == ()) == (kind != "palette")


def test_a_file_is_judged_by_its_content_and_named_in_messages(tmp_path: Path) -> None:
    wrong = tmp_path / "holiday.jpg"
    wrong.write_bytes(GOOD["png"])
    assert np.array_equal(read_image(wrong).pixels, RGB)
    wrong.write_bytes(b"no image at all, but a letter")
    with pytest.raises(ImageError, match=r"^holiday\.jpg: is text"):
        read_image(wrong)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_applied(orientation: int, kind: str) -> None:
    options: dict[str, Any] = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}
    content = saved(PLAIN, kind, exif=turned(orientation), **options)
    with Image.open(io.BytesIO(content)) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    image = read_image(content)
    assert np.array_equal(image.pixels, expected)
    assert bool(image.notes) == (orientation != 1)


def test_broken_exif_does_not_cost_the_image() -> None:
    content = saved(PLAIN, "JPEG", quality=95, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xee" * 40)
    assert np.array_equal(read_image(content).pixels, read_image(GOOD["jpeg"]).pixels)


def test_cmyk_becomes_rgb() -> None:
    image = read_image(GOOD["cmyk"])
    assert image.notes == ("CMYK converted to RGB",)
    assert np.abs(image.pixels.astype(int) - RGB).mean() < 4


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    image = read_image(saved(Image.fromarray(values), "PNG"))
    assert np.array_equal(image.pixels[..., 0], np.rint(values / 257).astype(np.uint8))
    assert image.notes == ("16 bits per channel scaled to 8",)


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (6, 4), (4, 2)])
def test_sixteen_bit_colour_keeps_its_high_bytes(colour: int, channels: int) -> None:
    values = np.random.default_rng(colour).integers(0, 65536, (9, 7, channels), dtype=np.uint16)
    if channels in (2, 4):
        values[..., -1] = 65535
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    pixels = read_image(raw_png(7, 9, 16, colour, rows)).pixels
    shown = values[..., :3] if channels > 2 else np.repeat(values[..., :1], 3, axis=-1)
    assert np.abs(pixels.astype(int) - shown / 257).max() <= 1


def test_sixteen_bit_transparent_colour_turns_white() -> None:
    grey = np.array([[1000, 1001]], dtype=">u2")
    content = raw_png(2, 1, 16, 0, b"\0" + grey.tobytes(), chunk(b"tRNS", struct.pack(">H", 1000)))
    image = read_image(content)
    assert image.pixels[0].tolist() == [[255] * 3, [4] * 3]
    assert "transparency laid over white" in image.notes


def test_alpha_is_laid_over_white() -> None:
    layers = np.dstack([RGB, np.linspace(0, 255, RGB[..., 0].size).reshape(48, 64).astype(np.uint8)])
    image = read_image(saved(Image.fromarray(layers), "PNG"))
    alpha = layers[..., 3:] / 255
    assert np.abs(image.pixels - (RGB * alpha + 255 * (1 - alpha))).max() <= 1
    assert image.notes == ("transparency laid over white",)


@pytest.mark.parametrize("kind", ["animated", "animated-webp"])
def test_an_animation_gives_its_first_frame(kind: str) -> None:
    image = read_image(GOOD[kind])
    assert image.notes == ("animated: first frame used",)
    assert np.abs(image.pixels.astype(int) - RGB).mean() < 12


# ---- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.stress
@pytest.mark.parametrize("kind", GOOD)
def test_a_image_cut_short_is_refused(kind: str) -> None:
    content = GOOD[kind]
    # An animation is whole once its first frame is, and a GIF needs no end mark.
    last = len(content) // 3 if "animated" in kind else len(content) - 3
    lengths = range(len(content)) if STRESS else np.linspace(0, last, 60).astype(int)
    for length in (n for n in lengths if n <= last):
        with pytest.raises(ImageError):
            read_image(content[:length])


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "is empty"),
        (b"hello", "is text"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"II*\0" + bytes(40), "a TIFF image"),
        (b"\0\0\0 ftypavif" + bytes(40), "an AVIF image"),
        (b"\0\0\0 ftypheic" + bytes(40), "an HEIC image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"<!DOCTYPE html><p>404", "an HTML"),
        (b"PK\3\4" + bytes(40), "a ZIP archive"),
        (bytes(range(256)), "of an unknown kind"),
        (b"P6 2 2 255\n" + bytes(12), "of an unknown kind"),
    ],
)
def test_anything_else_is_named_and_refused(content: bytes, what: str) -> None:
    with pytest.raises(ImageError, match=what):
        read_image(content)


def test_a_damaged_png_is_refused() -> None:
    content = bytearray(GOOD["png"])
    content[len(content) // 2] ^= 1
    with pytest.raises(ImageError, match="checksum"):
        read_image(bytes(content))


def test_bytes_and_pixels_are_capped(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="larger than the limit"):
        read_image(GOOD["bmp"], max_bytes=1000)
    big = tmp_path / "big.bmp"
    big.write_bytes(GOOD["bmp"])
    with pytest.raises(ImageError, match=r"big\.bmp: is larger"):
        read_image(big, max_bytes=1000)
    for kind in GOOD:
        with pytest.raises(ImageError, match="than the limit of 3,071"):
            read_image(GOOD[kind], max_pixels=64 * 48 - 1)
        assert read_image(GOOD[kind], max_pixels=64 * 48).pixels.size == 64 * 48 * 3


def bomb(kind: str) -> bytes:
    """A few bytes that claim 13,000 × 13,000 pixels: more than our limit, less than Pillow's own."""
    side = 13_000
    if kind == "png":
        return raw_png(side, side, 8, 6, b"")
    if kind == "gif":
        return GOOD["gif"][:6] + struct.pack("<HH", side, side) + GOOD["gif"][10:]
    if kind == "bmp":
        return GOOD["bmp"][:18] + struct.pack("<ii", side, side) + GOOD["bmp"][26:]
    if kind == "webp":
        canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (side - 1).to_bytes(3, "little") * 2
        body = b"WEBP" + canvas + GOOD["webp-lossless"][12:]
        return b"RIFF" + struct.pack("<I", len(body)) + body
    place = GOOD["jpeg"].index(b"\xff\xc0")
    return GOOD["jpeg"][: place + 5] + struct.pack(">HH", side, side) + GOOD["jpeg"][place + 9 :]


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a process by Linux's means")
def test_decompression_bombs_are_refused_before_decoding(tmp_path: Path) -> None:
    for kind in ("png", "gif", "bmp", "webp", "jpeg"):
        (tmp_path / kind).write_bytes(bomb(kind))
    # Each of them decoded would take 507 MB or more; the process may have 400 MB beyond what it starts with.
    code = """
import resource, sys
from pathlib import Path
from workbench.bundle.images import ImageError, read_image
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 400 * 2**20,) * 2)
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        read_image(path)
    except ImageError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, tmp_path], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 5, done.stdout + done.stderr
    assert all("than the limit of 64,000,000" in line for line in lines)
    assert done.stderr == ""


@pytest.mark.parametrize(
    "content",
    [
        GOOD["jpeg"][:2] + b"\xff\xe1\0\x20Exif\0\0" + b"x" * 24 + GOOD["jpeg"][2:],
        GOOD["png"][:33] + chunk(b"tEXt", b"a\0b") * 100 + GOOD["png"][33:],
    ],
)
def test_some_metadata_is_ordinary(content: bytes) -> None:
    read_image(content)


@pytest.mark.parametrize(
    "content",
    [
        GOOD["jpeg"][:2] + b"\xff\xe5\0\2" * 10_000 + GOOD["jpeg"][2:],
        GOOD["jpeg"][:2] + b"\xff\xf0\xff\xff" * 10_000 + GOOD["jpeg"][2:],
        GOOD["jpeg"][:2] + b"\xff" * 10_000 + GOOD["jpeg"][2:],
        GOOD["jpeg"][:-2] + b"\xff\xda\0\x08\1\1\0\0\x3f\0" * 100 + b"\xff\xd9",
        GOOD["png"][:33] + chunk(b"tEXt", b"a\0b") * 30_000 + GOOD["png"][33:],
    ],
)
def test_images_made_to_keep_a_decoder_busy_are_refused(content: bytes) -> None:
    with pytest.raises(ImageError, match="more parts than any ordinary"):
        read_image(content)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is a folder"):
        read_image(tmp_path)
    with pytest.raises(ImageError, match="does not exist"):
        read_image(tmp_path / "missing.png")
    with pytest.raises(ImageError, match=r"cannot be read|does not exist"):
        read_image(tmp_path / ("x" * 5000))
    with pytest.raises(ImageError, match="not str"):
        read_image("cat.png")  # type: ignore[arg-type]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ImageError, match="is not a file"):
            read_image(tmp_path / "pipe")


Mutation = Callable[[bytearray], None]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A real image with a few bytes changed, removed, repeated or inserted."""
    content = bytearray(GOOD[draw(st.sampled_from(sorted(GOOD)))])
    for _ in range(draw(st.integers(1, 6))):
        # Headers are short and matter most: half of the changes fall into the first 80 bytes.
        place = draw(st.integers(0, min(80, len(content)) if draw(st.booleans()) else len(content)))
        action = draw(st.sampled_from(["flip", "set", "cut", "repeat", "insert"]))
        if action in ("flip", "set") and place < len(content):
            content[place] = (
                content[place] ^ (1 << draw(st.integers(0, 7)))
                if action == "flip"
                else draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
            )
        elif action == "cut":
            del content[place : place + draw(st.integers(1, 40))]
        elif action == "repeat":
            content[place:place] = content[place : place + draw(st.integers(1, 40))]
        else:
            content[place:place] = draw(st.binary(min_size=1, max_size=12))
    if draw(st.booleans()) and content.startswith(b"\x89PNG"):
        content = bytearray(with_right_checksums(bytes(content)))
    return bytes(content)


def with_right_checksums(content: bytes) -> bytes:
    """So that a changed PNG gets past its checksums, to the decoder."""
    parts, start = [content[:8]], 8
    while start + 12 <= len(content):
        length = int.from_bytes(content[start : start + 4])
        if start + 12 + length > len(content):
            break
        parts.append(chunk(content[start + 4 : start + 8], content[start + 8 : start + 8 + length]))
        start += 12 + length
    return b"".join(parts)


@pytest.mark.stress
@settings(max_examples=20_000 if STRESS else 300, deadline=None, derandomize=not STRESS)
@given(mutated())
@example(bytes(bomb("webp"))[:30])
def test_any_bytes_give_a_image_or_a_image_error(content: bytes) -> None:
    try:
        image = read_image(content)
    except ImageError as error:
        text = str(error)
        assert text.startswith("the image: ")
        assert "\n" not in text
        assert len(text) < 400
    else:
        assert image.pixels.dtype == np.uint8
        assert image.pixels.ndim == 3
        assert image.pixels.shape[2] == 3
        assert image.pixels.size > 0


def test_reading_in_many_threads_leaves_the_warning_filters_alone() -> None:
    import warnings

    before, interval = list(warnings.filters), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    broken_exif = saved(PLAIN, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\xee" * 40)
    threads = [threading.Thread(target=lambda: [read_image(broken_exif) for _ in range(30)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    assert list(warnings.filters) == before
