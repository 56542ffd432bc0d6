"""Fast functions of NumPy arrays, each in two forms: a readable reference and a compiled twin.

Everything here takes arrays, in any memory layout, and returns new arrays in C order; inputs stay unchanged.
The fast twins are compiled for float32 and float64; other dtypes always take the reference.
Nothing is compiled, and numba is not imported, before a fast twin is first called.

Read `registry` first (what a kernel is), then a family: `elementwise`, `linalg`, `softmax`, `random`;
`jit` and `cache` are how the fast twins get compiled and kept.
"""

from .cache import cache_folder, clear_cache
from .elementwise import logistic_loss, relu, sigmoid, tanh
from .linalg import gemm, gemm_nt, matmul
from .random import fill_random_bits, random_bits
from .registry import Kernel, backend, registered, use, warmup
from .softmax import cross_entropy, cross_entropy_grad, log_softmax, log_softmax_grad

__all__ = [
    "Kernel",
    "backend",
    "cache_folder",
    "clear_cache",
    "cross_entropy",
    "cross_entropy_grad",
    "fill_random_bits",
    "gemm",
    "gemm_nt",
    "log_softmax",
    "log_softmax_grad",
    "logistic_loss",
    "matmul",
    "random_bits",
    "registered",
    "relu",
    "sigmoid",
    "tanh",
    "use",
    "warmup",
]
