"""Semantic segmentation with MMSegmentation."""
