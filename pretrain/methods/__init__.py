"""The pretraining methods, a file each; see :mod:`pretrain.recipes.method_registry` for how they are found."""
