"""Utilities: `utils.data`."""

from tinygrad_edu.utils import data
