"""Protocols: the YAML files that come with the suite, and the typed keys they are read into."""
