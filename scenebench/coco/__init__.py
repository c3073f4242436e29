"""COCO instances JSON as people write it: one reader with one set of checks, for every command that reads such a file.

::

    document      the file: categories, images, annotations by image
    file_names    which file a 'file_name' means
    values        single values: ids, numbers, 'iscrowd'
    masks, runs   a 'segmentation' as run lengths, checked before pycocotools sees it
    boxes         a box against its mask, and what most contradictions look like
    objects       one annotation as an object: all of the above
    mends         what was mended or left out, for counting and for naming
    turning       pictures that EXIF turns, and their masks

It stands on the lowest floor because pretraining and the benchmarks read the same files and may not import each other
both ways. Nothing here knows of pictures beyond their size and orientation.
"""
