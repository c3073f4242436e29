"""What a folder of pictures holds: every picture once, wherever a link leads; what is left out is counted and said."""

from __future__ import annotations

import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from method_batches import own_keys
from PIL import Image

from benchmarks.datasets.scenes import ScenesSpec, generate_scenes
from pretrain.data.images import decode_image
from pretrain.data.sources import list_images, search_images
from pretrain.data.sources.description import describe_source
from pretrain.recipes.recipe import load_recipe
from scenebench.cli import main
from scenebench.config import override
from scenebench.errors import UserError

TINY = ["schedule.epochs=1", "schedule.batch_size=4", "views.crop_size=32", "mls.dictionary_size=32", "data.workers=0",
        "network.stem_width=8", "run.device=cpu"]  # fmt: skip


def picture(path: Path, kind: str = "JPEG", seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(small).resize((60, 40)).save(path, format=kind)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    for number in range(8):
        picture(root / f"{number}.jpg", seed=number)
    return root


def names(root: Path) -> list[str]:
    return [image.relative_to(root).as_posix() for image in list_images(root) if isinstance(image, Path)]


# --- links ---------------------------------------------------------------------------------------------------------


def test_links_to_folders_are_followed(photos: Path, tmp_path: Path) -> None:
    for number in range(3):
        picture(tmp_path / "more" / "deep" / f"{number}.png", "PNG")
    (photos / "more").symlink_to(tmp_path / "more", target_is_directory=True)
    found = search_images(photos)
    assert len(found.images) == 11
    assert names(photos)[-1] == "more/deep/2.png"
    assert found.line == f"11 pictures in {photos}"
    only_links = tmp_path / "links"
    only_links.mkdir()
    (only_links / "a").symlink_to(photos, target_is_directory=True)
    assert len(list_images(only_links)) == 11
    linked_root = tmp_path / "root"
    linked_root.symlink_to(photos, target_is_directory=True)
    assert len(list_images(linked_root)) == 11


def test_loops_end_and_a_picture_reached_by_two_ways_counts_once(photos: Path, tmp_path: Path) -> None:
    before = describe_source(list_images(photos))
    (photos / "a loop").symlink_to(photos, target_is_directory=True)
    (photos / "above").symlink_to(tmp_path, target_is_directory=True)
    (photos / "0 again.jpg").symlink_to(photos / "0.jpg")
    (photos / "itself.jpg").symlink_to(photos / "itself.jpg")
    (photos / "nowhere.jpg").symlink_to(tmp_path / "nowhere.jpg")
    found = search_images(photos)
    assert names(photos) == [f"{number}.jpg" for number in range(8)]
    assert describe_source(found.images) == before
    assert "1 reached by a second way and counted once" in found.line
    assert "2 links to folders searched already" in found.line
    assert "2 broken: itself.jpg, nowhere.jpg" in found.line


def test_a_real_folder_keeps_its_path_where_a_link_comes_first_in_the_alphabet(photos: Path) -> None:
    picture(photos / "z" / "x.jpg")
    (photos / "a").symlink_to(photos / "z", target_is_directory=True)
    assert names(photos)[-1] == "z/x.jpg"
    assert len(names(photos)) == 9


def test_links_to_files_elsewhere_are_pictures_once(tmp_path: Path) -> None:
    """A selection made of links, as of annexed or subsampled data."""
    store = [picture(tmp_path / "store" / f"blob{number}", seed=number) for number in range(3)]
    chosen = tmp_path / "chosen"
    chosen.mkdir()
    for name, blob in (("a.jpg", 0), ("b.jpg", 1), ("c.jpg", 0)):
        (chosen / name).symlink_to(store[blob])
    assert names(chosen) == ["a.jpg", "b.jpg"]


# --- what cannot be listed or is no file ---------------------------------------------------------------------------


def test_a_folder_that_cannot_be_listed_is_named(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(photos / "private" / "x.jpg")
    listed = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name in forbidden:
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    forbidden = {"private"}
    assert search_images(photos).line == (f"8 pictures in {photos}; left out: the folder private (Permission denied)")
    forbidden.add("photos")
    with pytest.raises(UserError, match="photos cannot be listed"):
        list_images(photos)


def test_a_pipe_named_like_a_picture_is_not_waited_for(photos: Path) -> None:
    os.mkfifo(photos / "pipe.jpg")
    assert search_images(photos).line.endswith("left out: 1 no plain file")


# --- kinds of files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *[(name, "JPEG") for name in ("a.JPG", "a.jfif", "a.jpe", "a", "a b", "0001")],
        *[("a.avif", "AVIF"), ("a.jp2", "JPEG2000"), ("a.j2k", "JPEG2000"), ("a.mpo", "MPO"), ("a.WebP", "WEBP")],
        *[("a.TIF", "TIFF"), ("a.dib", "DIB"), ("a.pnm", "PPM"), ("a.apng", "PNG"), ("a", "PNG"), ("a", "AVIF")],
    ],
)
def test_every_suffix_that_can_be_decoded_is_taken_in_a_folder_and_a_tar(tmp_path: Path, name: str, kind: str) -> None:
    root = tmp_path / "photos"
    picture(root / name, kind)
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(root, arcname=".")
    for source in (root, tmp_path / "x.tar"):
        [image] = list_images(source)
        assert decode_image(image).shape == (3, 40, 60)


def test_what_is_not_read_is_counted_by_suffix(photos: Path, tmp_path: Path) -> None:
    for name in ("1.heic", "2.HEIC", "3.heic", "notes.txt", "README", "._0.jpg", ".git/x.jpg"):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).write_text("P5 is no picture")
    expected = (
        "left out: 1 hidden, 1 hidden folder, 3 .heic (not read), 1 .txt (not read), 1 without a suffix and no image"
    )
    assert search_images(photos).line == f"8 pictures in {photos}; {expected}"
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(photos, arcname="photos")
    assert "3 .heic (not read), 1 .txt (not read), 1 without a suffix" in search_images(tmp_path / "x.tar").line
    for number in range(8):
        (photos / f"{number}.jpg").unlink()
    with pytest.raises(UserError, match=r"no image in .*photos; left out: .*3 \.heic \(not read\)") as caught:
        list_images(photos)
    assert "\n" not in str(caught.value)


# --- what this suite has written -----------------------------------------------------------------------------------


def run_folder(folder: Path) -> Path:
    for name in ("scores.png", "deep/maps.png"):
        picture(folder / "figures" / name, "PNG")
    (folder / "recipe.yaml").write_text("name: mls_demo\n")
    (folder / ".lock").write_text("1")
    return folder


def test_figures_of_a_run_are_no_pictures_to_learn_from(
    photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way: a run below the pictures, then another recipe on the same folder."""
    monkeypatch.chdir(photos)
    for recipe, out in (("mls_demo", "runs/mls"), ("moco_demo", "runs/moco")):
        keys = own_keys(recipe.partition("_")[0], [*TINY, "moco.queue_size=16"])
        assert main(["pretrain", recipe, *keys, "data.root=.", "--out", out]) == 0
    first, second = [line for line in capsys.readouterr().out.splitlines() if "pictures in" in line]
    figures = len([*Path("runs/mls/figures").glob("*.png")])
    assert figures > 0
    assert first == "mls_demo: 8 pictures in ."
    assert second.startswith(f"moco_demo: 8 pictures in .; left out: {figures} of the run folder runs/mls")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("marker", [".lock", "log.jsonl", "backbone.safetensors", "checkpoints/1.json"])
def test_run_folders_are_known_also_without_hidden_files(photos: Path, marker: str, packed: bool) -> None:
    run = run_folder(photos / "runs" / "mls")
    (run / ".lock").unlink()
    (run / marker).parent.mkdir(exist_ok=True)
    (run / marker).write_text("x")
    (photos / "runs" / "link").symlink_to(run / "figures", target_is_directory=True)
    source = photos
    if packed:
        (photos / "runs" / "link").unlink()
        source = photos.parent / "x.tar"
        with tarfile.open(source, "w") as tar:
            tar.add(photos, arcname="photos")
    found = search_images(source)
    assert len(found.images) == 8
    assert f"2 of the run folder {'photos/' if packed else ''}runs/mls" in found.line


def test_a_recipe_among_pictures_of_food_marks_nothing(photos: Path) -> None:
    (photos / "recipe.yaml").write_text("two eggs")
    picture(photos / "cake" / "x.jpg")
    (photos / "cake" / "recipe.yaml").write_text("flour")
    (photos / "cake" / "dataset.json").write_text('{"name": "cakes"}')
    assert len(list_images(photos)) == 9


def test_pictures_within_the_folder_of_the_run_are_the_same_at_the_start_and_when_it_goes_on(photos: Path) -> None:
    for number in range(2):
        picture(photos / "2019" / f"{number}.jpg")
    assert len(list_images(photos)) == 10
    before = search_images(photos, run=photos / "2019")
    assert len(before.images) == 8
    run_folder(photos / "2019")
    assert search_images(photos, run=photos / "2019").images == before.images
    own = search_images(photos, run=photos)
    run_folder(photos)
    picture(photos / "figures" / "x.png", "PNG")
    (photos / "2019" / "recipe.yaml").unlink()
    shutil.rmtree(photos / "2019" / "figures")
    assert len(search_images(photos, run=photos).images) == len(search_images(photos).images) == len(own.images) + 2
    assert "3 of the run folder itself" in search_images(photos).line


def test_a_prepared_set_below_is_left_out_and_one_that_is_meant_is_read(photos: Path, tmp_path: Path) -> None:
    generate_scenes(photos / "prepared", ScenesSpec(images=10, size=32))
    assert search_images(photos).line == f"8 pictures in {photos}; left out: 21 of the prepared set prepared"
    prepared = tmp_path / "prepared"
    shutil.move(photos / "prepared", prepared)
    whole, train = search_images(prepared), search_images(prepared / "images" / "train")
    assert len(whole.images) == 10
    assert whole.line.endswith("left out: 11 of the prepared set itself"), "maps and the contact sheet"
    assert len(train.images) < 10
    assert not train.left_out
    assert describe_source(whole.images).fingerprint == describe_source(train.images).fingerprint
    assert describe_source(train.images).name == "scenes/train"
    assert len(list_images(prepared / "semantic" / "train")) == len(train.images), "whoever says so may"
    (photos / "train").symlink_to(prepared / "images" / "train", target_is_directory=True)
    assert len(list_images(photos)) == 8 + len(train.images)
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(prepared, arcname="scenes")
    assert len(list_images(tmp_path / "x.tar")) == 10


def test_evaluations_and_results_below_are_left_out(photos: Path) -> None:
    for folder, files in (("knn", ("run.json", "log.txt")), ("results", ("plan.json", "cells/x.json"))):
        picture(photos / folder / "predictions.png", "PNG")
        for name in files:
            (photos / folder / name).parent.mkdir(exist_ok=True)
            (photos / folder / name).write_text("{}")
    left_out = "1 of the evaluation knn, 1 of the results folder results"
    assert search_images(photos).line == f"8 pictures in {photos}; left out: {left_out}"


def test_a_list_with_labels_is_a_list_of_names(photos: Path) -> None:
    """As other projects' meta files are; a name may end in a number all the same."""
    for name in ("im 1", "im 2"):
        picture(photos / name)
    listing = photos / "train.txt"
    listing.write_text("0.jpg 3\n1.jpg\t7\n2.jpg,0,-1\nim 1\nim 2 5\n3.jpg\n")
    found = search_images(listing)
    assert [image.name for image in found.images] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "im 1", "im 2"]
    assert found.line == f"6 pictures in {listing}; the labels behind 4 names are not read"


# --- names that look like something else ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["1e3", "on", "[x]", "null", "0x10", "a: b", "photos #1", "12", "~"])
def test_the_name_of_a_folder_stays_text(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "~")  # so that "~" stays what it is
    assert load_recipe("moco_demo", [f"data.root={name}"]).data.root == name
    assert load_recipe("moco_demo", [override("data.root", name)]).data.root == name
    assert load_recipe("moco_demo", [f"data.root='{name}'", "seed=3"]).data.root == name


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    data = load_recipe("moco_demo", ["data.root=~/x", "data.images=~/y", "data.annotations=~/z.json"]).data
    assert [data.root, data.images, data.annotations] == [str(tmp_path / name) for name in ("x", "y", "z.json")]
    assert load_recipe("moco_demo", ["data.root=~nobody-of-that-name/x"]).data.root == "~nobody-of-that-name/x"
    assert load_recipe("moco_demo", ["data.root=a//b/~"]).data.root == "a//b/~"
