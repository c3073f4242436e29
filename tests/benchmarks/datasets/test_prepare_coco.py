"""COCO folders of strangers: what is mended is counted, what cannot be is one line that names it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

import benchmarks.datasets.prepare_coco as prepare_coco_module
from benchmarks.datasets.folder import IGNORED, DatasetFolder
from benchmarks.datasets.prepare_coco import CocoSpec, prepare_coco
from scenebench.coco.runs import decode_text
from scenebench.errors import UserError

WIDTH, HEIGHT = 40, 30


class Source:
    """A folder of pictures with a COCO JSON, sound until a test spoils it."""

    def __init__(self, folder: Path, images: int = 4) -> None:
        self.folder = folder / "photos"
        self.folder.mkdir()
        self.json = folder / "instances.json"
        self.out = folder / "out"
        self.lines: list[str] = []
        self.content: dict[str, Any] = {
            "images": [],
            "annotations": [],
            "categories": [{"id": 7, "name": "nut"}, {"id": 3, "name": "fig"}, {"id": 90, "name": "unused"}],
        }
        for number in range(images):
            self.add_image(number, f"{number}.jpg")
            self.annotate(number, 3 if number % 2 else 7, [5, 6, 10, 12])

    def add_image(self, number: int | str, name: str, picture: Image.Image | None = None, **save: Any) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (picture or colourful()).save(path, **save)
        self.content["images"].append({"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT})
        return path

    def annotate(self, image: int | str, category: int, bbox: list[float] | None, **more: Any) -> dict[str, Any]:
        x, y, w, h = bbox or (0, 0, 0, 0)
        annotation = {
            "id": len(self.content["annotations"]),
            "image_id": image,
            "category_id": category,
            "iscrowd": 0,
            "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
            "bbox": bbox,
        } | more
        self.content["annotations"].append(annotation)
        return annotation

    def spec(self, **values: Any) -> CocoSpec:
        self.json.write_text(json.dumps(self.content))
        return CocoSpec(images=str(self.folder), annotations=str(self.json), **values)

    def prepare(self, **values: Any) -> DatasetFolder:
        self.lines = []
        return prepare_coco(self.out, self.spec(**values), report=self.lines.append)

    @property
    def summary(self) -> str:
        return "\n".join(self.lines)

    def prepared(self, name: str) -> tuple[Path, dict[str, Any], list[dict[str, Any]]]:
        """Path, image entry and annotations of the source picture ``name`` after preparation."""
        folder = DatasetFolder.open(self.out)
        for split in folder.splits:
            content = json.loads(folder.annotations(split).read_text())
            for image in content["images"]:
                if image["source_name"] == name:
                    mine = [entry for entry in content["annotations"] if entry["image_id"] == image["id"]]
                    return self.out / "images" / split / image["file_name"], image, mine
        raise AssertionError(f"{name} was not prepared")


def colourful(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Smooth (JPEG keeps it) and different in every corner."""
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 / width, y * 255 / height, 128 + 0 * x], axis=2)
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path)


def pixels_of(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert (image.mode, image.format) == ("RGB", "JPEG")
        assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1
        return np.asarray(image).astype(int)


# --- the sound case ------------------------------------------------------------------------------------------------


def test_prepared_folder_holds_everything(source: Source) -> None:
    folder = source.prepare()
    assert folder == DatasetFolder.open(source.out)
    assert folder.name == "photos"
    assert folder.categories == ["fig", "nut", "unused"], "by id, not in the order of the file"
    assert folder.splits == {"train": 3, "test": 1}
    assert folder.compute_fingerprint() == folder.fingerprint
    assert folder.scene_types("train") is None
    for split in folder.splits:
        content = json.loads(folder.annotations(split).read_text())
        assert [category["id"] for category in content["categories"]] == [3, 7, 90], "gappy ids stay"
        for row, image in enumerate(content["images"]):
            number = int(Path(image["source_name"]).stem)
            assert folder.multilabel(split)[row].tolist() == ([1, 0, 0] if number % 2 else [0, 1, 0])
            semantic = np.asarray(Image.open(folder.semantic(split)[row]))
            expected = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
            expected[6:18, 5:15] = 1 if number % 2 else 2
            np.testing.assert_array_equal(semantic, expected)


def test_plain_jpegs_keep_their_bytes(source: Source) -> None:
    source.prepare()
    for number in range(4):
        path, _, _ = source.prepared(f"{number}.jpg")
        assert path.read_bytes() == (source.folder / f"{number}.jpg").read_bytes()


def test_prepared_pictures_are_copies_and_hard_links_only_where_asked(source: Source, tmp_path: Path) -> None:
    folder = source.prepare()
    original = source.folder / "0.jpg"
    path, _, _ = source.prepared("0.jpg")
    before = original.read_bytes()
    assert original.stat().st_nlink == 1
    assert "4 pictures taken over byte for byte, as copies" in source.summary
    with open(path, "r+b") as file:
        file.write(b"changed in place")
    assert original.read_bytes() == before
    shutil.rmtree(source.out)
    linked = source.prepare(link=True)
    assert linked.fingerprint == folder.fingerprint
    assert linked.source == folder.source, "how it was taken is no part of what it is"
    assert "4 pictures taken over as hard links: WHOEVER CHANGES ONE CHANGES YOUR ORIGINAL" in source.summary
    assert original.stat().st_nlink == 2


def test_where_no_link_can_be_made_it_is_a_copy_and_that_is_said(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(source: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("os.link", no_links)
    source.prepare(link=True)
    assert "4 pictures taken over byte for byte, as copies" in source.summary
    assert "hard links" not in source.summary


def test_pycocotools_reads_it_and_masks_equal_the_polygons(source: Source, capsys: pytest.CaptureFixture) -> None:
    polygon = [3.0, 2.5, 30.2, 4.0, 20.0, 25.0]
    source.annotate(0, 3, [3, 2.5, 27.2, 22.5], segmentation=[polygon], area=311.5)
    source.prepare()
    path, image, mine = source.prepared("0.jpg")
    coco = COCO(source.out / "annotations" / f"instances_{path.parent.name}.json")
    capsys.readouterr()
    expected = coco_mask.decode(coco_mask.frPyObjects([polygon], HEIGHT, WIDTH))[:, :, 0]
    np.testing.assert_array_equal(coco.annToMask(coco.anns[mine[1]["id"]]), expected)
    assert mine[1]["area"] == 311.5, "COCO's evaluation sorts by the area of the JSON"
    assert min(coco.anns) >= 1
    assert image["width"] == WIDTH


def test_detectron2_reads_it(source: Source) -> None:
    pytest.importorskip("detectron2")
    from detectron2.data.datasets.coco import load_coco_json
    from detectron2.data.detection_utils import annotations_to_instances
    from detectron2.structures import BoxMode

    folder = source.prepare()
    records = load_coco_json(str(folder.annotations("train")), str(source.out / "images" / "train"))
    for record in records:
        for annotation in record["annotations"]:
            annotation["bbox_mode"] = BoxMode.XYWH_ABS
        instances = annotations_to_instances(record["annotations"], (HEIGHT, WIDTH), mask_format="bitmask")
        assert instances.gt_masks.tensor[0].sum() == 120


# --- splits --------------------------------------------------------------------------------------------------------


def test_split_is_a_deterministic_partition_with_the_share(tmp_path: Path) -> None:
    source = Source(tmp_path, images=20)
    found: dict[int, list[set[str]]] = {}
    for seed in (0, 1, 0):
        shutil.rmtree(source.out, ignore_errors=True)
        folder = source.prepare(seed=seed, test_share=0.25)
        assert folder.splits == {"train": 15, "test": 5}
        names = [{path.name for path in folder.images(split)} for split in ("train", "test")]
        assert not names[0] & names[1]
        assert names[0] | names[1] == {f"{number}.jpg" for number in range(20)}
        assert found.setdefault(seed, names) == names
    assert found[0] != found[1]


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_each_side_has_an_image(source: Source, share: float) -> None:
    assert min(source.prepare(test_share=share).splits.values()) == 1


def test_split_follows_names_not_order(source: Source) -> None:
    first = source.prepare().images("test")[0].name
    shutil.rmtree(source.out)
    source.content["images"].reverse()
    assert source.prepare().images("test")[0].name == first


def test_second_json_and_maxima(source: Source, tmp_path: Path) -> None:
    other_folder = tmp_path / "more"
    other_folder.mkdir()
    other = source.content | {"images": [], "annotations": []}
    for number in range(3):
        colourful().save(other_folder / f"{number}.jpg")
        other["images"].append({"id": number, "file_name": f"{number}.jpg", "width": WIDTH, "height": HEIGHT})
        other["annotations"].append({"id": number, "image_id": number, "category_id": 7, "bbox": [1, 1, 5, 5]})
    test_json = tmp_path / "test.json"
    test_json.write_text(json.dumps(other))
    folder = source.prepare(test_annotations=str(test_json), test_images=str(other_folder), max_train=3, max_test=2)
    assert folder.splits == {"train": 3, "test": 2}


def test_second_json_must_not_share_images_or_change_categories(source: Source, tmp_path: Path) -> None:
    same = tmp_path / "same.json"
    same.write_text(json.dumps(source.content))
    with pytest.raises(UserError, match="cannot both train and test"):
        source.prepare(test_annotations=str(same))
    same.write_text(json.dumps(source.content | {"categories": [{"id": 3, "name": "fog"}], "annotations": []}))
    with pytest.raises(UserError, match=r"differ in their categories"):
        source.prepare(test_annotations=str(same))


# --- annotations that need care ------------------------------------------------------------------------------------


def test_sub_folders_and_colliding_names_become_unique_stems(source: Source) -> None:
    names = ["a/0.jpg", "b/0.jpg", "a__0.jpg", "a/0.png", "odd name, (1).jpg", "ä.jpg", "ö.jpg"]
    for number, name in enumerate(names, start=100):
        source.add_image(number, name)
    folder = source.prepare()
    stems = {source.prepared(name)[0].stem.lower() for name in names}
    assert len(stems) == len(names)
    assert sum(folder.splits.values()) == 4 + len(names)
    for split, count in folder.splits.items():
        assert len(folder.semantic(split)) == len(folder.multilabel(split)) == count


def test_images_without_objects_are_kept(source: Source) -> None:
    source.add_image(50, "empty.jpg")
    source.prepare()
    path, _, mine = source.prepared("empty.jpg")
    assert mine == []
    assert np.asarray(Image.open(source.out / "semantic" / path.parent.name / "empty.png")).max() == 0
    assert "1 images without objects" in source.summary


def test_crowds_are_kept_ignored_and_present(source: Source) -> None:
    source.add_image(50, "crowd.jpg")
    runs = {"size": [HEIGHT, WIDTH], "counts": [0, HEIGHT * 20, HEIGHT * 20]}  # the left half
    source.annotate(50, 90, [0, 0, 20, 30], iscrowd=1, segmentation=runs)
    source.annotate(50, 3, [15, 0, 10, 10])
    folder = source.prepare()
    path, _, mine = source.prepared("crowd.jpg")
    split = path.parent.name
    assert [entry["iscrowd"] for entry in mine] == [1, 0]
    semantic = np.asarray(Image.open(source.out / "semantic" / split / "crowd.png"))
    assert (semantic[:, :15] == IGNORED).all()
    assert (semantic[:10, 15:25] == 1).all(), "an instance shows through a crowd"
    assert (semantic[:, 25:] == 0).all()
    row = [image.name for image in folder.images(split)].index("crowd.jpg")
    assert folder.multilabel(split)[row].tolist() == [1, 0, 1]
    assert "1 crowd regions" in source.summary


def test_small_objects_lie_over_large_ones_in_the_semantic_map(source: Source) -> None:
    source.add_image(50, "nested.jpg")
    source.annotate(50, 3, [10, 10, 5, 5])
    source.annotate(50, 7, [5, 5, 20, 20])
    source.prepare()
    path, _, _ = source.prepared("nested.jpg")
    semantic = np.asarray(Image.open(source.out / "semantic" / path.parent.name / "nested.png"))
    assert (semantic[10:15, 10:15] == 1).all()
    assert semantic[6, 6] == 2


@pytest.mark.parametrize("bbox", [[5, 5, 0, 10], [5, 5, 10, -1], [50, 5, 10, 10], [float("nan"), 5, 10, 10]])
def test_boxes_without_area_are_dropped_and_counted(source: Source, bbox: list[float]) -> None:
    source.annotate(0, 3, bbox, segmentation=[[1, 1, 9, 1, 9, 9]])
    source.prepare()
    assert len(source.prepared("0.jpg")[2]) == 1
    assert "1 instances dropped: their box has no area" in source.summary


def test_boxes_beyond_the_border_are_clipped_and_counted(source: Source) -> None:
    source.annotate(0, 3, [-5, 20, 15, 30])
    source.annotate(1, 3, [30, 20, 10.2, 10.3])  # rounding: clipped, not counted
    source.prepare()
    assert source.prepared("0.jpg")[2][1]["bbox"] == [0, 20, 10, 10]
    assert source.prepared("1.jpg")[2][1]["bbox"] == [30, 20, 10, 10]
    assert "1 boxes clipped" in source.summary


@pytest.mark.parametrize("segmentation", [None, [], [[1, 2, 3, 4]], [[1, 1, 2, 2, 3]]])
def test_without_a_mask_the_box_stands_in_loudly(source: Source, segmentation: Any) -> None:
    source.annotate(0, 3, [20, 10, 10, 12], segmentation=segmentation)
    source.prepare()
    mask = coco_mask.decode(source.prepared("0.jpg")[2][1]["segmentation"])
    assert mask[10:22, 20:30].all()
    assert mask.sum() == 120
    assert "1 instances without a mask: THE BOX STANDS IN" in source.summary


def test_without_a_box_the_mask_gives_it(source: Source) -> None:
    annotation = source.annotate(0, 3, None, segmentation=[[20, 10, 30, 10, 30, 22, 20, 22]])
    del annotation["bbox"]
    source.prepare()
    assert source.prepared("0.jpg")[2][1]["bbox"] == [20, 10, 10, 12]


def test_masks_without_a_pixel_are_dropped_and_counted(source: Source) -> None:
    source.annotate(0, 3, [10, 10, 5, 5], segmentation=[[-30, -30, -20, -30, -20, -20]])
    source.prepare()
    assert len(source.prepared("0.jpg")[2]) == 1
    assert "1 instances dropped: their mask covers no pixel" in source.summary


def test_run_lengths_of_both_kinds_and_several_polygons(source: Source) -> None:
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8, order="F")
    mask[3:9, 4:20:2] = 1
    mask[20:29, 1:39] = 1
    compressed = coco_mask.encode(mask)
    text = {"size": [HEIGHT, WIDTH], "counts": compressed["counts"].decode()}
    flat = np.concatenate([[0], mask.ravel(order="F"), [0]])
    edges = np.flatnonzero(np.diff(flat)).tolist()
    runs = np.diff([0, *edges, mask.size]).tolist()
    source.annotate(0, 3, [4, 3, 36, 26], segmentation=text)
    source.annotate(0, 3, [4, 3, 36, 26], segmentation={"size": [HEIGHT, WIDTH], "counts": runs})
    source.annotate(0, 3, [0, 0, 30, 10], segmentation=[[0, 0, 10, 0, 10, 10, 0, 10], [20, 0, 30, 0, 30, 10, 20, 10]])
    source.prepare()
    _, by_text, by_runs, by_polygons = (coco_mask.decode(e["segmentation"]) for e in source.prepared("0.jpg")[2])
    np.testing.assert_array_equal(by_text, mask)
    np.testing.assert_array_equal(by_runs, mask)
    assert by_polygons.sum() == 200


def test_compressed_runs_decode_as_pycocotools_reads_them() -> None:
    rng = np.random.default_rng(0)
    for density in (0.02, 0.5, 0.98):
        mask = np.asfortranarray((rng.random((211, 307)) < density).astype(np.uint8))
        text = coco_mask.encode(mask)["counts"].decode()
        runs = decode_text(text)
        assert sum(runs) == mask.size
        values = np.repeat(np.arange(len(runs)) % 2, runs)
        np.testing.assert_array_equal(values.reshape(mask.shape, order="F"), mask)


def test_huge_coordinates_take_no_memory(source: Source) -> None:
    source.annotate(0, 3, [0, 0, 40, 30], segmentation=[[-1e12, -1e12, 1e12, -1e12, 1e12, 1e12, -1e12, 1e12]])
    source.prepare()
    assert coco_mask.decode(source.prepared("0.jpg")[2][1]["segmentation"]).all()


def test_two_categories_of_one_name_stay_apart(source: Source) -> None:
    source.content["categories"].append({"id": 91, "name": "fig"})
    assert source.prepare().categories == ["fig (id 3)", "nut", "unused", "fig (id 91)"]


def test_text_ids_and_missing_sizes_are_fine(source: Source) -> None:
    source.add_image("first", "text.jpg")
    del source.content["images"][-1]["width"], source.content["images"][-1]["height"]
    source.annotate("first", 3, [1, 1, 8, 8], id="x")
    source.prepare()
    _, image, mine = source.prepared("text.jpg")
    assert (image["width"], image["height"]) == (WIDTH, HEIGHT)
    assert len(mine) == 1


# --- pictures that need care ---------------------------------------------------------------------------------------


def deep_grey() -> Image.Image:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return Image.fromarray(((x * HEIGHT + y) * 50).astype(np.uint16))


@pytest.mark.parametrize(
    ("name", "make", "expected"),
    [
        ("grey.jpg", lambda: colourful().convert("L"), lambda: colourful().convert("L").convert("RGB")),
        ("cmyk.jpg", lambda: colourful().convert("CMYK"), lambda: colourful()),
        ("palette.png", lambda: colourful().quantize(64), lambda: colourful().quantize(64).convert("RGB")),
        ("alpha.png", lambda: colourful().convert("RGBA"), colourful),
        ("bits.png", lambda: colourful().convert("1"), lambda: colourful().convert("1").convert("RGB")),
        ("rgb.png", colourful, colourful),
        ("picture.bmp", colourful, colourful),
    ],
)
def test_other_kinds_become_rgb_jpegs(source: Source, name: str, make: Callable, expected: Callable) -> None:
    save = {"quality": 95} if name.endswith("jpg") else {}
    source.add_image(50, name, make(), **save)
    source.prepare()
    difference = np.abs(pixels_of(source.prepared(name)[0]) - np.asarray(expected()).astype(int))
    assert difference.mean() < {"bits.png": 25, "palette.png": 6}.get(name, 4)  # JPEG blurs a dither
    assert "1 " in source.summary
    assert "pictures written as RGB JPEG" in source.summary


def test_sixteen_bits_are_scaled(source: Source) -> None:
    source.add_image(50, "deep.png", deep_grey())
    source.prepare()
    expected = np.asarray(deep_grey()).astype(float) / 257
    difference = np.abs(pixels_of(source.prepared("deep.png")[0]) - expected[:, :, None])
    assert difference.max() < 12


@pytest.mark.parametrize("value", [0, 1, 77, 200, 255])
def test_sixteen_bit_scale_is_exactly_257(source: Source, value: int) -> None:
    flat = Image.fromarray(np.full((HEIGHT, WIDTH), value * 257, dtype=np.uint16))
    source.add_image(50, "flat.png", flat)
    source.prepare()
    assert (pixels_of(source.prepared("flat.png")[0]) == value).all()


def exif(orientation: int) -> Image.Exif:
    data = Image.Exif()
    data[ExifTags.Base.Orientation] = orientation
    return data


@pytest.mark.parametrize("orientation", range(2, 9))
def test_exif_rotation_is_applied_where_the_json_agrees(source: Source, orientation: int) -> None:
    """The file is stored such that, turned by EXIF, it shows colourful()."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = colourful().transpose(undo[orientation])
    source.add_image(50, "turned.jpg", stored, exif=exif(orientation), quality=95)
    source.prepare()
    path, image, _ = source.prepared("turned.jpg")
    assert (image["width"], image["height"]) == (WIDTH, HEIGHT)
    assert np.abs(pixels_of(path) - np.asarray(colourful()).astype(int)).mean() < 4
    assert "1 pictures turned upright" in source.summary


def test_exif_rotation_is_removed_where_the_json_means_the_stored_pixels(source: Source) -> None:
    source.add_image(50, "stored.jpg", colourful(), exif=exif(6), quality=95)
    source.prepare()
    path, image, _ = source.prepared("stored.jpg")
    assert (image["width"], image["height"]) == (WIDTH, HEIGHT)
    assert np.abs(pixels_of(path) - np.asarray(colourful()).astype(int)).mean() < 4
    assert "1 pictures left unturned" in source.summary


def test_size_that_fits_neither_way_is_refused(source: Source) -> None:
    source.add_image(50, "wrong.jpg", colourful(60, 20), exif=exif(6))
    with pytest.raises(UserError, match=r"wrong.jpg.*40 x 30 pixels, the file has 60 x 20 or, turned by EXIF, 20 x 60"):
        source.prepare()


def test_truncated_picture_is_kept_as_far_as_it_decodes(source: Source) -> None:
    source.content["images"].append({"id": 50, "file_name": "cut.jpg", "width": 400, "height": 300})
    path = source.folder / "cut.jpg"
    colourful(400, 300).save(path, quality=95)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    source.prepare()
    kept = pixels_of(source.prepared("cut.jpg")[0])
    expected = np.asarray(colourful(400, 300)).astype(int)
    assert np.abs(kept[:100] - expected[:100]).mean() < 4
    assert "1 truncated pictures" in source.summary
    assert "truncated: cut.jpg" in source.summary


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\xff\xd8\xff\xe0", "header"])
def test_picture_that_cannot_be_decoded_is_named(source: Source, content: bytes | str) -> None:
    path = source.add_image(50, "bad.jpg", colourful(400, 300))
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"\xff\xda") + 12] if isinstance(content, str) else content)
    source.content["images"][-1] |= {"width": 400, "height": 300}
    with pytest.raises(UserError, match=r"bad\.jpg"):
        source.prepare()
    assert not source.out.exists()


def test_a_picture_that_no_toolbox_can_resize_is_refused_by_name(source: Source) -> None:
    source.add_image(50, "strip.jpg", colourful(3000, 1))
    source.content["images"][-1] |= {"width": 3000, "height": 1}
    with pytest.raises(UserError, match=r"strip\.jpg.* has 3000 x 1 pixels: one side is more than 100 times") as caught:
        source.prepare()
    assert "\n" not in str(caught.value)
    assert not source.out.exists()


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("float.tif", np.full((HEIGHT, WIDTH), 3.5, dtype=np.float32), "floating-point numbers from 3.5 to 3.5"),
        ("twelve.png", np.full((HEIGHT, WIDTH), 4095, dtype=np.uint16), "neither 8 nor 16 bits"),
    ],
)
def test_a_picture_of_unclear_depth_is_refused_by_name(
    source: Source, name: str, values: np.ndarray, message: str
) -> None:
    source.add_image(50, name, Image.fromarray(values))
    with pytest.raises(UserError, match=f"{name}.*{message}"):
        source.prepare()
    assert not source.out.exists()


# --- errors, one line each -----------------------------------------------------------------------------------------


def drop_key(key: str) -> Callable[[Source], None]:
    return lambda source: source.content.pop(key)


def change(kind: str, index: int, **values: Any) -> Callable[[Source], None]:
    return lambda source: source.content[kind][index].update(values)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (drop_key("images"), "not COCO instances: 'images'"),
        (drop_key("annotations"), "not COCO instances: 'annotations'"),
        (change("images", 1, id=0), "image id 0 is given twice"),
        (change("images", 1, file_name="0.jpg"), 'file_name "0.jpg" is given twice'),
        (change("images", 1, file_name="none.jpg"), "image 'none.jpg' is not in"),
        (change("images", 1, file_name="../photos/1.jpg"), "must be a path inside"),
        (change("images", 1, width=0), "width is 0"),
        (change("images", 1, id=None), "needs an 'id'"),
        (change("annotations", 1, image_id=99), "annotation 1 belongs to image 99"),
        (change("annotations", 1, category_id=4), "annotation 1 has category 4"),
        (change("annotations", 1, bbox=[1, 2, 3]), "bbox is"),
        (change("annotations", 1, bbox=None, segmentation=None), "neither a 'bbox' nor a 'segmentation'"),
        (change("annotations", 1, segmentation="x"), "neither polygons nor run lengths"),
        (change("annotations", 1, segmentation=[["a"]]), "not a list of polygons"),
        (change("annotations", 1, segmentation={"size": [9, 9], "counts": "0"}), r"the mask's size is \[9, 9\]"),
        (change("annotations", 1, segmentation={"size": [30, 40], "counts": [5]}), "do not add up"),
        (change("annotations", 1, segmentation={"size": [30, 40], "counts": "PPPPPPPP0"}), "run lengths|in the middle"),
        (change("annotations", 1, segmentation={"size": [30, 40], "counts": "~~~~"}), "not COCO's compressed"),
        (change("annotations", 1, segmentation={"size": [30, 40], "counts": 5}), "neither a list nor text"),
        (change("categories", 1, id=7), "category id 7 is given twice"),
        (change("categories", 1, id="a"), "needs an integer 'id'"),
        (lambda source: source.content.update(categories=[]), "'categories' is empty"),
        (lambda source: source.content.update(annotations=[]), "has an object"),
        (lambda source: source.content.update(images=source.content["images"][:1], annotations=[]), "at least 2"),
    ],
)
def test_faults_are_named_and_leave_nothing(source: Source, spoil: Callable[[Source], None], message: str) -> None:
    spoil(source)
    with pytest.raises(UserError, match=message) as caught:
        source.prepare()
    assert "\n" not in str(caught.value)
    assert sorted(path.name for path in source.folder.parent.iterdir()) == ["instances.json", "photos"]


@pytest.mark.parametrize("text", ["", "{", "[]", '"images"', "\xff\xfe"])
def test_json_that_is_not_json_or_not_coco(source: Source, text: str) -> None:
    spec = source.spec()
    source.json.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"instances\.json: not (JSON|COCO instances)"):
        prepare_coco(source.out, spec)


def test_missing_and_empty_folders(source: Source, tmp_path: Path) -> None:
    spec = source.spec()
    with pytest.raises(UserError, match="no such annotation file"):
        prepare_coco(source.out, CocoSpec(spec.images, str(tmp_path / "none.json")))
    with pytest.raises(UserError, match="no such folder of images"):
        prepare_coco(source.out, CocoSpec(str(tmp_path / "none"), spec.annotations))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="is empty"):
        prepare_coco(source.out, CocoSpec(str(tmp_path / "empty"), spec.annotations))


# --- again, and failure --------------------------------------------------------------------------------------------


def test_same_source_again_is_nothing_to_do_and_another_is_refused(source: Source) -> None:
    folder = source.prepare()
    before = {path: path.stat().st_mtime_ns for path in source.out.rglob("*")}
    assert source.prepare() == folder
    assert source.lines == []
    assert {path: path.stat().st_mtime_ns for path in source.out.rglob("*")} == before
    with pytest.raises(UserError, match="seed = 0, not 1"):
        source.prepare(seed=1)
    picture = source.folder / "0.jpg"
    picture.unlink()
    colourful().rotate(180).save(picture)
    with pytest.raises(UserError, match="content = "):
        source.prepare()


def test_equal_data_has_an_equal_fingerprint_wherever_it_lies(source: Source, tmp_path: Path) -> None:
    first = source.prepare()
    moved = tmp_path / "elsewhere"
    shutil.copytree(source.folder, moved / "photos")
    again = prepare_coco(
        tmp_path / "out2", CocoSpec(str(moved / "photos"), str(source.json)), workers=2, report=lambda _: None
    )
    assert again.description == first.description


def test_failure_half_way_leaves_nothing(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prepare_coco_module, "write_description", fail)
    with pytest.raises(UserError, match="No space left"):
        source.prepare()
    assert sorted(path.name for path in source.folder.parent.iterdir()) == ["instances.json", "photos"]


def test_real_photographs(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "fruits_nuts_coco"
    lines: list[str] = []
    prepared = prepare_coco(tmp_path / "out", CocoSpec(str(folder), str(folder / "trainval.json")), report=lines.append)
    assert prepared.categories == ["date", "fig", "hazelnut"]
    assert prepared.splits == {"train": 13, "test": 5}
    annotated = [json.loads(prepared.annotations(split).read_text())["annotations"] for split in prepared.splits]
    assert sum(map(len, annotated)) == 165
    assert len(lines) == 4, "nothing had to be mended; the last says that pictures are copies"
