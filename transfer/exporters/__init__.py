"""From a backbone file into the toolboxes: one module or folder a toolbox, each with its own proof."""

EXPORTERS = {
    "detectron2": "transfer.exporters.detectron2.files",
    "mmseg": "transfer.exporters.mmseg.files",
    "mmdet": "transfer.exporters.mmdet.files",
    "timm": "transfer.exporters.timm",
    "torchvision": "transfer.exporters.torchvision",
}
"""The module of each target; imported only when it is asked for, since a toolbox takes seconds."""
