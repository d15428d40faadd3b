"""Pictures: what is read without loss, and one clear line for everything that would be a guess."""

import errno
import os
import resource
import struct
import time
import zlib
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from flawsmith.data.images import (
    encode_bmp,
    encode_jpeg,
    encode_png,
    image_size,
    read_image,
    read_index,
    write_png,
)
from flawsmith.errors import InputError, OutputError

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], axis=2)
NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
OPAQUE = np.full((6, 8), 255, np.uint8)


def save(path: Path, pixels: Any, mode: str | None = None, **options: Any) -> Path:
    picture = Pillow.fromarray(pixels)
    assert mode is None or picture.mode == mode
    picture.save(path, **options)
    return path


def complaint(read: Any, path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    line = str(caught.value)
    assert line.startswith(f"{path}: ")
    assert "\n" not in line
    return line


def chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *more: bytes) -> bytes:
    """A PNG written by hand: header, further chunks, pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *more, chunk(b"IDAT", zlib.compress(rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".webp", ".PNG"])
@pytest.mark.parametrize("pixels", [GREY, COLOUR])
def test_lossless_files_keep_every_pixel(tmp_path: Path, suffix: str, pixels: Any) -> None:
    options = {"lossless": True, "exact": True} if suffix == ".webp" else {}
    path = save(tmp_path / f"a{suffix}", pixels, **options)
    found = read_image(path)
    assert found.dtype == np.uint8
    # WebP has no grey.
    wanted = np.dstack([pixels] * 3) if suffix == ".webp" and pixels.ndim == 2 else pixels
    assert np.array_equal(found, wanted)
    assert image_size(path) == (8, 6)


def test_a_jpeg_comes_as_pillow_decodes_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encode_jpeg(COLOUR))
    found = read_image(path)
    assert np.array_equal(found, np.array(Pillow.open(path)))
    assert np.abs(found.astype(int) - COLOUR).mean() < 12
    path.write_bytes(encode_jpeg(GREY))
    assert read_image(path).shape == (6, 8)


def test_palette_and_one_bit_pictures_are_expanded(tmp_path: Path) -> None:
    indices = GREY // 100
    picture = Pillow.new("P", (8, 6))
    picture.putdata(indices.ravel().tolist())
    palette = np.array([(9, 8, 7), (200, 0, 0), (0, 0, 250)], np.uint8)
    picture.putpalette(palette.ravel().tolist())
    picture.save(tmp_path / "p.png")
    assert np.array_equal(read_image(tmp_path / "p.png"), palette[indices])
    assert np.array_equal(read_index(tmp_path / "p.png"), indices)
    save(tmp_path / "bit.png", GREY > 100, "1")
    assert np.array_equal(read_image(tmp_path / "bit.png"), (GREY > 100) * np.uint8(255))
    assert np.array_equal(read_index(tmp_path / "bit.png"), (GREY > 100).astype(np.uint8))


def test_opaque_alpha_is_dropped_and_any_transparency_refused(tmp_path: Path) -> None:
    holes = OPAQUE.copy()
    holes[2, 3] = 254
    for alpha, fine in ((OPAQUE, True), (holes, False)):
        rgba = save(tmp_path / "c.png", np.dstack([COLOUR, alpha]), "RGBA")
        grey = save(tmp_path / "g.png", np.dstack([GREY, alpha]), "LA")
        for path, wanted in ((rgba, COLOUR), (grey, GREY)):
            if fine:
                assert np.array_equal(read_image(path), wanted)
            else:
                assert "partly transparent (mend: flatten" in complaint(read_image, path)
    assert "partly transparent" in complaint(read_index, tmp_path / "g.png")


@pytest.mark.parametrize(
    ("colour", "rows", "key", "fine"),
    [
        (0, b"\0\x07\x09", struct.pack(">H", 7), False),
        (0, b"\0\x07\x09", struct.pack(">H", 8), True),
        (2, b"\0\1\2\3\4\5\6", struct.pack(">HHH", 4, 5, 6), False),
        (2, b"\0\1\2\3\4\5\6", struct.pack(">HHH", 4, 5, 7), True),
    ],
)
def test_a_colour_that_means_transparent_counts(
    tmp_path: Path, colour: int, rows: bytes, key: bytes, fine: bool
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(2, 1, 8, colour, rows, chunk(b"tRNS", key)))
    if fine:
        assert read_image(path).ravel().tolist() == list(rows[1:])
    else:
        assert "partly transparent" in complaint(read_image, path)


def test_16_bit_pictures_are_refused(tmp_path: Path) -> None:
    deep = GREY.astype(np.uint16) * 200
    files = [save(tmp_path / f"d.{suffix}", deep, "I;16") for suffix in ("png", "tif")]
    # Pillow reads 16-bit RGB by dropping the low byte without a word.
    rgb = tmp_path / "rgb.png"
    rgb.write_bytes(png(1, 1, 16, 2, b"\0" + bytes([1, 2, 3, 4, 5, 6])))
    alpha = tmp_path / "la.png"
    alpha.write_bytes(png(1, 1, 16, 4, b"\0" + bytes([1, 2, 255, 255])))
    for path in [*files, rgb, alpha]:
        line = complaint(read_image, path)
        assert "8-bit grey or RGB; this one is" in line
        assert "16 bits" in line
    assert "16 bits" in complaint(read_index, rgb)


@pytest.mark.parametrize(
    ("mode", "suffix"), [("CMYK", "jpg"), ("I", "tif"), ("F", "tif"), ("LAB", "tif")]
)
def test_other_colour_spaces_are_named(tmp_path: Path, mode: str, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Pillow.new(mode, (8, 6)).save(path)
    line = complaint(read_image, path)
    assert f"this one is {mode}" in line
    assert "(mend: convert it" in line


def test_a_picture_to_be_shown_turned_is_refused(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[274] = 6
    for name in ("a.jpg", "a.png"):
        path = save(tmp_path / name, GREY, exif=exif)
        assert "EXIF orientation" in complaint(read_image, path)
    assert "auto-orient" in complaint(read_index, tmp_path / "a.png")
    exif[274] = 1
    assert read_image(save(tmp_path / "b.jpg", NOISE, exif=exif)).shape == (64, 64, 3)


def test_broken_exif_is_no_crash(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", NOISE, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    with suppress(InputError):
        assert read_image(path).shape == (64, 64, 3)


def test_files_of_several_pictures_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    pages = [Pillow.fromarray(GREY), Pillow.fromarray(GREY)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    assert "several pictures (mend: save one a file)" in complaint(read_image, path)
    assert "several pictures" in complaint(read_index, path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp"])
@pytest.mark.parametrize("share", [0.03, 0.5, 0.9])
def test_pictures_cut_short_are_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = save(tmp_path / f"a.{suffix}", NOISE)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    for read in (read_image, read_index):
        assert "(mend: replace or remove the file)" in complaint(read, path)


def test_a_palette_png_cut_short_is_refused(tmp_path: Path) -> None:
    Pillow.fromarray(NOISE).convert("P").save(tmp_path / "p.png")
    content = (tmp_path / "p.png").read_bytes()
    (tmp_path / "p.png").write_bytes(content[: len(content) // 2])
    assert "broken or cut short" in complaint(read_image, tmp_path / "p.png")


@pytest.mark.parametrize("content", [b"hello", b"", b"\0" * 300, b"<svg/>", b"GIF89a"])
def test_other_files_with_a_pictures_name_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    for read in (read_image, read_index, image_size):
        assert "not a picture that can be read" in complaint(read, path)


def test_missing_files_folders_and_forbidden_files_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "does not exist" in complaint(read_image, tmp_path / "none.png")
    assert "is a folder" in complaint(read_image, tmp_path)
    path = save(tmp_path / "a.png", GREY)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Pillow, "open", refuse)
    assert "permission denied" in complaint(read_image, path)


def test_a_header_that_claims_60000x60000_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    path.write_bytes(png(60_000, 60_000, 8, 0, b"\0" * 1000))
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    for read in (read_image, read_index, image_size):
        assert "more pixels than the limit" in complaint(read, path)
    assert time.perf_counter() - start < 1
    # In KiB: the picture itself would take 3.5 GiB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


@pytest.mark.parametrize(
    ("bits", "values"), [(1, [1, 0, 1, 1]), (2, [3, 0, 1, 2]), (4, [15, 1, 2, 0])]
)
def test_masks_of_few_bits_give_the_values_in_the_file(
    tmp_path: Path, bits: int, values: list[int]
) -> None:
    packed = int("".join(f"{value:0{bits}b}" for value in values), 2) << (-4 * bits % 8)
    path = tmp_path / "m.png"
    path.write_bytes(png(4, 1, bits, 0, b"\0" + packed.to_bytes(-(-4 * bits // 8), "big")))
    assert read_index(path).tolist() == [values]


def test_masks_in_colour_are_refused_and_grey_ones_in_rgb_read(tmp_path: Path) -> None:
    line = complaint(read_index, save(tmp_path / "m.png", COLOUR))
    assert "the mask is a colour picture (mend: save class numbers" in line
    assert np.array_equal(read_index(save(tmp_path / "g.png", np.dstack([GREY] * 3))), GREY)
    assert np.array_equal(read_index(save(tmp_path / "a.png", np.dstack([GREY, OPAQUE]))), GREY)
    Pillow.new("CMYK", (8, 6)).save(tmp_path / "c.tif")
    assert "this one is CMYK" in complaint(read_index, tmp_path / "c.tif")


def test_masks_of_16_bits_are_read_while_their_values_fit(tmp_path: Path) -> None:
    small = GREY.astype(np.uint16)
    found = read_index(save(tmp_path / "m.png", small, "I;16"))
    assert found.dtype == np.uint8
    assert np.array_equal(found, GREY)
    line = complaint(read_index, save(tmp_path / "l.png", small + 100, "I;16"))
    assert "run from 100 to 335" in line


@pytest.mark.parametrize("bad", [0.5, -1.0, 256.0, float("nan"), float("inf")])
def test_float_masks_need_whole_numbers(tmp_path: Path, bad: float) -> None:
    values = GREY.astype(np.float32)
    assert np.array_equal(read_index(save(tmp_path / "m.tif", values, "F")), GREY)
    values[1, 1] = bad
    assert "whole numbers up to 255" in complaint(read_index, save(tmp_path / "n.tif", values))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.booleans(), st.integers(0, 2**32 - 1))
def test_written_pictures_come_back(width: int, height: int, grey: bool, seed: int) -> None:
    shape = (height, width) if grey else (height, width, 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    assert encode_png(pixels) == encode_png(pixels.copy(order="F"))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.png"
        write_png(path, pixels)
        assert np.array_equal(read_image(path), pixels)
        assert np.array_equal(np.array(Pillow.open(path)), pixels)
        path.write_bytes(encode_bmp(pixels))
        assert np.array_equal(read_image(path), pixels)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_a_file_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(OutputError) as caught:
        write_png(tmp_path / "a.png", GREY)
    assert str(caught.value) == f"{tmp_path / 'a.png'}: cannot be written: {os.strerror(code)}"
