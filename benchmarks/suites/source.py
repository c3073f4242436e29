"""Where a suite's images come from: the generator, or the user's own COCO-format data."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.datasets import prepare_coco, scenes
from benchmarks.datasets.coco_source import read_coco
from benchmarks.datasets.photos.finding import identity_of, require_photos
from benchmarks.datasets.photos.sets import HOW_TO_MAKE, SETS
from benchmarks.datasets.prepare_coco import CocoSpec, split_sources
from benchmarks.datasets.registry import describe
from benchmarks.datasets.scenes import ScenesSpec
from benchmarks.suites.suite import UserDataSpec
from scenebench.config import config_hash
from scenebench.errors import UserError
from scenebench.files import sha256_of

DATA_FOLDER = "data"


@dataclass(frozen=True)
class Source:
    """What the data job prepares.

    Attributes:
        name: a short name for paths.
        place: what the user would call it: ``scenes`` or the folder of images.
        identity: 16 hexadecimal digits; equal identities mean equal prepared data.
        command: the command line that prepares it, but for the output folder.
        scene_types: whether the prepared data knows scene types.
        folder: of published data sets, which are read as they lie: the folder that holds them, and nothing is prepared.
        prepares: of several data sets at once: their names, each of which is a folder in the output folder.
    """

    name: str
    place: str
    identity: str
    command: list[str]
    scene_types: bool
    folder: str = ""
    prepares: tuple[str, ...] = ()

    @property
    def is_users(self) -> bool:
        """Whether the images are the user's own, of which a suite's title knows nothing."""
        return not self.scene_types and not self.folder and not self.prepares


def scenes_source(spec: ScenesSpec) -> Source:
    """The generated data set."""
    command = ["scenebench", "data", "scenes", "--images", str(spec.images), "--size", str(spec.size)]
    command += ["--seed", str(spec.seed), "--cooccurrence", str(spec.cooccurrence)]
    command += ["--objects", f"{spec.objects_min}-{spec.objects_max}"]
    if spec.variant != "default":
        command += ["--variant", spec.variant]
    if spec.version == 1:
        command += ["--version", "1"]
    else:
        for key in ("texture", "palette", "surroundings", "tail"):
            command += [f"--{key}", str(getattr(spec, key))]
        command += ["--scales", f"{spec.scale_min}-{spec.scale_max}"]
    identity = config_hash({"name": scenes.NAME, "version": str(spec.version), **spec.identity})
    return Source(scenes.NAME, scenes.NAME, identity, command, scene_types=True)


def official_source(name: str, folder: Path | str | None) -> Source:
    """Published data sets below ``folder`` (None: ``data``); ``name`` is the one that is pretrained on.

    The identity is that of the published data set, wherever it lies; what was read is in each record's fingerprint.
    """
    description = describe(name)
    place = str(Path(DATA_FOLDER if folder is None else folder).resolve())
    identity = config_hash({"registry": name, "images": description.images})
    return Source(name, place, identity, [], scene_types=False, folder=place)


def photos_source(name: str, folder: Path | str | None) -> Source:
    """The small sets of photographs in ``folder``, of which ``name`` is pretrained on.

    They are copied into the results folder first, so that no record names a place of this machine.

    Raises:
        UserError: no folder, or it does not hold the sets.
    """
    if folder is None:
        raise UserError(f"name the folder of small photographs by --data FOLDER; {HOW_TO_MAKE}")
    place = require_photos(folder).resolve()
    command = ["scenebench", "data", "prepare", "photos", str(place)]
    return Source(name, str(place), identity_of(place), command, scene_types=False, prepares=tuple(SETS))


def coco_source(
    images: Path | str | None, annotations: Path | str | None, test_annotations: Path | str | None, spec: UserDataSpec
) -> Source:
    """The user's own data. Every file that takes part is read once, for its share in the identity.

    Raises:
        UserError: an argument is missing, a folder or file is missing or is not what it should be, or training and
            testing cannot be told apart.
    """
    if images is None:
        raise UserError("annotations were given without images; add --data FOLDER (make: DATA=FOLDER)")
    if annotations is None:
        raise UserError("images were given without annotations; add --annotations JSON (make: ANNOTATIONS=JSON)")
    folder = Path(images).resolve()
    files = [Path(annotations).resolve()]
    command = ["scenebench", "data", "coco", "--images", str(folder), "--annotations", str(files[0])]
    if test_annotations is not None:
        files.append(Path(test_annotations).resolve())
        command += ["--test-annotations", str(files[1])]
    for flag, limit in (("--max-train", spec.max_train), ("--max-test", spec.max_test)):
        if limit is not None:
            command += [flag, str(limit)]
    sources = [read_coco(file, folder) for file in files]
    split_sources(sources[0], sources[1] if len(sources) > 1 else None, _coco_spec(folder, files, spec))
    pictures = {image.path for source in sources for image in source.images}
    identity = config_hash(
        {
            "version": prepare_coco.VERSION,
            "name": folder.name,
            "annotations": [sha256_of(file) for file in files],
            "images": _hash_of_images(folder, pictures),
            "limits": dataclasses.asdict(spec),
        }
    )
    return Source(folder.name, str(folder), identity, command, scene_types=False)


def _coco_spec(folder: Path, files: list[Path], spec: UserDataSpec) -> CocoSpec:
    """What the data job's command asks for."""
    test = str(files[1]) if len(files) > 1 else ""
    return CocoSpec(str(folder), str(files[0]), test, max_train=spec.max_train, max_test=spec.max_test)


def _hash_of_images(folder: Path, paths: Iterable[Path]) -> str:
    """SHA-256 over names and bytes."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(json.dumps([str(path.relative_to(folder)), sha256_of(path)]).encode())
    return digest.hexdigest()
