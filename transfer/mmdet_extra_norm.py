"""The name that exported configurations import; the code is :mod:`transfer.exporters.mmdet.extra_norm`."""

from transfer.exporters.mmdet.extra_norm import *  # noqa: F403
