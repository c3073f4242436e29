"""Into MMDetection: Mask R-CNN and Faster R-CNN, on FPN and on C4."""
