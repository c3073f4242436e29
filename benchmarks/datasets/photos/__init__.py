"""Small sets of real photographs: parts of COCO, ADE20K and VOC 2012 at 128 pixels, chosen by committed lists."""
