"""Layers, activations and losses as functions: `import tinygrad_edu.nn.functional as F`."""

from tinygrad_edu.nn.functional.activation import *
from tinygrad_edu.nn.functional.conv import *
from tinygrad_edu.nn.functional.lookup import *
from tinygrad_edu.nn.functional.loss import *
from tinygrad_edu.nn.functional.normalization import *
from tinygrad_edu.nn.functional.padding import *
from tinygrad_edu.nn.functional.pool import *
