"""Annotations beside real picture files: turned by EXIF, under names of other forms, and broken in ways that crash."""

from __future__ import annotations

import io
import json
import resource
import subprocess
import sys
import tarfile
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from torch.nn import functional

from pretrain.data.annotations import multilabels, object_maps
from pretrain.data.images import decode_image
from pretrain.data.sources import list_images
from scenebench.errors import UserError

WIDTH, HEIGHT = 96, 64
BOX = [6, 40, 30, 16]  # off every axis of symmetry
UNDO = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def picture() -> Image.Image:
    """White where the object is."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
    x, y, w, h = BOX
    pixels[y : y + h, x : x + w] = 255
    return Image.fromarray(pixels)


def polygon(box: list[int]) -> list[list[int]]:
    x, y, w, h = box
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def save(path: Path, image: Image.Image, orientation: int = 1) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, exif=exif, **({"quality": 95} if path.suffix == ".jpg" else {}))


def write(folder: Path, names: list[str], size: tuple[int | None, int | None], box: list[int], **more: Any) -> Path:
    sides = {key: side for key, side in zip(("width", "height"), size, strict=True) if side is not None}
    images = [{"id": number, "file_name": name} | sides for number, name in enumerate(names)]
    annotations = [
        {"id": number, "image_id": number, "category_id": 1, "bbox": box, "segmentation": polygon(box)} | more
        for number in range(len(names))
    ]
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "a"}]}))
    return path


def correlation(maps: torch.Tensor, file: Path) -> float:
    """Of the first map with the brightness of the picture as training decodes it."""
    seen = decode_image(file).float().mean(dim=0)[None, None]
    cells = functional.interpolate(seen, tuple(maps.shape[-2:]), mode="area")[0, 0]
    pair = torch.stack([cells.flatten(), maps[0].float().flatten()])
    return float(torch.corrcoef(pair)[0, 1])


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_maps_of_turned_pictures_fit_where_the_json_means_the_picture_as_shown(
    orientation: int, suffix: str, tmp_path: Path
) -> None:
    undo = UNDO[orientation]
    file = tmp_path / "images" / f"a{suffix}"
    save(file, picture() if undo is None else picture().transpose(undo), orientation)
    for size in ((WIDTH, HEIGHT), (None, None)):
        path = write(tmp_path, [file.name], size, BOX)
        assert correlation(object_maps(path, [file], (8, 12)), file) > 0.99


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("orientation", range(5, 9))
def test_maps_of_turned_pictures_fit_where_the_json_means_the_stored_pixels(
    orientation: int, suffix: str, tmp_path: Path
) -> None:
    file = tmp_path / "images" / f"a{suffix}"
    save(file, picture(), orientation)
    path = write(tmp_path, [file.name], (WIDTH, HEIGHT), BOX)
    assert correlation(object_maps(path, [file], (12, 8)), file) > 0.99


def test_a_picture_of_another_size_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.jpg", picture(), 6)
    path = write(tmp_path, ["a.jpg"], (90, 64), BOX)
    wanted = r"image 'a.jpg': the JSON says 90 x 64 pixels, the file has 96 x 64 or, turned by EXIF, 64 x 96"
    with pytest.raises(UserError, match=wanted):
        object_maps(path, list_images(tmp_path / "images"), (2, 2))


def test_an_absurd_size_of_a_picture_that_cannot_be_read_takes_no_memory(tmp_path: Path) -> None:
    path = write(tmp_path, ["a.jpg"], (10**6, 10**6), BOX)
    with pytest.raises(UserError, match="more than any picture can have"):
        object_maps(path, [tmp_path / "a.jpg"], (2, 2))


def test_pictures_in_a_tar_are_turned_too(tmp_path: Path) -> None:
    save(tmp_path / "a.jpg", picture(), 6)
    with tarfile.open(tmp_path / "images.tar", "w") as tar:
        content = (tmp_path / "a.jpg").read_bytes()
        entry = tarfile.TarInfo("a.jpg")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    path = write(tmp_path, ["a.jpg"], (WIDTH, HEIGHT), BOX)
    in_tar = object_maps(path, list_images(tmp_path / "images.tar"), (12, 8))
    assert torch.equal(in_tar, object_maps(path, [tmp_path / "a.jpg"], (12, 8)))
    assert correlation(in_tar, tmp_path / "a.jpg") > 0.99


# --- names --------------------------------------------------------------------------------------------------------


def test_absolute_names_are_found_also_through_a_link(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.jpg", picture())
    (tmp_path / "link").symlink_to(tmp_path / "images")
    for name in (tmp_path / "images" / "a.jpg", tmp_path / "link" / "a.jpg"):
        path = write(tmp_path, [str(name)], (WIDTH, HEIGHT), BOX)
        assert multilabels(path, list_images(tmp_path / "images"))[0].tolist() == [[1]]


@pytest.mark.parametrize(("in_json", "on_disk"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_of_another_unicode_form_are_found_and_said(
    in_json: str, on_disk: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "images" / unicodedata.normalize(on_disk, "é.png"), picture())
    path = write(tmp_path, [unicodedata.normalize(in_json, "é.png")], (WIDTH, HEIGHT), BOX)
    assert multilabels(path, list_images(tmp_path / "images"))[0].tolist() == [[1]]
    said = capsys.readouterr().err
    assert "1 file names found under another Unicode form than the annotations give" in said
    assert f"is {in_json} there and {on_disk} on the disk" in said


# --- what crashed -------------------------------------------------------------------------------------------------

READ = """
import sys
from pretrain.data.annotations import object_maps
from pretrain.data.sources import list_images
from scenebench.errors import UserError
try:
    maps = object_maps(sys.argv[1], list_images(sys.argv[2]), (4, 4))
except UserError as error:
    print(error)
else:
    print(maps.tolist())
"""
GIGABYTES = 8
"""Of address space; torch alone reserves three."""


def read_with_little_memory(path: Path, images: Path) -> str:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (GIGABYTES << 30, GIGABYTES << 30))

    command = [sys.executable, "-c", READ, str(path), str(images)]
    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_took_all_memory_takes_little(tmp_path: Path) -> None:
    names = ["nan.jpg", "infinite.jpg", "far.jpg", "odd.jpg"]
    for name in names:
        save(tmp_path / "images" / name, picture())
    path = write(tmp_path, names, (WIDTH, HEIGHT), [0, 0, 48, 64])
    content = json.loads(path.read_text())
    coordinates = [float("nan"), float("inf"), 1e15, 10**400]
    for annotation, coordinate in zip(content["annotations"], coordinates, strict=True):
        annotation["segmentation"][0][2] = annotation["segmentation"][0][4] = coordinate
    path.write_text(json.dumps(content))
    left = [[255, 255, 0, 0]] * 4  # the box stands in
    whole = [[255] * 4] * 4  # what reaches far out covers all
    by_name = dict(zip(names, [left, left, whole, left], strict=True))
    files = [file.name for file in list_images(tmp_path / "images")]
    assert json.loads(read_with_little_memory(path, tmp_path / "images")) == [by_name[name] for name in files]


def test_an_outline_of_many_far_points_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.jpg", picture())
    zigzag = [coordinate for _ in range(50_000) for coordinate in (-1e9, -1e9, 1e9, 1e9)]
    path = write(tmp_path, ["a.jpg"], (WIDTH, HEIGHT), BOX, segmentation=[zigzag])
    with pytest.raises(UserError, match="mask of annotation 0 does not fit .*: an outline is .* pixels long"):
        object_maps(path, list_images(tmp_path / "images"), (2, 2))


@pytest.mark.parametrize("counts", ["11", "", [], [10], [7000, -1000, 144]])
def test_run_lengths_that_do_not_cover_the_image_are_refused(counts: Any, tmp_path: Path) -> None:
    save(tmp_path / "images" / "a.jpg", picture())
    mask = {"size": [HEIGHT, WIDTH], "counts": counts}
    path = write(tmp_path, ["a.jpg"], (WIDTH, HEIGHT), BOX, segmentation=mask)
    images = list_images(tmp_path / "images")
    for read in (lambda: object_maps(path, images, (2, 2)), lambda: multilabels(path, images)):
        with pytest.raises(UserError, match="the mask of annotation 0 does not fit image 'a.jpg' of 96 x 64 pixels"):
            read()


def test_what_is_mended_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "images" / "a.jpg", picture())
    odd = [*polygon(BOX), [*polygon(BOX)[0], 3]]
    path = write(tmp_path, ["a.jpg"], (WIDTH, HEIGHT), BOX, segmentation=odd)
    object_maps(path, list_images(tmp_path / "images"), (2, 2))
    assert f"{path}: 1 parts of masks dropped: an odd number of coordinates" in capsys.readouterr().err


def test_a_json_as_the_source_of_pictures_names_them_in_the_same_ways(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "images"
    given = ["a.jpg", str(folder / "b.jpg"), "images/c.jpg", ".\\d.jpg", unicodedata.normalize("NFC", "é.jpg")]
    files = ["a.jpg", "b.jpg", "c.jpg", "d.jpg", unicodedata.normalize("NFD", "é.jpg")]
    for name in files:
        save(folder / name, picture())
    path = write(tmp_path, given, (WIDTH, HEIGHT), BOX)
    images = list_images(path, folder)
    assert images == sorted(folder / name for name in files)
    assert "1 file names found under another Unicode form" in capsys.readouterr().err
    assert multilabels(path, images)[1].all()
