"""Frozen features, whatever they are of: kept on disk, and classified to convergence. For every task that probes."""
