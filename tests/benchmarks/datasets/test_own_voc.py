"""Anybody's data in VOC layout: pictures of any suffix, names with blanks, renamed pictures, pictures without XML."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from miniature_files import write_image, write_voc_xml

from benchmarks.datasets.preparing import prepare
from benchmarks.datasets.readers import read_official
from scenebench.errors import UserError

ONE_CUP = [("cup", 2, 3, 12, 14, 0)]


def voc(root: Path, pictures: list[str], train: list[str], filename: str = "") -> Path:
    """A folder in VOC layout; every picture has its XML file."""
    for number, name in enumerate(pictures):
        write_image(root / "JPEGImages" / name, seed=number)
        xml = root / "Annotations" / f"{Path(name).stem}.xml"
        write_voc_xml(xml, ONE_CUP)
        if filename:
            text = xml.read_text()
            start, _, rest = text.partition("<filename>")
            head = start if rest else text.partition("<annotation>")[0] + "<annotation>"
            tail = rest.partition("</filename>")[2] if rest else text.partition("<annotation>")[2]
            xml.write_text(f"{head}<filename>{filename}</filename>{tail}")
    for split, lines in (("train", train), ("val", [])):
        path = root / "ImageSets" / "Main" / f"{split}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        if lines:
            path.write_text("\n".join(lines) + "\n")
    return root


def prepared(root: Path) -> tuple[list[str], list[str]]:
    """File names of the prepared training images, and the lines that were said."""
    lines = prepare("voc", root)
    content = json.loads((root / "instances_train.json").read_text())
    assert len(content["annotations"]) == len(content["images"])
    return [image["file_name"].removeprefix("JPEGImages/") for image in content["images"]], lines


@pytest.mark.parametrize("suffix", [".png", ".JPG", ".jpeg", ".JPEG", ".bmp", ".tif", ".webp"])
def test_pictures_of_any_suffix(tmp_path: Path, suffix: str) -> None:
    root = voc(tmp_path, [f"im1{suffix}", f"im2{suffix}"], ["im1", "im2"])
    (root / "JPEGImages" / "Thumbs.db").write_text("x")
    (root / "JPEGImages" / "im1.txt").write_text("0 .5 .5 .1 .1")  # labels of another tool
    names, lines = prepared(root)
    assert names == [f"im1{suffix}", f"im2{suffix}"]
    assert len(lines) == 1


def test_two_pictures_of_one_stem_are_refused(tmp_path: Path) -> None:
    root = voc(tmp_path, ["im1.jpg", "im1.png"], ["im1"])
    with pytest.raises(UserError, match=r"im1\.jpg: and im1\.png have one stem") as caught:
        prepare("voc", root)
    assert "\n" not in str(caught.value)
    assert not (root / "instances_train.json").exists()


@pytest.mark.parametrize(
    "filename", ["DSC_1.JPG", r"C:\Users\me\pictures\DSC_0001.JPG", "/home/me/a.jpg", "im1", r"d\im1.png"]
)
def test_an_xml_file_belongs_to_its_own_stem(tmp_path: Path, filename: str) -> None:
    root = voc(tmp_path, ["im1.jpg", "im2.jpg"], ["im1", "im2"], filename=filename)
    names, lines = prepared(root)
    assert names == ["im1.jpg", "im2.jpg"]
    other = 1 if "im1" in filename else 2
    assert lines[0].startswith(f"{other} XML files name another picture in <filename>")


@pytest.mark.parametrize(
    ("pictures", "lines", "expected"),
    [
        (["im 1.jpg", "im 2.jpg"], ["im 1", "im 2"], ["im 1.jpg", "im 2.jpg"]),
        (["im 1.jpg", "im 2.jpg"], ["im 1  1", "im 2 -1"], ["im 1.jpg", "im 2.jpg"]),
        (["im1.jpg", "im2.jpg"], ["im1  1", "im2 -1"], ["im1.jpg", "im2.jpg"]),
        (["a b.jpg", "a b 1.jpg"], ["a b", "a b 1"], ["a b.jpg", "a b 1.jpg"]),
        (["a b.jpg", "a b 1.jpg"], ["a b 1", "a b 1 1"], ["a b.jpg", "a b 1.jpg"]),
        (["a.jpg", "b 1.jpg"], ["a", "b 1"], ["a.jpg", "b 1.jpg"]),
        (["im1.png", "im 2.png"], ["im1.png", "im 2.png 1"], ["im1.png", "im 2.png"]),
    ],
)
def test_names_with_blanks_and_labels_behind_them(
    tmp_path: Path, pictures: list[str], lines: list[str], expected: list[str]
) -> None:
    assert prepared(voc(tmp_path, pictures, lines))[0] == expected


def test_what_no_list_names_need_not_be_complete(tmp_path: Path) -> None:
    root = voc(tmp_path, ["im1.jpg"], ["im1"])
    write_image(root / "JPEGImages" / "t20.jpg", seed=20)
    write_voc_xml(root / "Annotations" / "gone.xml", ONE_CUP)
    names, lines = prepared(root)
    assert names == ["im1.jpg"]
    assert lines[0].startswith(
        "left out, for no list names them: 2 files such as JPEGImages/t20.jpg (without an XML file)"
    )
    (root / "ImageSets" / "Main" / "train.txt").write_text("im1\nt20\n")
    with pytest.raises(UserError, match=r"names Annotations/t20\.xml, which is not there"):
        prepare("voc", root)
    (root / "ImageSets" / "Main" / "train.txt").write_text("im1\ngone\n")
    with pytest.raises(UserError, match=r"names JPEGImages/gone\.jpg, which is not there"):
        prepare("voc", root)


def test_vocs_own_years_keep_their_layout_to_the_letter(tmp_path: Path) -> None:
    root = voc(tmp_path, ["im1.png"], ["im1"])
    with pytest.raises(UserError, match=r"names JPEGImages/im1\.jpg, which is not there"):
        read_official("voc2007", root)
    assert len(read_official("voc", root).split("train")) == 1
