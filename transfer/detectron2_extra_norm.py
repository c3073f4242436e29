"""The name that exported configurations import; the code is :mod:`transfer.exporters.detectron2.extra_norm`."""

from transfer.exporters.detectron2.extra_norm import *  # noqa: F403
