"""The pages; :mod:`docs.generate` writes those that are made from code and records."""
