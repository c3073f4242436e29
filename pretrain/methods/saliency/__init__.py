"""The saliency-guided method; :mod:`pretrain.methods.saliency.method` is the method itself."""
