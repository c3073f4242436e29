"""Pictures of every depth: the right 8-bit values by a stated rule, or a refusal that says what the file holds."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.datasets.coco_images import take_image
from benchmarks.evaluation.inputs import read_image
from pretrain.data.images import UndecodableImage, decode_image
from scenebench.errors import UserError
from scenebench.pictures import depth_of, to_rgb

SHAPE = (30, 40)
EIGHT = np.linspace(20, 230, 1200).round().reshape(SHAPE)  # the picture that all sound variants show


def read(path: Path) -> np.ndarray:
    """Height x width x 3, after the three readers were found to agree."""
    by_pretraining = decode_image(path).permute(1, 2, 0).numpy()
    assert np.array_equal(np.asarray(read_image(path)), by_pretraining)
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(to_rgb(image, depth_of(image))), by_pretraining)
    return by_pretraining


@pytest.mark.parametrize(
    ("name", "values", "within"),
    [
        ("0 to 1", (EIGHT / 255).astype(np.float32), 0),
        ("0 to 1 and a rounding", np.where(EIGHT == 230, 1.0000001, EIGHT / 255).astype(np.float32), 25),
        ("0 to 255", EIGHT.astype(np.float32), 0),
        ("0 to 65535", (EIGHT * 257).astype(np.float32), 0),
        ("32-bit integers of 8 bits", EIGHT.astype(np.int32), 0),
        ("32-bit integers of 16 bits", (EIGHT * 257).astype(np.int32), 0),
        ("16 bits", (EIGHT * 257).astype(np.uint16), 0),
        ("8 bits in 16", EIGHT.astype(np.uint16), 0),
        ("dark, scaled up from 8 bits", (EIGHT // 32 * 257).astype(np.uint16), 230),
    ],
)
def test_what_is_clear_becomes_the_picture(tmp_path: Path, name: str, values: np.ndarray, within: int) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(values).save(path)
    difference = np.abs(read(path).astype(int) - EIGHT[:, :, None])
    assert difference.max() <= within
    taken = take_image(path, tmp_path / "a.jpg", (None, None), "here")
    assert (taken.width, taken.height) == (40, 30)
    with Image.open(tmp_path / "a.jpg") as prepared:
        assert np.abs(np.asarray(prepared).astype(int) - read(path)).max() < 6


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((EIGHT * 16).astype(np.uint16), r"whole numbers up to 3680: neither 8 nor 16 bits are used \(12 are\)"),
        ((EIGHT * 4).astype(np.uint16), r"up to 920: neither 8 nor 16 bits are used \(10 are\)"),
        ((EIGHT * 16).astype(np.int32), "neither 8 nor 16 bits"),
        ((EIGHT * 1000).astype(np.int32), "from 20000 to 230000, more than 16 bits"),
        ((EIGHT - 100).astype(np.int32), "from -80 to 130"),
        ((EIGHT / 127.5 - 1).astype(np.float32), "from -0.84.* no range of pictures"),
        ((EIGHT / 50).astype(np.float32), "from 0.4 to 4.6, no range"),
        (np.where(EIGHT > 200, np.nan, EIGHT / 255).astype(np.float32), "not all finite"),
        (np.where(EIGHT > 200, np.inf, EIGHT).astype(np.float32), "not all finite"),
    ],
)
def test_what_is_not_clear_is_refused_with_file_and_reason(tmp_path: Path, values: np.ndarray, message: str) -> None:
    path = tmp_path / "odd.tif"
    Image.fromarray(values).save(path)
    with pytest.raises(UndecodableImage, match=message):
        decode_image(path)
    for refused in (
        lambda: take_image(path, tmp_path / "a.jpg", (None, None), "image 'odd.tif'"),
        lambda: read_image(path),
    ):
        with pytest.raises(UserError, match=rf"odd\.tif.*{message}.*convert it to 8 bits") as caught:
            refused()
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "a.jpg").exists()


def test_black_is_black_in_every_depth(tmp_path: Path) -> None:
    for number, kind in enumerate((np.uint8, np.uint16, np.int32, np.float32)):
        path = tmp_path / f"{number}.tif"
        Image.fromarray(np.zeros(SHAPE, dtype=kind)).save(path)
        assert not read(path).any()


def deep_colours(path: Path, values: np.ndarray) -> None:
    """A PNG of 16 bits a channel (Pillow writes none): uint16, height x width x 3."""
    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def test_twelve_bits_in_colours_of_sixteen_are_not_black(tmp_path: Path) -> None:
    colours = np.stack([EIGHT, EIGHT[::-1], EIGHT[:, ::-1]], axis=2)
    deep_colours(tmp_path / "whole.png", colours * 257)
    assert np.array_equal(read(tmp_path / "whole.png"), colours.astype(np.uint8))
    for name, factor in (("12.png", 16), ("8.png", 1)):
        deep_colours(tmp_path / name, colours * factor)
        with pytest.raises(UndecodableImage, match="16-bit colours with values below .* only: it is not clear"):
            decode_image(tmp_path / name)


def test_a_tiff_that_says_twelve_bits_is_believed(tmp_path: Path) -> None:
    """Two values in three bytes; 12-bit TIFFs are those of microscopes and scanners."""
    values = (EIGHT * 16).astype(np.int64).ravel()
    packed = b"".join(
        bytes((one >> 4, (one & 15) << 4 | two >> 8, two & 255))
        for one, two in zip(values[::2].tolist(), values[1::2].tolist(), strict=True)
    )
    tags = [(256, 4, 40), (257, 4, 30), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 4, 30),
            (279, 4, len(packed))]  # fmt: skip
    entries = b"".join(
        struct.pack("<HHI", tag, kind, 1) + (struct.pack("<I", value) if kind == 4 else struct.pack("<HH", value, 0))
        for tag, kind, value in tags
    )
    head = b"II*\0" + struct.pack("<I", 8 + len(packed))
    path = tmp_path / "a.tif"
    path.write_bytes(head + packed + struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0))
    assert np.array_equal(read(path)[:, :, 0], EIGHT.astype(np.uint8))


def test_five_and_six_bits_a_colour_are_not_sixteen(tmp_path: Path) -> None:
    """A bitmap of 16 bits a pixel, dark: nothing of it is lost."""
    head = struct.pack("<2sIHHI", b"BM", 66 + 8 * 2 * 4, 0, 0, 66)
    info = struct.pack("<IiiHHIIiiII", 40, 8, 4, 1, 16, 3, 8 * 2 * 4, 0, 0, 0, 0)
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    (tmp_path / "a.bmp").write_bytes(head + info + masks + struct.pack("<32H", *[0x0861] * 32))
    assert 0 < read(tmp_path / "a.bmp").max() < 20


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "La", "RGBa", "HSV", "LAB"]
)
def test_every_mode_of_eight_bits_has_a_way_to_rgb(mode: str) -> None:
    image = Image.new(mode, (4, 3))
    assert (to_rgb(image, depth_of(image)).mode, to_rgb(image, depth_of(image)).size) == ("RGB", (4, 3))
