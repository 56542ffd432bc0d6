"""Fast functions of NumPy arrays, each in two forms: a readable reference and a compiled twin.

Everything here takes arrays, in any memory layout, and returns new arrays; inputs stay unchanged. Results are in C
order, except that elementwise kernels keep the order of their input, as NumPy does, and that images are channels-last.
The fast twins are compiled for float32 and float64; other dtypes always take the reference.
Nothing is compiled, and numba is not imported, before a fast twin is first called.

Read `registry` first (what a kernel is), then a family: `elementwise` and its polynomials in `exponential`, `linalg`,
`softmax`, `random`, or for images `layout`, `conv`, `pool`, `places`, `average`, `norm`;
`tile` is what makes products and convolutions fast, `ladder` the way there from the textbook's three loops;
`channels` is the same for pooling.
`into` and `part` are what compiled programs call; `jit` and `cache` are how all that gets compiled and kept.
"""

from .average import average_windows, spread_windows
from .bias import add_channels
from .cache import cache_folder, clear_cache
from .conv import conv2d, conv2d_to_input, conv2d_to_weight, conv_size
from .elementwise import erf, exp, logistic_loss, relu, relu_grad, sigmoid, sigmoid_grad, tanh, tanh_grad
from .heap import keep_freed_memory
from .linalg import gemm, gemm_nt, matmul
from .linear_layer import linear, linear_grad
from .norm import batch_norm, batch_norm_grad, layer_norm, layer_norm_grad
from .places import pool_gather, pool_scatter
from .pool import max_pool2d, pool_size
from .random import fill_random_bits, random_bits
from .registry import Kernel, backend, registered, use, warmup
from .softmax import cross_entropy, cross_entropy_grad, log_softmax, log_softmax_grad
from .sums import channel_sums
from .threads import get_num_threads, set_num_threads

__all__ = [
    "Kernel",
    "add_channels",
    "average_windows",
    "backend",
    "batch_norm",
    "batch_norm_grad",
    "cache_folder",
    "channel_sums",
    "clear_cache",
    "conv2d",
    "conv2d_to_input",
    "conv2d_to_weight",
    "conv_size",
    "cross_entropy",
    "cross_entropy_grad",
    "erf",
    "exp",
    "fill_random_bits",
    "gemm",
    "gemm_nt",
    "get_num_threads",
    "layer_norm",
    "layer_norm_grad",
    "linear",
    "linear_grad",
    "log_softmax",
    "log_softmax_grad",
    "logistic_loss",
    "matmul",
    "max_pool2d",
    "pool_gather",
    "pool_scatter",
    "pool_size",
    "random_bits",
    "registered",
    "relu",
    "relu_grad",
    "set_num_threads",
    "sigmoid",
    "sigmoid_grad",
    "spread_windows",
    "tanh",
    "tanh_grad",
    "use",
    "warmup",
]

keep_freed_memory()
