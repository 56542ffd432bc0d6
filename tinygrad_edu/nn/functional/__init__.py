"""Layers, activations and losses as functions: `import tinygrad_edu.nn.functional as F`."""

from tinygrad_edu.nn.functional.activation import *
from tinygrad_edu.nn.functional.loss import *
