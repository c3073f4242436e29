"""Object detection and instance segmentation with Detectron2 or MMDetection."""
