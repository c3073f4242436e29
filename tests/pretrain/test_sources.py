"""A folder, a COCO JSON, a list and a tar of the same images are the same images; what is wrong with them is said."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pretrain.data.images import decode_image, image_aspects, image_size
from pretrain.data.loading import PretrainDataset, build_loader
from pretrain.data.sources import ImageFile, TarMember, list_images
from pretrain.data.sources.description import describe_source
from pretrain.data.sources.image_file import open_image_file, read_image_file
from pretrain.recipes.recipe import resolve_recipe
from scenebench.config import parse_overrides
from scenebench.errors import UserError

NAMES = ["a b/10.png", "a b/9.jpg", "a-b/1.jpg", "a/b/2.JPG", "a/z.jpg", "zoë.jpg"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Images in sub-folders whose order by path is not that of their names as text."""
    root = tmp_path / "train"
    rng = np.random.default_rng(0)
    for place, name in enumerate(NAMES):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        exif = Image.Exif()
        exif[0x0112] = 6 if place == 1 else 1  # one image lies on its side
        kind = "PNG" if name.endswith("png") else "JPEG"
        Image.fromarray(pixels).resize((60 + place, 40)).save(root / name, format=kind, exif=exif)
    (root / ".hidden").mkdir()
    for name in (".hidden/a.jpg", "a/._z.jpg", "notes.txt"):
        (root / name).write_text("x")
    return root


def coco_of(folder: Path, names: list[str], target: Path, **more: object) -> Path:
    images = [{"id": place, "file_name": name, "width": 1, "height": 1} for place, name in enumerate(names)]
    annotations = [{"id": 1, "image_id": 0, "bbox": [0, 0, 1, 1], "file_name": "of a panoptic annotation.png"}]
    content = {"info": {}, "licenses": [{"id": 1}], "images": images, "annotations": annotations, "categories": []}
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(content | more), encoding="utf-8")
    return target


def packed(folder: Path, target: Path, **options: object) -> Path:
    with tarfile.open(target, "w", **options) as tar:  # type: ignore[call-overload]
        tar.add(folder, arcname=".")
    return target


def every_kind(folder: Path) -> dict[str, list[ImageFile]]:
    above = folder.parent
    listing = above / "lists" / "train.txt"
    listing.parent.mkdir()
    shuffled = [NAMES[place] for place in (3, 0, 5, 1, 4, 2)]
    lines = ["\ufeff# six images", "", *(f"../train/{name}\r" for name in shuffled[:5]), str(folder / shuffled[5])]
    listing.write_text("\n".join(lines), encoding="utf-8")
    coco = coco_of(folder, shuffled, above / "annotations" / "instances_train.json")
    return {
        "folder": list_images(folder),
        "json": list_images(coco, folder),
        "json beside": list_images(coco_of(folder, shuffled, folder / "instances.json")),
        "list": list_images(str(listing)),
        "tar": list_images(packed(folder, above / "train.tar")),
    }


def test_every_kind_of_source_holds_the_same_images_in_the_same_order(folder: Path) -> None:
    kinds = every_kind(folder)
    assert [image.name for image in kinds["folder"]] == [name.rpartition("/")[2] for name in sorted(NAMES, key=parts)]
    expected = [decode_image(image) for image in kinds["folder"]]
    for kind, images in kinds.items():
        assert [image.name for image in images] == [image.name for image in kinds["folder"]], kind
        assert all(torch.equal(decode_image(image), pixels) for image, pixels in zip(images, expected, strict=True))
        assert np.array_equal(image_aspects(images), image_aspects(kinds["folder"])), kind
        assert describe_source(images) == describe_source(kinds["folder"]), kind
    assert image_aspects(kinds["tar"]).tolist() == pytest.approx(
        [pixels.shape[2] / pixels.shape[1] for pixels in expected]
    )
    assert min(image_aspects(kinds["tar"])) < 1 < max(image_aspects(kinds["tar"]))  # also the image on its side


def parts(name: str) -> list[str]:
    return name.split("/")


@pytest.mark.parametrize("workers", [0, 2])
def test_every_kind_of_source_gives_the_same_batches(folder: Path, workers: int) -> None:
    batches = {
        kind: one_epoch(images, folder, f"data.workers={workers}") for kind, images in every_kind(folder).items()
    }
    for kind, (indices, views) in batches.items():
        assert torch.equal(indices, batches["folder"][0]), kind
        assert torch.equal(views, batches["folder"][1]), kind


def one_epoch(images: list[ImageFile], root: Path, *overrides: str) -> tuple[torch.Tensor, torch.Tensor]:
    base = [f"data.root={root}", "schedule.batch_size=2", "views.crop_size=32", "mls.dictionary_size=64",
            "run.device=cpu"]  # fmt: skip
    recipe = resolve_recipe(parse_overrides([*base, *overrides]))
    batches = list(build_loader(recipe, PretrainDataset(recipe, images), 0))
    return torch.cat([batch.indices for batch in batches]), torch.cat([batch.global_views for batch in batches])


def test_names_in_a_json_or_list_may_be_relative_to_a_folder_that_is_given(folder: Path, tmp_path: Path) -> None:
    listing = tmp_path / "lists" / "some.txt"
    listing.parent.mkdir()
    listing.write_text("a/z.jpg\na b/9.jpg\n", encoding="utf-8")
    assert list_images(listing, folder) == [folder / "a/z.jpg", folder / "a b/9.jpg"]
    with pytest.raises(UserError, match=r"line 1: .*lists/a/z.jpg is not a file \(2 of 2 files are absent\)"):
        list_images(listing)


def test_a_list_of_a_part_of_a_prepared_data_set_is_not_that_data_set(folder: Path) -> None:
    kinds = every_kind(folder)
    shutil.rmtree(folder / ".hidden")
    (folder.parent / "dataset.json").write_text('{"name": "mine", "fingerprint": "0123456789abcdef"}')
    assert describe_source(kinds["folder"]).fingerprint == "0123456789abcdef"
    assert describe_source(kinds["list"]).fingerprint == "0123456789abcdef"  # all of it
    assert describe_source(kinds["list"][:-1]).fingerprint != "0123456789abcdef"


def test_names_that_are_not_utf_8_have_a_fingerprint(folder: Path) -> None:
    (folder / "a/z.jpg").rename(os.fsdecode(os.fsencode(folder) + b"/a/\xff.jpg"))
    plain, tar = list_images(folder), list_images(packed(folder, folder.parent / "train.tar"))
    assert describe_source(plain).fingerprint == describe_source(tar).fingerprint
    assert all(decode_image(image).ndim == 3 for image in [*plain, *tar])


# --- what is refused ----------------------------------------------------------------------------------------------


def refused(root: Path | str, message: str, images: Path | str = "") -> None:
    with pytest.raises(UserError, match=message) as caught:
        list_images(root, images)
    assert "\n" not in str(caught.value)


def test_an_absent_file_of_a_coco_json_is_named_with_the_count_and_the_folder_that_is_meant(
    folder: Path, tmp_path: Path
) -> None:
    coco = coco_of(folder, [NAMES[4], NAMES[5]], tmp_path / "annotations" / "instances_train.json")
    refused(
        coco, rf"images\[0\]: .*annotations/a/z.jpg is not a file \(2 of 2 files are absent\); set data.images={folder}"
    )
    (folder / NAMES[5]).unlink()
    refused(coco, r"images\[1\]: .*train/zoë.jpg is not a file \(1 of 2 files are absent\)", folder)
    for name in NAMES:
        (folder / name).unlink(missing_ok=True)
    refused(coco, "set data.images to the folder that the file names are relative to")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "has no list 'images'"),
        ('{"images": {"file_name": "a.jpg"}}', "has no list 'images'"),
        ('{"annotations": []}', "has no list 'images'"),
        ('{"images": []}', "is empty"),
        ('{"images": [{"file_name": "a.jpg"}, {"id": 3}]}', r"images\[1\] has no 'file_name'"),
        ('{"images": [{"file_name": 3}]}', r"images\[0\] has no 'file_name'"),
        ('{"images": [{"file_name": "a.jpg"}, {"file_name": "./a.jpg"}]}', r"images\[1\]: ./a.jpg is named before"),
    ],
)
def test_a_json_that_is_none_of_coco_is_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "x.json").write_text(content)
    refused(tmp_path / "x.json", message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "names no image"),
        (b"# only\n\n  # comments\n", "names no image"),
        (b"a.jpg\n\nb.jpg\nc.jpg\n", r"line 3: .*b.jpg is not a file \(2 of 3 files are absent\)"),
        (b"a.jpg\n#\nsub/../a.jpg", r"line 3: sub/../a.jpg is named before \(line 1\)"),
        (b"a.jpg\n\xff\xfe", "not UTF-8"),
        (b"a.jpg 0\nb.jpg 1\n", r"line 2: .*b.jpg 1 is not a file"),
    ],
)
def test_a_list_with_a_mistake_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "x.txt").write_bytes(content)
    refused(tmp_path / "x.txt", message)


def test_other_things_are_no_source(folder: Path, tmp_path: Path) -> None:
    for name in ("absent", "absent.tar", "absent.json", "absent.txt"):
        refused(tmp_path / name, "is not a folder or file")
    for name in ("x.csv", "x"):
        (tmp_path / name).write_text("a.jpg")
        refused(tmp_path / name, "unknown kind; give a folder of images, a COCO .json, a list .txt or a .tar")
    refused(folder, "data.images: only for names in a .json or .txt", folder)
    coco = coco_of(folder, NAMES, tmp_path / "x.json")
    refused(coco, "data.images: .*nowhere is not a folder", tmp_path / "nowhere")


# --- tar ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_found_by_their_headers_in_every_format(folder: Path, tmp_path: Path, form: int) -> None:
    long = "deep/" * 18 + "image.jpg"
    (folder / long).parent.mkdir(parents=True)
    shutil.copy(folder / "zoë.jpg", folder / long)
    images = list_images(packed(folder, tmp_path / "x.tar", format=form))
    assert [image.path for image in images if isinstance(image, TarMember)] == sorted([*NAMES, long], key=parts)
    for image in images:
        assert isinstance(image, TarMember)
        assert read_image_file(image).tobytes() == (folder / image.path).read_bytes()
        assert str(image) == f"{tmp_path / 'x.tar'}/{image.path}"


def test_a_member_is_read_as_a_file(folder: Path, tmp_path: Path) -> None:
    member = list_images(packed(folder, tmp_path / "x.tar"))[0]
    content = read_image_file(member).tobytes()
    with open_image_file(member) as file:
        assert file.read(10) == content[:10]
        assert file.seek(-5, io.SEEK_END) == len(content) - 5
        assert file.read() == content[-5:]
        assert file.read(1) == b""
        file.seek(3)
        assert file.seek(2, io.SEEK_CUR) == 5
        assert file.read() == content[5:]
        assert file.seek(len(content) + 9) == len(content) + 9
        assert file.read() == b""
        with pytest.raises(ValueError, match="negative"):
            file.seek(-1)


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, 3 if kind == tarfile.REGTYPE else 0
    return info


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (entry("/tmp/x.jpg"), "/tmp/x.jpg points out of the tar"),
        (entry("a/../../x.jpg"), "x.jpg points out of the tar"),
        (entry("x.jpg", tarfile.SYMTYPE, "ok.jpg"), "x.jpg is a link"),
        (entry("x.jpg", tarfile.LNKTYPE, "ok.jpg"), "x.jpg is a link"),
        (entry("train", tarfile.SYMTYPE, "elsewhere"), "train is a link"),
        (entry("x.jpg", tarfile.FIFOTYPE), "x.jpg is a link or no plain file"),
        (entry("./ok.jpg"), "ok.jpg is there twice"),
    ],
)
def test_members_that_cannot_be_trusted_are_refused(extra: tarfile.TarInfo, message: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.addfile(entry("ok.jpg"), io.BytesIO(b"abc"))
        tar.addfile(entry("read me.md"), io.BytesIO(b"abc"))
        tar.addfile(entry(".git", tarfile.SYMTYPE, "elsewhere"))
    assert [image.name for image in list_images(tmp_path / "x.tar")] == ["ok.jpg"]
    with tarfile.open(tmp_path / "x.tar", "a") as tar:
        tar.addfile(extra, io.BytesIO(b"abc"))
    refused(tmp_path / "x.tar", message)


def cut_within_an_image(tar: bytes, last: int) -> bytes:
    return tar[: last + 700]


def cut_within_a_header(tar: bytes, last: int) -> bytes:
    return tar[: last + 100]


def cut_between_two_members(tar: bytes, last: int) -> bytes:
    return tar[:last]


def a_damaged_header(tar: bytes, last: int) -> bytes:
    return tar[:last] + b"?" * 20 + tar[last + 20 :]


def another_tar_appended(tar: bytes, last: int) -> bytes:
    return tar + tar


def cut_to_nothing(tar: bytes, last: int) -> bytes:
    return b""


def text(tar: bytes, last: int) -> bytes:
    return b"no tar" * 200


@pytest.mark.parametrize(
    "damage",
    [
        cut_within_an_image, cut_within_a_header, cut_between_two_members, a_damaged_header, another_tar_appended,
        cut_to_nothing, text,
    ],
)  # fmt: skip
def test_a_damaged_tar_is_refused(damage: Callable[[bytes, int], bytes], folder: Path, tmp_path: Path) -> None:
    path = packed(folder, tmp_path / "x.tar", format=tarfile.USTAR_FORMAT)
    with tarfile.open(path) as tar:
        last = [member for member in tar if member.isreg()][-1].offset
    path.write_bytes(damage(path.read_bytes(), last))
    refused(path, r"not a whole tar|damaged, or another tar is appended")


def test_a_compressed_tar_is_refused_whatever_its_name(folder: Path, tmp_path: Path) -> None:
    for mode, suffix in (("w:gz", "tar.gz"), ("w:gz", "tgz"), ("w:bz2", "tar.bz2"), ("w:xz", "tar.xz")):
        with tarfile.open(tmp_path / f"x.{suffix}", mode) as tar:  # type: ignore[call-overload]
            tar.add(folder, arcname="train")
        refused(tmp_path / f"x.{suffix}", "is compressed; give an uncompressed .tar")
        shutil.copy(tmp_path / f"x.{suffix}", tmp_path / "renamed.tar")
        refused(tmp_path / "renamed.tar", "is compressed; give an uncompressed .tar")
    with tarfile.open(tmp_path / "named.tar", "w") as tar:  # looks like bzip2 at first sight
        tar.add(folder, arcname="BZh")
    assert len(list_images(tmp_path / "named.tar")) == len(NAMES)


def test_an_empty_tar_and_one_without_images_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        pass
    refused(tmp_path / "x.tar", "no image in")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.addfile(entry("notes.txt"), io.BytesIO(b"abc"))
    refused(tmp_path / "x.tar", "no image in")


def test_a_tar_that_changes_under_a_run_is_refused_and_a_new_one_is_read(folder: Path, tmp_path: Path) -> None:
    images = list_images(packed(folder, tmp_path / "x.tar"))
    first = decode_image(images[0])
    shutil.rmtree(folder / "a-b")
    again = list_images(packed(folder, tmp_path / "x.tar"))
    assert torch.equal(decode_image(again[0]), first)  # another tar at the same place
    with pytest.raises(UserError, match="has changed since the run began"):
        decode_image(images[0])
    with pytest.raises(UserError, match="has changed since the run began"):
        one_epoch(images, tmp_path, "data.workers=2")


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_images_in_a_tar_are_skipped_and_named_once(
    folder: Path, tmp_path: Path, workers: int, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "a/z.jpg").write_bytes((folder / "a/z.jpg").read_bytes()[:200])
    images = list_images(packed(folder, tmp_path / "x.tar"))
    indices, _ = one_epoch(images, tmp_path, f"data.workers={workers}")
    broken = [image.name for image in images].index("z.jpg")
    assert broken not in indices.tolist()
    assert sorted({*indices.tolist(), broken}) == list(range(len(NAMES)))
    said = capfd.readouterr().err
    assert said.count("skipped:") == 1
    assert f"{tmp_path / 'x.tar'}/a/z.jpg cannot be decoded" in said
    (folder / "a-b/1.jpg").write_bytes(b"")
    images = list_images(packed(folder, tmp_path / "x.tar"))
    with pytest.raises(UserError, match=r"^2 of 6 images cannot be decoded, more than data.max_bad_share = 0.01: .*/a"):
        one_epoch(images, tmp_path, f"data.workers={workers}")
    assert [image.name for image in images if image_size(image) is None] == ["z.jpg", "1.jpg"]
