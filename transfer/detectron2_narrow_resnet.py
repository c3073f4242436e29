"""The name that exported configurations import; the code is :mod:`transfer.exporters.detectron2.narrow_resnet`."""

from transfer.exporters.detectron2.narrow_resnet import *  # noqa: F403
