"""What a prepared data set holds, as text."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np

from benchmarks.datasets.folder import DatasetFolder
from scenebench.errors import UserError


def describe(folder: DatasetFolder) -> list[str]:
    """Lines: name, splits, instances by category and split, and which categories go together most.

    Raises:
        UserError: the images or annotations are no longer those that were fingerprinted, or a file is missing.
    """
    found = folder.compute_fingerprint()
    if found != folder.fingerprint:
        raise UserError(
            f"{folder.root}: its files have fingerprint {found}, {folder.fingerprint} when they were prepared; "
            "they were changed since: prepare the data set again"
        )
    lines = [
        f"{folder.name} (version {folder.version}), fingerprint {folder.fingerprint}, unchanged",
        *(f"  {key}: {value}" for key, value in folder.source.items()),
        "",
    ]
    counts = {split: _instances(folder, split) for split in folder.splits}
    width = max(len("category"), *(len(name) for name in folder.categories))
    header = "".join(f"{split:>9}" for split in counts)
    lines.append(f"{'category':<{width}}{header}")
    for index, name in enumerate(folder.categories):
        lines.append(f"{name:<{width}}" + "".join(f"{count[index]:>9}" for count in counts.values()))
    total = "instances" if folder.has_instances else "labels"
    lines.append(f"{total:<{width}}" + "".join(f"{count.total():>9}" for count in counts.values()))
    lines.append(f"{'images':<{width}}" + "".join(f"{folder.splits[split]:>9}" for split in counts))
    return [*lines, "", *_cooccurrence(folder)]


def _instances(folder: DatasetFolder, split: str) -> Counter[int]:
    """Instances by category; where there are maps alone, images that hold it."""
    if not folder.has_instances:
        return Counter(dict(enumerate(folder.multilabel(split).sum(axis=0, dtype=np.int64).tolist())))
    content = json.loads(folder.annotations(split).read_text(encoding="utf-8"))
    index_of = {category["id"]: index for index, category in enumerate(content["categories"])}
    return Counter(index_of[annotation["category_id"]] for annotation in content["annotations"])


def _cooccurrence(folder: DatasetFolder) -> list[str]:
    """The pairs of categories that share an image most above chance, over all splits."""
    present = np.concatenate([folder.multilabel(split) for split in folder.splits]).astype(np.int64)
    together = present.T @ present
    share = np.diag(together) / len(present)
    lines = ["categories that share images most, against chance (at least 5 images):"]
    pairs = []
    for one in range(len(folder.categories)):
        for other in range(one + 1, len(folder.categories)):
            expected = share[one] * share[other] * len(present)
            if together[one, other] >= 5:
                pairs.append((together[one, other] / expected, together[one, other], one, other))
    for lift, count, one, other in sorted(pairs, reverse=True)[:8]:
        lines.append(f"  {folder.categories[one]} + {folder.categories[other]}: {count} images, {lift:.2f} x chance")
    return lines if pairs else ["no two categories share 5 images or more"]
