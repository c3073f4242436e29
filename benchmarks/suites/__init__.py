"""Suites: the YAML files that come with the suite, and what reads them."""
