"""Data of an OpenMMLab configuration in common terms: crops, sliding windows, classes, ignored labels."""

from __future__ import annotations

from collections.abc import Iterator

from transfer.config_lint.mm_inputs import preprocessor_of
from transfer.config_lint.settings import ClassCount, Lookup, Setting
from transfer.config_lint.tree import UNKNOWN, Config, Node

# Classes of the toolboxes' data sets, by their class; both have some of the same name.
_CLASSES = {
    "mmseg": {
        "PascalVOCDataset": 21, "CityscapesDataset": 19, "ADE20KDataset": 150, "COCOStuffDataset": 171,
        "PascalContextDataset": 60, "PascalContextDataset59": 59, "BDD100KDataset": 19, "LoveDADataset": 7,
        "PotsdamDataset": 6, "ISPRSDataset": 6, "iSAIDDataset": 16, "NightDrivingDataset": 19,
        "DarkZurichDataset": 19,
    },
    "mmdet": {
        "CocoDataset": 80, "VOCDataset": 20, "CityscapesDataset": 8, "LVISV1Dataset": 1203, "LVISV05Dataset": 1230,
        "LVISDataset": 1230, "Objects365V1Dataset": 365, "Objects365V2Dataset": 365, "WIDERFaceDataset": 1,
        "DeepFashionDataset": 15,
    },
}  # fmt: skip
_HEADS = {
    "mmseg": ("decode_head", "auxiliary_head"),
    "mmdet": ("bbox_head", "mask_head", "roi_head.bbox_head", "roi_head.mask_head"),
}
_BOUNDARY_HEADS = ("STDCHead",)  # their classes are edges, not the data set's
_PADDING = 255  # mmseg's default of seg_pad_val


def mm_classes(config: Config, lookup: Lookup) -> Iterator[ClassCount]:
    """Each head's number of classes with the training set's."""
    scope = config.root.get("default_scope")
    if scope is not None and scope.value != config.engine:
        return  # a toolbox that builds on these two
    if config.root.get("model.language_model") is not None:
        return  # open vocabulary: the head's classes are words
    dataset = _training_set(config)
    if dataset is None:
        return
    kind = _kind(dataset)
    wanted = _CLASSES[config.engine].get(kind)
    named = _named_classes(dataset)
    if named is not None:
        wanted = named if named > 0 else None
    if wanted is None:
        return
    for head in _HEADS[config.engine]:
        node = config.root.get(f"model.{head}")
        for number, one in enumerate(node.value if node is not None and isinstance(node.value, list) else [node]):
            if one is None or not isinstance(one.value, dict) or _kind(one) in _BOUNDARY_HEADS:
                continue
            path = f"model.{head}" if one is node else f"model.{head}.{number}"
            setting = lookup.find("num_classes", under=one, shown=f"{path}.num_classes")
            if setting is not None:
                yield ClassCount(setting, wanted, kind)


def _training_set(config: Config) -> Node | None:
    """The data set that training reads, out of its wrappers; None where there are several, or it is computed."""
    for path in ("train_dataloader.dataset", "data.train"):
        node = config.root.get(path)
        while node is not None and isinstance(node.value, (dict, list)):
            if isinstance(node.value, list):
                node = node.value[0] if len(node.value) == 1 else None
                continue
            inner = node.get("dataset") or node.get("datasets")
            if inner is None:
                return node
            node = inner
    return None


def _named_classes(dataset: Node) -> int | None:
    """How many classes the configuration gives its data set: 0 where that is computed, None where it does not."""
    for path in ("metainfo", "classes"):
        node = dataset.get(path)
        if node is None or node.value is None:
            continue
        if path == "metainfo" and isinstance(node.value, dict):
            node = node.get("classes") or node.get("CLASSES")
            if node is None:
                continue
        return len(node.value) if isinstance(node.value, list) else 0
    return None


def mm_crops(config: Config, lookup: Lookup) -> Iterator[tuple[Setting, Setting, str]]:
    """mmseg's training crop against the images it is cut from, and against the size that batches are padded to."""
    if config.engine != "mmseg":
        return
    dataset = _training_set(config)
    pipeline = dataset.get("pipeline") if dataset is not None else config.root.get("train_pipeline")
    crop = scale = None
    for number, step in enumerate(pipeline.value if pipeline is not None and isinstance(pipeline.value, list) else []):
        kind = _kind(step)
        if kind in ("Resize", "RandomResize"):
            keys = [key for key in ("scale", "img_scale") if step.get(key) is not None]
            scale = lookup.find(keys[0], under=step, shown=f"train_pipeline.{number}.{keys[0]}") if keys else None
        elif kind == "RandomCrop":
            crop = lookup.find("crop_size", under=step, shown=f"train_pipeline.{number}.crop_size")
            break
    height_width = None if crop is None else _sides(crop.value)
    if crop is None or height_width is None:
        return
    images = None if scale is None else _sides(scale.value)
    if scale is not None and images is not None:
        too_large = max(height_width) > max(images) or min(height_width) > min(images)
        if too_large:
            yield crop, scale, f"{height_width} from images of {images} ({scale.key})"
    path, preprocessor = preprocessor_of(config)
    if preprocessor is not None:
        size = lookup.find("size", under=preprocessor, shown=f"{path}.size")
        padded = None if size is None else _sides(size.value)
        if size is not None and padded is not None and padded != height_width:
            yield size, crop, f"batches are padded to {padded}; crops have {height_width} ({crop.key})"


def mm_slides(lookup: Lookup) -> Iterator[tuple[Setting, Setting]]:
    """mmseg's test by sliding windows: stride and window."""
    for owner in ("model.test_cfg", "test_cfg"):
        mode, stride, crop = (lookup.find(f"{owner}.{key}") for key in ("mode", "stride", "crop_size"))
        if mode is not None and mode.value == "slide" and stride is not None and crop is not None:
            yield stride, crop


def mm_ignored(config: Config, lookup: Lookup) -> Iterator[tuple[Setting, Setting]]:
    """mmseg's heads: the label that the loss ignores, and what padding writes."""
    path, preprocessor = preprocessor_of(config)
    if config.engine != "mmseg" or preprocessor is None:
        return
    written = lookup.find("seg_pad_val", under=preprocessor, shown=f"{path}.seg_pad_val")
    padding = written or Setting(_PADDING, "seg_pad_val's default", preprocessor.place, written=False)
    for head in _HEADS["mmseg"]:
        ignored = lookup.find(f"model.{head}.ignore_index")
        if ignored is not None or written is not None:
            default = Setting(_PADDING, f"model.{head}.ignore_index", padding.place, written=False)
            if config.root.get(f"model.{head}") is not None:
                yield ignored or default, padding


def _sides(value: object) -> list[float] | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return [value, value]
    if not isinstance(value, list) or len(value) != 2:
        return None
    sides = [one for one in value if isinstance(one, (int, float)) and not isinstance(one, bool) and one > 1]
    return sides if len(sides) == 2 else None


def _kind(node: Node) -> str:
    kind = node.get("type")
    return "" if kind is None or kind.value is UNKNOWN else str(kind.value).rpartition(".")[2]
