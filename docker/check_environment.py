"""Fail the build of an image whose packages do not work together: torch, torchvision's operators, both toolboxes.

check_environment.py OPERATORS: 1 where mmcv's compiled operators were built.
"""

from __future__ import annotations

import sys

import torch
import torchvision


def main(operators: bool) -> None:
    """Differentiate a small network, call torchvision's operators, and import what the benchmarks import."""
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.Flatten()
    )
    network(torch.rand(2, 3, 8, 8)).square().sum().backward()
    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 3.9], [5.0, 5.0, 6.0, 6.0]])
    if torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist() != [0, 2]:
        raise SystemExit("torchvision's non-maximum suppression gives a wrong answer")
    torch.linalg.svd(torch.rand(8, 8))
    import detectron2.model_zoo  # noqa: F401
    import mmseg.models  # noqa: F401

    if operators:
        import mmcv.ops
        import mmdet.models  # noqa: F401

        if mmcv.ops.nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5)[1].tolist() != [0, 2]:
            raise SystemExit("mmcv's non-maximum suppression gives a wrong answer")
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__} and both toolboxes work together")


if __name__ == "__main__":
    main(operators=sys.argv[1:] == ["1"])
