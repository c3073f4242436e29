"""What the data pipeline of MMSegmentation lacks: all categories as one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.datasets.folder import IGNORED
from benchmarks.segmentation.config import MERGE_TRANSFORM


def merge_labels(labels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Every category (1-254) becomes 1; background 0 and ignored 255 stay. H x W."""
    return np.where(labels == IGNORED, IGNORED, labels > 0).astype(np.uint8)


def register_transforms() -> None:
    """Make ``MergeCategories`` known to MMSegmentation; may be called any number of times."""
    from mmcv.transforms import BaseTransform
    from mmseg.registry import TRANSFORMS

    class MergeCategories(BaseTransform):
        """Follows ``LoadAnnotations``."""

        def transform(self, results: dict[str, Any]) -> dict[str, Any]:
            results["gt_seg_map"] = merge_labels(results["gt_seg_map"])
            return results

    TRANSFORMS.register_module(name=MERGE_TRANSFORM, module=MergeCategories, force=True)
