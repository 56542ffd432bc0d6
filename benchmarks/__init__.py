"""Benchmarks against the peers, as ratios: `python -m benchmarks`, or one of them by name."""
