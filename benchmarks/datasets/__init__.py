"""Data sets in one prepared layout: generated scenes, and COCO-format folders of the user's own."""
