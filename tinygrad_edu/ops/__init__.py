"""The primitives: each one's forward and gradient rule side by side.  These accept bare arrays as well as tensors."""

from tinygrad_edu.engine.basis import cast, expand, sum_to, where
from tinygrad_edu.ops.elementwise import *  # noqa: F403
from tinygrad_edu.ops.index import *  # noqa: F403
from tinygrad_edu.ops.linalg import *  # noqa: F403
from tinygrad_edu.ops.loss import *  # noqa: F403
from tinygrad_edu.ops.random import *  # noqa: F403
from tinygrad_edu.ops.reduce import *  # noqa: F403
from tinygrad_edu.ops.shape import *  # noqa: F403
