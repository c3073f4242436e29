"""More than a hundred ways in which people's COCO files differ from a sound one, one at a time."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
from coco_sound import (
    BOTH,
    BOXES,
    HEIGHT,
    WIDTH,
    Content,
    Mutation,
    box_pixels,
    drop,
    each,
    every_image,
    first,
    ids_as,
    of_box,
    rle,
    runs,
    sound,
    text,
    with_cut_part,
    xyxy,
)


@dataclass(frozen=True)
class Variant:
    """One way to differ.

    Attributes:
        refused: a regular expression of the one line; empty where it is read.
        masks: the masks of the first image, both objects together.
        mended: a part of the summary.
        found: the data check reports something although it is read.
    """

    mutate: Mutation
    refused: str = ""
    masks: np.ndarray | None = None
    mended: str = ""
    found: bool = False


POLYGON = [10, 10, 50, 10, 50, 40, 10, 40]
NAN, INF = float("nan"), float("inf")
SUM = "do not add up to the image's 96 x 72 pixels"
STAND_IN = "1 instances without a mask: THE BOX STANDS IN"
LEFT = box_pixels([10, 10, 20, 30], BOXES[1])
HALVES = box_pixels([10, 10, 20, 30], [55, 30, 17, 30])
SECOND = box_pixels(BOXES[1])


def same(mutate: Mutation, mended: str = "", found: bool = False) -> Variant:
    return Variant(mutate, masks=BOTH, mended=mended, found=found or bool(mended))


def refused(mutate: Mutation, line: str) -> Variant:
    return Variant(mutate, refused=line)


VARIANTS: dict[str, Variant] = {
    "sound": same(lambda c: None),
    # run lengths
    "rle text": same(each(lambda a: {"segmentation": rle(text(of_box(a)))})),
    "rle list": same(each(lambda a: {"segmentation": rle(runs(of_box(a)))})),
    "rle list of floats": same(each(lambda a: {"segmentation": rle([float(r) for r in runs(of_box(a))])})),
    "rle float size": same(first(segmentation=rle(text(box_pixels(BOXES[0])), [72.0, 96.0]))),
    "rle short text": refused(first(segmentation=rle("11")), SUM),
    "rle empty text": refused(first(segmentation=rle("")), SUM),
    "rle long text": refused(first(segmentation=rle(text(np.ones((80, 96), np.uint8)))), SUM),
    "rle text cut": refused(first(segmentation=rle(text(box_pixels(BOXES[0]))[:-1])), f"{SUM}|middle of a run"),
    "rle text of other letters": refused(first(segmentation=rle("~~~~")), "not COCO's compressed run lengths"),
    "rle text not ascii": refused(first(segmentation=rle("é0")), "not COCO's compressed run lengths"),
    "rle text with NUL": refused(first(segmentation=rle("\0\0")), "not COCO's compressed run lengths"),
    "rle text negative": refused(first(segmentation=rle("M1")), "negative run"),
    "rle short list": refused(first(segmentation=rle([100, 20])), SUM),
    "rle empty list": refused(first(segmentation=rle([])), SUM),
    "rle long list": refused(first(segmentation=rle([6000, 2000])), SUM),
    "rle negative": refused(first(segmentation=rle([7000, -100, 12])), "negative run"),
    "rle huge run": refused(first(segmentation=rle([2**40, 1])), SUM),
    "rle half a run": refused(first(segmentation=rle([1.5, 6910.5])), "no whole number"),
    "rle run NaN": refused(first(segmentation=rle([NAN, 6912])), "no whole number"),
    "rle run of text": refused(first(segmentation=rle(["6912"])), "no whole number"),
    "rle counts a number": refused(first(segmentation=rle(6912)), "neither a list nor text"),
    "rle counts null": refused(first(segmentation=rle(None)), "neither a list nor text"),
    "rle size swapped": refused(first(segmentation=rle([6912], [96, 72])), r"size is \[96, 72\].*sides are swapped"),
    "rle size of another image": refused(first(segmentation=rle([81], [9, 9])), r"size is \[9, 9\]"),
    "rle size absurd": refused(first(segmentation=rle([10**18], [10**9, 10**9])), r"size is \[1000000000, "),
    "rle size short": refused(first(segmentation=rle([6912], [72])), r"size is \[72\]"),
    "rle size of text": refused(first(segmentation=rle([6912], ["72", "96"])), "size is"),
    "rle size absent": refused(first(segmentation={"counts": [6912]}), "size is null"),
    "rle counts absent": refused(first(segmentation={"size": [72, 96]}), "neither a list nor text"),
    "rle row-major": refused(each(lambda a: {"segmentation": rle(runs(of_box(a), "C"))}), "row by row"),
    # polygons
    "polygon flat": same(first(segmentation=POLYGON)),
    "polygon closed": same(first(segmentation=[[*POLYGON, 10, 10]])),
    "polygon of floats": same(first(segmentation=[[float(p) for p in POLYGON]])),
    "polygon NaN": same(first(segmentation=[[NAN, *POLYGON[1:]]]), STAND_IN),
    "polygon infinite": same(first(segmentation=[[*POLYGON[:-1], -INF]]), STAND_IN),
    "polygon NaN part": Variant(
        each(lambda a: {"segmentation": [*with_cut_part(a["bbox"], [])["segmentation"][:1], [NAN] * 6]}),
        masks=HALVES,
        mended="16 parts of masks dropped: a coordinate is NaN or infinite",
        found=True,
    ),
    "polygon huge": Variant(
        first(segmentation=[[-1e12, -1e12, 1e12, -1e12, 1e12, 1e12, -1e12, 1e12]]),
        masks=np.ones((HEIGHT, WIDTH), np.uint8),
        mended="1 boxes that contradict their masks",
        found=True,
    ),
    "polygon integer beyond floats": same(first(segmentation=[[10**400, *POLYGON[1:]]]), STAND_IN),
    "polygon null": refused(first(segmentation=[[None, *POLYGON[1:]]]), "not a list of polygons"),
    "polygon text": refused(first(segmentation=[["10", *POLYGON[1:]]]), "not a list of polygons"),
    "polygon true": refused(first(segmentation=[[True, *POLYGON[1:]]]), "not a list of polygons"),
    "polygon of points": refused(first(segmentation=[[10, 10], [50, 10], [50, 40]]), "a list of points"),
    "polygon nested": refused(first(segmentation=[[[10, 10, 50, 10, 50, 40]]]), "not a list of polygons"),
    "polygon and number": refused(first(segmentation=[POLYGON, 3]), "not a list of polygons"),
    "polygon a text": refused(first(segmentation="10,10"), "neither polygons nor run lengths"),
    "polygon a number": refused(first(segmentation=3), "neither polygons nor run lengths"),
    "polygon true itself": refused(first(segmentation=True), "neither polygons nor run lengths"),
    "polygon odd": same(first(segmentation=[POLYGON[:-1]]), STAND_IN),
    "polygon of two points": same(first(segmentation=[[10, 10, 50, 40]]), STAND_IN),
    "polygon empty": same(first(segmentation=[[]]), STAND_IN),
    "polygon good and odd": Variant(
        each(lambda a: with_cut_part(a["bbox"], [a["bbox"][0] + a["bbox"][2] // 2])),
        masks=HALVES,
        mended="16 parts of masks dropped: an odd number of coordinates",
        found=True,
    ),
    "polygon outside": Variant(
        first(segmentation=[[200, 200, 300, 200, 300, 300]]), masks=SECOND, mended="cover", found=True
    ),
    "mask null": same(first(segmentation=None), STAND_IN),
    "mask empty list": same(first(segmentation=[]), STAND_IN),
    "mask empty object": same(first(segmentation={}), STAND_IN),
    "mask absent": same(drop("annotations", 0, "segmentation"), STAND_IN),
    # boxes
    "bbox absent": same(drop("annotations", 0, "bbox"), "1 instances without a box"),
    "bbox and mask absent": refused(
        lambda c: [c["annotations"][0].pop(key) for key in ("bbox", "segmentation")], "neither a 'bbox' nor"
    ),
    "bbox short": refused(first(bbox=[10, 10, 40]), "not four numbers"),
    "bbox of text": refused(first(bbox=["10", 10, 40, 30]), "not four numbers"),
    "bbox null inside": refused(first(bbox=[None, 10, 40, 30]), "not four numbers"),
    "bbox NaN": Variant(first(bbox=[NAN, 10, 40, 30]), masks=SECOND, mended="1 instances dropped", found=True),
    "bbox infinite": Variant(first(bbox=[10, 10, INF, 30]), masks=SECOND, mended="1 instances dropped", found=True),
    "bbox negative": Variant(first(bbox=[10, 10, -40, 30]), masks=SECOND, mended="1 instances dropped", found=True),
    "bbox without area": Variant(first(bbox=[10, 10, 40, 0]), masks=SECOND, mended="1 instances dropped", found=True),
    "bbox one of corners": same(first(bbox=[10, 10, 50, 40]), "1 boxes that contradict their masks: the mask's own"),
    "bbox corners": refused(each(lambda a: {"bbox": xyxy(a["bbox"])}), r"corners \[x1, y1, x2, y2\]"),
    "bbox normalised": refused(
        each(lambda a: {"bbox": [v / s for v, s in zip(a["bbox"], [96, 72] * 2, strict=True)]}), "normalised to 0-1"
    ),
    "bbox centre": refused(
        each(lambda a: {"bbox": [a["bbox"][0] + a["bbox"][2] / 2, a["bbox"][1] + a["bbox"][3] / 2, *a["bbox"][2:]]}),
        "x centre",
    ),
    "bbox swapped": refused(each(lambda a: {"bbox": [a["bbox"][k] for k in (1, 0, 3, 2)]}), "axes swapped"),
    "bbox swapped corners": refused(
        each(lambda a: {"bbox": [xyxy(a["bbox"])[k] for k in (1, 0, 3, 2)]}), r"\[y1, x1, y2, x2\]"
    ),
    "bbox scaled": refused(each(lambda a: {"bbox": [v * 0.5 for v in a["bbox"]]}), "by a factor"),
    "bbox anywhere": refused(each(lambda a: {"bbox": [60, 2, 8, 8 + a["id"]]}), "by no rule that is known"),
    "bbox all zero": refused(each(lambda a: {"bbox": [0, 0, 0, 0]}), "by no rule that is known"),
    "bbox corners without masks": refused(
        each(lambda a: {"bbox": xyxy(a["bbox"]), "segmentation": []}), "leave the picture.*corners"
    ),
    "bbox normalised without masks": refused(
        each(lambda a: {"bbox": [v / 100 for v in a["bbox"]], "segmentation": []}), "within 0-1"
    ),
    "bbox loose": same(
        each(lambda a: {"bbox": [a["bbox"][0] - 3, a["bbox"][1] - 2, a["bbox"][2] + 7, a["bbox"][3] + 5]})
    ),
    "bbox of the whole object": same(
        each(lambda a: {"bbox": [a["bbox"][0] - 8, a["bbox"][1] - 8, a["bbox"][2] + 12, a["bbox"][3] + 16]}),
        "16 boxes that contradict their masks: the mask's own",
    ),
    # ids
    "ids as floats": same(ids_as(float)),
    "category ids as floats": same(
        lambda c: [
            *(e.update(id=float(e["id"])) for e in c["categories"]),
            *(a.update(category_id=float(a["category_id"])) for a in c["annotations"]),
        ]
    ),
    "image ids as text": same(ids_as(str)),
    "image id float on one side": same(first(image_id=1.0)),
    "image_id a half": refused(first(image_id=1.5), "'image_id' is 1.5"),
    "image_id text on one side": refused(first(image_id="1"), 'belongs to image "1".*write both alike'),
    "image_id null": refused(first(image_id=None), "'image_id' is null"),
    "image_id true": refused(first(image_id=True), "'image_id' is true"),
    "image_id absent": refused(drop("annotations", 0, "image_id"), "lacks 'image_id'"),
    "image_id unknown": refused(first(image_id=99), "belongs to image 99"),
    "category_id absent": refused(drop("annotations", 0, "category_id"), "lacks 'category_id'"),
    "category_id a half": refused(first(category_id=1.5), "'category_id' is 1.5"),
    "category_id text": refused(first(category_id="1"), "'category_id' is \"1\""),
    "category_id NaN": refused(first(category_id=NAN), "'category_id' is NaN"),
    "category_id unknown": refused(first(category_id=9), "has category 9"),
    "category id text": refused(lambda c: c["categories"][0].update(id="1"), "needs an integer 'id'"),
    "category id twice": refused(lambda c: c["categories"][1].update(id=1), "category id 1 is given twice"),
    "category without name": same(drop("categories", 0, "name"), ""),
    "image id twice": refused(lambda c: c["images"][1].update(id=1), "image id 1 is given twice"),
    "image id absent": refused(drop("images", 0, "id"), "needs an 'id'"),
    "annotation id twice": same(first(id=2), found=True),
    "annotation id absent": same(drop("annotations", 0, "id"), found=True),
    "annotation id float": same(first(id=1.0)),
    # iscrowd
    "iscrowd '0'": same(each(lambda a: {"iscrowd": "0"})),
    "iscrowd 'false'": same(each(lambda a: {"iscrowd": "false"})),
    "iscrowd 'False'": same(each(lambda a: {"iscrowd": "False"})),
    "iscrowd 0.0": same(each(lambda a: {"iscrowd": 0.0})),
    "iscrowd false": same(each(lambda a: {"iscrowd": False})),
    "iscrowd null": same(each(lambda a: {"iscrowd": None})),
    "iscrowd absent": same(lambda c: [a.pop("iscrowd") for a in c["annotations"]]),
    "iscrowd '1'": same(first(iscrowd="1")),
    "iscrowd 'true'": same(first(iscrowd="true")),
    "iscrowd true": same(first(iscrowd=True)),
    "iscrowd 2": refused(first(iscrowd=2), "'iscrowd' is 2, neither 0 nor 1"),
    "iscrowd 'maybe'": refused(first(iscrowd="maybe"), "'iscrowd' is \"maybe\""),
    "iscrowd NaN": refused(first(iscrowd=NAN), "'iscrowd' is NaN"),
    "iscrowd a list": refused(first(iscrowd=[0]), r"'iscrowd' is \[0\]"),
    # sizes
    "sizes as floats": same(every_image(width=96.0, height=72.0)),
    "sizes absent": same(lambda c: [(e.pop("width"), e.pop("height")) for e in c["images"]]),
    "width as text": refused(lambda c: c["images"][0].update(width="96"), 'width is "96"'),
    "width zero": refused(lambda c: c["images"][0].update(width=0), "width is 0"),
    "width NaN": refused(lambda c: c["images"][0].update(width=NAN), "width is NaN"),
    "size absurd": refused(lambda c: c["images"][0].update(width=10**9, height=10**9), "more than any picture"),
    "size of another picture": refused(lambda c: c["images"][0].update(width=640), "640 x 72 pixels"),
    # other values
    "area NaN": same(first(area=NAN), found=True),
    "area text": same(first(area="1200")),
    "area absent": same(drop("annotations", 0, "area")),
    "extra key NaN": same(first(score=NAN), found=True),
    # names
    "name with dot": same(lambda c: c["images"][0].update(file_name="./img_01.jpg")),
    "name with backslash": same(lambda c: c["images"][0].update(file_name=".\\img_01.jpg")),
    "name twice": refused(lambda c: c["images"][1].update(file_name="img_01.jpg"), "twice"),
    "name a number": refused(lambda c: c["images"][0].update(file_name=1), "a 'file_name'"),
    "name that is no text": refused(lambda c: c["images"][0].update(file_name="\ud800.jpg"), "a 'file_name'"),
    "category name that is no text": refused(lambda c: c["categories"][0].update(name="\ud800"), "needs a 'name'"),
    "category name a number": same(lambda c: c["categories"][0].update(name=7)),
    "name empty": refused(lambda c: c["images"][0].update(file_name=""), "a 'file_name'"),
    # the file
    "no categories": refused(lambda c: c.update(categories=[]), "'categories' is empty"),
    "no images key": refused(lambda c: c.pop("images"), "'images' must be a list"),
    "annotations an object": refused(lambda c: c.update(annotations={}), "'annotations' must be a list"),
    "annotation a number": refused(lambda c: c["annotations"].append(3), "'annotations' must be a list"),
}


def mutated(name: str) -> Content:
    content = copy.deepcopy(sound())
    VARIANTS[name].mutate(content)
    return content
