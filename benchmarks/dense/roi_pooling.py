"""One feature an object: the map pooled in the object's box by RoIAlign, and averaged."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.ops import roi_align


def pool_boxes(maps: Tensor, image_of: Tensor, boxes: Tensor, cells: int, sampling: int) -> Tensor:
    """Mean of each box's RoIAlign cells.

    A box of relative coordinates is scaled to the map's cells and shifted by half a cell (``aligned``), since the value
    of cell (0, 0) belongs to the point (0.5, 0.5). It is cut into ``cells`` x ``cells`` bins; a bin is the mean of
    ``sampling`` x ``sampling`` bilinear samples at the centres of its equal parts. Samples up to one cell beyond the
    border take the border's value.

    Args:
        maps: float, N x C x h x w.
        image_of: int64, K: the map of each box.
        boxes: K x 4: left, top, right, bottom as shares of the image's width and height, 0-1.

    Returns:
        K x C, of the maps' type.
    """
    height, width = maps.shape[-2:]
    scaled = boxes * boxes.new_tensor([width, height, width, height])
    rois = torch.cat([image_of[:, None].to(scaled), scaled], dim=1).to(maps)
    pooled: Tensor = roi_align(maps, rois, cells, spatial_scale=1.0, sampling_ratio=sampling, aligned=True)
    return pooled.mean(dim=(2, 3))
