"""The papers' published values, and the layout of their tables."""
