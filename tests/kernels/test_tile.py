"""The register tile: sizes around its edges, every width of vectors it is compiled for, the ladder that leads to it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_strategies import FLOATS, LAYOUTS, dtypes, lay_out

from tinygrad_edu import kernels
from tinygrad_edu.kernels import ladder, linalg, threads, tile
from tinygrad_edu.kernels.conv import loop_for
from tinygrad_edu.kernels.jit import jit


def around(*sizes):
    """The sizes, and one less and one more."""
    return st.sampled_from(sorted({n + d for n in sizes for d in (-1, 0, 1)}))


@st.composite
def edges(draw, dtype):
    """Whole numbers a (M, K) and b (K, N), whose products are exact, with sizes at which the loops change their way."""
    size, rows, _ = tile.shapes()
    lanes = size // np.dtype(dtype).itemsize
    m = draw(around(1, rows[2], 2 * rows[4], 24, 128))
    n = draw(around(1, lanes, 2 * lanes, 4 * lanes, 6 * lanes))
    k = draw(around(1, lanes, 2 * lanes, 65))
    generator = np.random.default_rng(draw(st.integers(0, 9)))
    return tuple(generator.integers(-4, 5, shape).astype(dtype) for shape in ((m, k), (k, n)))


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize("dtype", FLOATS)
def test_products_at_the_edges_of_the_tile(dtype, data):
    a, b = data.draw(edges(dtype))
    expected = a @ b
    for function, left, right in (
        (linalg.gemm, a, b),
        (linalg.gemm, np.asfortranarray(a), b),
        (linalg.gemm_nt, a, np.ascontiguousarray(b.T)),
    ):
        # Around the result nothing may be written.
        memory = np.full(expected.size + 200, np.nan, dtype)
        out = memory[100:-100].reshape(expected.shape)
        function(left, right, out)
        np.testing.assert_array_equal(out, expected)
        assert np.isnan(memory[:100]).all()
        assert np.isnan(memory[-100:]).all()


@pytest.mark.parametrize("rows", [5, 130])
@pytest.mark.parametrize("depth", [linalg.DEPTH - 1, linalg.DEPTH + 1, 2 * linalg.DEPTH + 3])
def test_long_sums_go_on_from_one_panel_to_the_next(rows, depth):
    generator = np.random.default_rng(0)
    a, b = (generator.integers(-3, 4, shape).astype(np.float32) for shape in ((rows, depth), (depth, 37)))
    for function, right in ((linalg.gemm, b), (linalg.gemm_nt, np.ascontiguousarray(b.T))):
        out = np.empty((rows, 37), np.float32)
        function(a, right, out)
        np.testing.assert_array_equal(out, a @ b)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_nan_and_infinity_reach_their_row_and_column_only(data):
    """Lanes beyond the last column hold whatever lies behind it, also NaN."""
    a, b = (x.copy() for x in data.draw(edges(np.float32)))
    for x in (a, b):
        for special in (np.nan, np.inf, -np.inf) if x.size else ():
            x.flat[data.draw(st.integers(0, x.size - 1))] = special
    expected = linalg.matmul.reference(a, b)
    for function, right in ((linalg.gemm, b), (linalg.gemm_nt, np.ascontiguousarray(b.T))):
        out = np.empty(expected.shape, np.float32)
        function(a, right, out)
        np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_tile_takes_operands_in_any_memory(layout, dtype):
    generator = np.random.default_rng(0)
    a, b = (lay_out(generator.integers(-4, 5, shape).astype(dtype), layout) for shape in ((30, 9), (9, 70)))
    np.testing.assert_array_equal(linalg.on_tiles(a, b), a @ b)
    np.testing.assert_array_equal(linalg.on_tiles(b.T, a.T), b.T @ a.T)


@pytest.mark.parametrize("sizes", [(3, 4, 5), (600, 20, 64), (300, 300, 300)], ids=str)
@pytest.mark.parametrize("transposed", [False, True])
def test_products_of_any_size_are_silent_about_nan_and_overflow(sizes, transposed):
    """On each of the ways that a product can take: also where NumPy's warnings are errors, or raised, or counted."""
    m, k, n = sizes
    a, b = np.ones((m, k), np.float32), np.ones((k, n), np.float32)
    a[0], b[1, 0], a[1] = np.inf, 0, 3e38
    b = np.asfortranarray(b) if transposed else b
    with np.errstate(all="ignore"):
        expected = a @ b
    calls = []
    with warnings.catch_warnings(record=True) as said, np.errstate(all="call", call=lambda *what: calls.append(what)):
        warnings.simplefilter("always")
        found = kernels.matmul.fast(a, b)
        with np.errstate(all="warn"):
            kernels.matmul.fast(a, b)
    assert (said, calls) == ([], [])
    np.testing.assert_array_equal(found, expected)
    assert np.isnan(found[0, 0])
    with np.errstate(all="raise"):
        kernels.matmul.fast(a, b)
        with pytest.raises(FloatingPointError):
            np.float32(3e38) * np.float32(10)


def test_a_product_goes_where_it_is_fastest(monkeypatch):
    """By its shape, and by the threads that either side has."""
    monkeypatch.setattr(linalg, "shapes", lambda: (64, {}, 4))

    def blas(sizes, transposed, ours, theirs):
        monkeypatch.setattr(threads, "_count", ours)
        monkeypatch.setattr(linalg, "blas_threads", lambda: theirs)
        return linalg.blas_is_faster(*sizes, transposed)

    small, skinny, tall, large = (64,) * 3, (128, 784, 20), (784, 128, 256), (1024,) * 3
    for transposed in (False, True):
        first = not transposed
        assert [blas(s, transposed, 1, 1) for s in (small, skinny, tall, large)] == [first, False, False, first]
        assert [blas(s, transposed, 2, 2) for s in (small, skinny, tall, large)] == [first, False, True, True]
        assert [blas(s, transposed, 2, 1) for s in (small, skinny, tall, large)] == [first, False, False, False]
        assert blas((1, 1000, 1000), transposed, 1, 1)
    assert not blas((300, 200, 200), False, 1, 1)
    assert blas((300, 200, 200), False, 1, 2)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([1, 7, 8, 15, 16, 17, 33]), st.sampled_from([1, 8, 15, 16, 17, 33, 65]), st.data())
def test_convolution_with_channels_at_the_edges_of_the_tile(inputs, outputs, data):
    generator = np.random.default_rng(data.draw(st.integers(0, 9)))
    high, wide = data.draw(st.integers(3, 8)), data.draw(st.integers(3, 8))
    stride, pad = (data.draw(st.integers(1, 2)),) * 2, data.draw(st.integers(0, 2))
    rest = (stride, ((pad, pad), (pad, 0)), (1, 1), 1)
    shapes = ((2, inputs, high, wide), (outputs, inputs, 3, 2))
    x, w = (generator.integers(-4, 5, shape).astype(np.float32) for shape in shapes)
    y = kernels.conv2d.reference(x, w, *rest)
    np.testing.assert_array_equal(kernels.conv2d.fast(x, w, *rest), y)
    for kernel, args in (
        (kernels.conv2d_to_input, (y % 5, w, (high, wide), *rest)),
        (kernels.conv2d_to_weight, (x, y % 5, (3, 2), *rest)),
    ):
        np.testing.assert_array_equal(kernel.fast(*args), kernel.reference(*args))


def test_the_loop_for_a_convolution_follows_its_shape():
    none, once, pad = ((0, 0), (0, 0)), (1, 1), ((1, 1), (1, 1))

    def name(kind, w, stride=once, padding=none, groups=1):
        return loop_for(kind, w, stride, padding, once, groups, 4)[0].__name__

    assert [name(kind, (8, 1, 3, 3), groups=8) for kind in ("forward", "weight", "input")] == [
        "depthwise",
        "depthwise_to_weight",
        "depthwise_to_input",
    ]
    assert name("forward", (8, 16, 3, 3)) == "convolve"
    assert name("weight", (8, 16, 3, 3)) == "convolve_to_weight"
    assert name("input", (8, 16, 3, 3), padding=pad) == "convolve_turned"
    assert name("input", (8, 4, 3, 3)) == "convolve_scattered"
    assert name("input", (8, 16, 3, 3), stride=(2, 1)) == "convolve_scattered"
    assert name("input", (8, 16, 1, 1), padding=pad) == "convolve_scattered"


@settings(max_examples=30, deadline=None)
@given(dtypes, st.tuples(*(st.integers(0, 20),) * 3), st.integers(0, 9))
def test_the_steps_of_the_ladder_agree(dtype, sizes, seed):
    m, k, n = sizes
    generator = np.random.default_rng(seed)
    a, b = (generator.integers(-4, 5, shape).astype(dtype) for shape in ((m, k), (k, n)))
    for name, function in ladder.steps().items():
        out = np.full((m, n), np.nan, dtype)
        function(a, b, out)
        np.testing.assert_array_equal(out, a @ b, err_msg=name)


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_block_is_transposed_in_registers(dtype):
    @jit
    def transposed(a, out):
        tile.transpose(a, 3 * a.shape[1] + 2, a.shape[1], out, out.shape[1] + 1, out.shape[1])

    side = tile.shapes()[0] // np.dtype(dtype).itemsize
    a = np.random.default_rng(0).standard_normal((side + 5, side + 4)).astype(dtype)
    out = np.zeros((side + 2, side + 3), dtype)
    transposed(a, out)
    expected = np.zeros_like(out)
    expected[1 : side + 1, 1 : side + 1] = a[3 : side + 3, 2 : side + 2].T
    np.testing.assert_array_equal(out, expected)


def test_inner_functions_are_for_compiled_code():
    with pytest.raises(TypeError, match="aligned> is an inner function: only compiled code can call it"):
        tile.aligned(3, np.ones(1))


PRODUCTS = """
import numpy as np
from tinygrad_edu import kernels
from tinygrad_edu.kernels import linalg, tile
print(tile.shapes()[0])
random = np.random.default_rng(0)
def whole(*shape):
    return random.integers(-4, 5, shape).astype(np.float32)
for m, k, n in ((7, 9, 3), (13, 70, 21), (31, 33, 70), (120, 40, 70)):
    a, b = whole(m, k), whole(k, n)
    for function, right in ((linalg.gemm, b), (linalg.gemm_nt, np.ascontiguousarray(b.T))):
        out = np.empty((m, n), np.float32)
        function(a, right, out)
        np.testing.assert_array_equal(out, a @ b)
"""
IMAGES = """
padding = ((1, 1), (0, 1))
for inputs, stride in ((3, (2, 1)), (17, (1, 1))):
    x, w, rest = whole(2, inputs, 6, 7), whole(5, inputs, 3, 3), (stride, padding, (1, 1), 1)
    y = kernels.conv2d.reference(x, w, *rest)
    np.testing.assert_array_equal(kernels.conv2d.fast(x, w, *rest), y)
    for kernel, args in (
        (kernels.conv2d_to_input, (y, w, (6, 7), *rest)),
        (kernels.conv2d_to_weight, (x, y, (3, 3), *rest)),
    ):
        np.testing.assert_array_equal(kernel.fast(*args), kernel.reference(*args))
for fast, reference in zip(*(twin(x, (3, 2), (2, 2), (1, 1), (1, 1), True) for twin in
                             (kernels.max_pool2d.fast, kernels.max_pool2d.reference))):
    np.testing.assert_array_equal(fast, reference)
spans = np.array([[0, 2], [1, 4]])
divisor = np.array([[4, 2], [8, 1]], np.float32)
y = kernels.average_windows.fast(x, spans, spans, divisor)
np.testing.assert_array_equal(y, kernels.average_windows.reference(x, spans, spans, divisor))
args = (y, (6, 7), spans, spans, divisor)
np.testing.assert_array_equal(kernels.spread_windows.fast(*args), kernels.spread_windows.reference(*args))
"""


@pytest.mark.parametrize(
    ("name", "features", "size", "script"),
    [("generic", "", 16, PRODUCTS + IMAGES), ("haswell", "+avx2,+fma", 32, PRODUCTS)],
    ids=["generic", "haswell"],
)
def test_the_same_numbers_with_the_vectors_of_other_processors(name, features, size, script):
    """Without AVX-512, and without anything that not every processor of its kind has."""
    if name == "haswell":
        import llvmlite.binding as llvm

        if platform.machine() not in ("x86_64", "AMD64") or not llvm.get_host_cpu_features().get("avx2"):
            pytest.skip("this processor has no AVX2")
    settings_ = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features, "TINYGRAD_EDU_QUIET": "1"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=os.environ | settings_)
    assert (done.stdout, done.stderr) == (f"{size}\n", "")


AT_THE_END_OF_MEMORY = """
import ctypes, itertools, mmap
import numpy as np
from tinygrad_edu import kernels
from tinygrad_edu.kernels import linalg

def guarded(x):
    \"\"\"The same numbers at the very end of memory that may be read.\"\"\"
    size = -(-x.nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
    area = mmap.mmap(-1, size + mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(area))
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + size), mmap.PAGESIZE, 0) == 0
    out = np.frombuffer(area, x.dtype, x.size, size - x.nbytes).reshape(x.shape)
    out[...] = x
    return out

def whole(*shape):
    return guarded(np.random.default_rng(0).integers(-4, 5, shape).astype(np.float32))

for m, k, n in itertools.product((5, 30, 130), (3, 70), (1, 5, 16, 21, 37, 70)):
    a, b, bt = whole(m, k), whole(k, n), whole(n, k)
    for function, right, expected in ((linalg.gemm, b, a @ b), (linalg.gemm_nt, bt, a @ bt.T)):
        out = guarded(np.empty((m, n), np.float32))
        function(a, right, out)
        np.testing.assert_array_equal(out, expected)

def images(*shape):
    return whole(shape[0], *shape[2:], shape[1]).transpose(0, 3, 1, 2)

rest = ((1, 1), ((0, 0), (0, 0)), (1, 1), 1)
x, w, y = images(2, 3, 6, 6), whole(5, 3, 3, 3), images(2, 5, 4, 4)
for kernel, args in (
    (kernels.conv2d, (x, w, *rest)),
    (kernels.conv2d_to_weight, (x, y, (3, 3), *rest)),
    (kernels.conv2d_to_input, (y, w, (6, 6), *rest)),
    (kernels.max_pool2d, (x, (2, 2), (2, 2), (0, 0), (1, 1), False)),
):
    for fast, reference in zip(kernel.fast(*args), kernel.reference(*args)):
        np.testing.assert_array_equal(fast, reference)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is protected through the C library of Linux")
def test_no_vector_is_read_or_written_past_the_end_of_memory():
    """Where columns end a tile reads on into the next row, but not behind the last one: that would kill the process."""
    environment = os.environ | {"TINYGRAD_EDU_QUIET": "1"}
    done = subprocess.run([sys.executable, "-c", AT_THE_END_OF_MEMORY], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
