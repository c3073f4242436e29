"""How fast things are: images per second of pretraining, beside what people would otherwise use."""
