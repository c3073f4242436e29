"""Into MMSegmentation: PSPNet, PSANet, FCN and whatever takes its ResNet."""
