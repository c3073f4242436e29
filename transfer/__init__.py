"""Carrying backbones between files, frameworks and toolboxes, with proof."""
