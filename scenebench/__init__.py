"""scenebench: pretraining, verified transfer and benchmarks for self-supervised learning on scene images."""

__version__ = "0.1.0"
