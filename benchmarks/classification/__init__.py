"""Probes of frozen features: k nearest neighbours and a linear classifier."""
