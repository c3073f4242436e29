"""Object detection and instance segmentation with Detectron2."""
