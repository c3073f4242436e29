"""Finding and decoding images of every kind that folders hold."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from pretrain.data.images import UndecodableImage, decode_image, image_aspects
from pretrain.data.sources import list_images
from scenebench.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore:The image decoding and encoding capabilities:DeprecationWarning")


def photograph(width: int = 60, height: int = 40, seed: int = 0) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def test_images_are_found_in_sub_folders_and_sorted(tmp_path: Path):
    for name in ("b/2.JPG", "a.png", "b/1.jpeg", "c/d/e.webp", "z.bmp"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        photograph().save(tmp_path / name, format="PNG")
    (tmp_path / ".thumbnails").mkdir()
    for name in ("notes.txt", ".hidden.jpg", "b/._1.jpeg", ".thumbnails/1.jpg"):
        (tmp_path / name).write_text("x")
    found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert found == ["a.png", "b/1.jpeg", "b/2.JPG", "c/d/e.webp", "z.bmp"]


def test_folders_without_images_are_errors(tmp_path: Path):
    for root, expected in (("", "data.root=FOLDER"), (tmp_path / "no", "is not a folder"), (tmp_path, "no image in")):
        with pytest.raises(UserError, match=expected):
            list_images(root)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 40}])
def test_jpegs_decode_as_pillow_decodes_them(tmp_path: Path, options):
    path = tmp_path / "a.jpg"
    photograph().save(path, **options)
    image = decode_image(path)
    assert image.dtype == torch.uint8
    assert image.permute(1, 2, 0).is_contiguous()
    assert np.array_equal(image.permute(1, 2, 0).numpy(), np.asarray(Image.open(path)))


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [
        ("L", "jpg"),
        ("L", "png"),
        ("CMYK", "jpg"),
        ("P", "png"),
        ("RGBA", "png"),
        ("LA", "png"),
        ("1", "png"),
        ("P", "gif"),
    ],
)
def test_every_colour_mode_becomes_rgb(tmp_path: Path, mode, suffix):
    path = tmp_path / f"a.{suffix}"
    photograph().convert(mode).save(path)
    image = decode_image(path)
    assert image.shape == (3, 40, 60)
    assert image.permute(1, 2, 0).is_contiguous()
    expected = np.asarray(Image.open(path).convert("RGB"))
    assert np.array_equal(image.permute(1, 2, 0).numpy(), expected)
    assert expected.std() > 10


def test_sixteen_bit_grey_is_scaled_not_clipped(tmp_path: Path):
    values = np.linspace(0, 65535, 40 * 60).reshape(40, 60).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert np.array_equal(decode_image(tmp_path / "a.png")[1].numpy(), values // 256)


def test_a_palette_with_transparency_decodes_without_a_warning(tmp_path: Path, recwarn):
    image = photograph().convert("P")
    image.save(tmp_path / "a.png", transparency=bytes(range(256)))
    assert decode_image(tmp_path / "a.png").shape == (3, 40, 60)
    assert not recwarn.list


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright(tmp_path: Path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    photograph().save(path, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    assert np.array_equal(decode_image(path).permute(1, 2, 0).numpy(), expected)
    assert image_aspects([path])[0] == pytest.approx(expected.shape[1] / expected.shape[0])


def test_broken_files_are_undecodable_and_say_why(tmp_path: Path):
    photograph(200, 150).save(tmp_path / "a.jpg")
    photograph(200, 150).save(tmp_path / "a.png")
    for name in ("a.jpg", "a.png"):
        content = (tmp_path / name).read_bytes()
        (tmp_path / f"half.{name}").write_bytes(content[: len(content) // 2])
        (tmp_path / f"head.{name}").write_bytes(content[:40])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "folder.jpg").mkdir()
    names = [
        "half.a.jpg",
        "half.a.png",
        "head.a.jpg",
        "head.a.png",
        "empty.jpg",
        "text.jpg",
        "folder.jpg",
        "absent.jpg",
    ]
    for name in names:
        with pytest.raises(UndecodableImage) as caught:
            decode_image(tmp_path / name)
        assert str(caught.value)
    assert image_aspects([tmp_path / "text.jpg"]).tolist() == [1]


def test_real_images_decode_as_pillow_decodes_them(shared_data: Path, tmp_path: Path):
    paths = list_images(shared_data)[:40]
    for path in paths:
        expected = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
        assert np.array_equal(decode_image(path).permute(1, 2, 0).numpy(), expected)
    content = paths[0].read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: -len(content) // 3])
    shutil.copy(paths[1], tmp_path / "whole.jpg")
    with pytest.raises(UndecodableImage):
        decode_image(tmp_path / "cut.jpg")
    assert decode_image(tmp_path / "whole.jpg").ndim == 3
