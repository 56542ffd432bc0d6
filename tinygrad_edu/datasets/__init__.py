"""Data sets as `utils.data.Dataset`s: items are (image, label)."""

from tinygrad_edu.datasets.digits import Digits

__all__ = ["Digits"]
