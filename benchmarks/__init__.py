"""Benchmarks against the peers, as ratios: `python -m benchmarks tape`."""
