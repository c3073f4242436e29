"""Saliency maps of frozen backbones against people."""
