"""The primitives: each one's forward and gradient rule side by side.  These accept bare arrays as well as tensors."""

from tinygrad_edu.engine.basis import cast, copy, expand, sum_to, where
from tinygrad_edu.ops.compare import *
from tinygrad_edu.ops.conv import *
from tinygrad_edu.ops.elementwise import *
from tinygrad_edu.ops.index import *
from tinygrad_edu.ops.linalg import *
from tinygrad_edu.ops.loss import *
from tinygrad_edu.ops.norm import *
from tinygrad_edu.ops.pad import *
from tinygrad_edu.ops.pool import *
from tinygrad_edu.ops.random import *
from tinygrad_edu.ops.reduce import *
from tinygrad_edu.ops.shape import *
