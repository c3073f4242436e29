"""``scenebench data prepare``: what papers assume silently, written beside the official files."""

from __future__ import annotations

from pathlib import Path

from benchmarks.datasets.checking.layout import require_layout
from benchmarks.datasets.preparing.outputs import Outputs
from benchmarks.datasets.registry import describe
from benchmarks.datasets.tree import Tree
from scenebench.errors import UserError


def prepare(
    name: str,
    root: Path | str,
    out: Path | str | None = None,
    lists: tuple[Path, ...] = (),
    partial: bool = False,
    workers: int = 1,
) -> list[str]:
    """Write what a data set needs beyond its official files; what is there already, and right, stays as it is.

    Args:
        root: laid out as the registry says.
        out: where lists go; None: ``root`` itself.
        lists: published lists that the user has (voc2012aug: the training stems; imagenet: 1 % and 10 %).
        partial: ``root`` holds a part on purpose; the sizes of lists are not compared with the published ones.

    Returns:
        Lines that say what was written and what was there.

    Raises:
        UserError: a wrong layout, a missing or contradicting list, labels that are not the official ones, a file in the
            way that holds something else.
    """
    description = describe(name)
    tree = Tree(root)
    require_layout(tree, description)
    if lists and name not in ("voc2012aug", "imagenet"):
        raise UserError(f"--list: {name} is prepared from its own files; lists are for voc2012aug and imagenet")
    for path in lists:
        if not path.is_file():
            raise UserError(f"{path}: no such list")
    if not description.prepare:
        return [f"{name}: nothing to prepare, it is used as it is distributed"]
    outputs = Outputs(tree.root if out is None else Path(out))
    if name == "voc0712":
        from benchmarks.datasets.preparing.voc import write_voc0712_lists

        write_voc0712_lists(tree, outputs)
    elif name == "voc2012aug":
        from benchmarks.datasets.preparing.voc import write_trainaug

        write_trainaug(tree, outputs, lists, None if partial else description.images["train"])
    elif name == "voc":
        from benchmarks.datasets.preparing.voc_as_coco import write_instances

        write_instances(tree, outputs)
    elif name == "cityscapes":
        from benchmarks.datasets.preparing.cityscapes import write_train_ids

        write_train_ids(tree, outputs, workers)
    elif name == "ade20k":
        from benchmarks.datasets.preparing.ade20k import write_labels

        write_labels(tree, outputs, workers)
    elif name == "imagenet":
        from benchmarks.datasets.preparing.imagenet import write_subsets

        write_subsets(tree, outputs, lists, partial)
    else:
        from benchmarks.datasets.preparing.splits import write_splits

        write_splits(name, tree, outputs)
    return outputs.lines
