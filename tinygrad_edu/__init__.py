"""tinygrad_edu: reverse-mode autodiff to read, to see and to train with, spelled like PyTorch."""

import importlib as _importlib
import typing as _typing
import warnings as _warnings

import numpy as _np

from tinygrad_edu import accelerator, autograd, backends, cuda, kernels, nn, ops, optim, utils
from tinygrad_edu.autograd import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from tinygrad_edu.engine.calls import primitive
from tinygrad_edu.functions.arithmetic import *
from tinygrad_edu.functions.creation import (
    arange,
    as_tensor,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    meshgrid,
    ones,
    ones_like,
    tensor,
    zeros,
    zeros_like,
)
from tinygrad_edu.functions.indexing import (
    gather,
    index_select,
    masked_fill,
    masked_select,
    nonzero,
    scatter_add,
)
from tinygrad_edu.functions.linear import bmm, dot, matmul, mm, mv, outer
from tinygrad_edu.functions.memory import Size, device
from tinygrad_edu.functions.promotion import get_default_dtype, result_type, set_default_dtype
from tinygrad_edu.functions.randomness import (
    Generator,
    bernoulli,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    multinomial,
    normal,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
    seed,
    set_rng_state,
)
from tinygrad_edu.functions.reductions import *
from tinygrad_edu.functions.shapes import (
    broadcast_to,
    cat,
    chunk,
    concat,
    concatenate,
    flatten,
    flip,
    movedim,
    narrow,
    permute,
    reshape,
    split,
    squeeze,
    stack,
    t,
    transpose,
    tril,
    triu,
    unbind,
    unsqueeze,
)
from tinygrad_edu.kernels import get_num_threads, set_num_threads, warmup
from tinygrad_edu.nn.summary import summary
from tinygrad_edu.program import Program, record
from tinygrad_edu.serialization import load, save
from tinygrad_edu.tensor import Tensor

__version__ = "0.1.0"

float32, float64 = _np.dtype(_np.float32), _np.dtype(_np.float64)
float, double = float32, float64
uint8, int8, int16, int32, int64 = (_np.dtype(d) for d in (_np.uint8, _np.int8, _np.int16, _np.int32, _np.int64))
int, long = int32, int64
bool = _np.dtype(_np.bool_)

_warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"tinygrad_edu\.")

if _typing.TYPE_CHECKING:
    from tinygrad_edu import datasets, explain, testing, transforms, viz


def __getattr__(name: str) -> _typing.Any:
    """Data, and the readers for people, are imported when they are first used."""
    if name in ("datasets", "explain", "testing", "transforms", "viz"):
        return _importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
