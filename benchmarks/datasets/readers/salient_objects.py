"""Pictures with masks of what people find salient, in the layout of :mod:`scenebench.salient_folder`."""

from __future__ import annotations

from benchmarks.datasets.samples import Fault, OfficialData, Sample, strict
from benchmarks.datasets.tree import Tree
from scenebench.errors import UserError
from scenebench.salient_folder import IMAGES, MASKS, pair_names

CLASSES = ["salient"]


def read_salient_objects(tree: Tree, fault: Fault = strict) -> OfficialData:
    """One split, ``test``: such pictures judge maps and train nothing."""
    if not tree.has_folder(IMAGES):
        raise UserError(f"{tree.path(IMAGES)}: no such folder; the pictures of {MASKS}/ belong there")
    pairs, faults = pair_names(tree.files(IMAGES), tree.files(MASKS))
    for path, message in faults.items():
        fault("unlisted" if path.startswith(MASKS) else "missing", tree.path(path), message)
    if not pairs:
        raise UserError(f"{tree.path(IMAGES)}: no picture there has a mask in {MASKS}/")
    samples = [Sample(tree.path(f"{IMAGES}/{image}"), (0,), mask=tree.path(f"{MASKS}/{mask}")) for image, mask in pairs]
    return OfficialData("salient_objects", tree.root, CLASSES, {"test": samples}, [], frozenset(range(256)))
