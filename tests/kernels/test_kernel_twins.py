"""Every fast kernel against its reference: drawn shapes, layouts and dtypes, NaN and infinity, extremes."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_strategies import FLOATS, arrays, check_fresh, dtypes, lay_out, shapes

from tinygrad_edu import kernels

examples = settings(max_examples=60, deadline=None)


def both_silently(kernel, *args):
    """What the two twins return; NumPy must not warn on the way, and no input may change."""
    copies = [np.array(a) if isinstance(a, np.ndarray) else a for a in args]
    with warnings.catch_warnings(), np.errstate(all="warn"):
        warnings.simplefilter("error")
        fast, reference = kernel.fast(*args), kernel.reference(*args)
    for before, after in zip(copies, args, strict=True):
        np.testing.assert_array_equal(before, after)
    inputs = [a for a in args if isinstance(a, np.ndarray)]
    floats = [a.dtype for a in inputs if a.dtype.kind == "f"]
    for result in (fast, reference):
        check_fresh(result, floats[0], *inputs)
    return fast, reference


def eps(dtype):
    return float(np.finfo(dtype).eps)


def assert_within(actual, expected, units, scale=1.0):
    """Equal up to `units` roundings of numbers as large as `scale` or the result; NaN and infinity exact."""
    assert actual.shape == expected.shape
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(actual[~finite], expected[~finite])
    assert np.isfinite(actual[finite]).all()
    bound = units * eps(actual.dtype) * np.maximum(np.abs(expected), scale)
    assert (np.abs(actual.astype(np.float64)[finite] - expected[finite]) <= bound[finite]).all()


@examples
@given(st.data())
@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid"])
def test_elementwise_twins_agree(name, data):
    dtype = data.draw(dtypes)
    x = data.draw(arrays(data.draw(shapes), dtype, special=data.draw(st.booleans()), scale=20.0))
    fast, reference = both_silently(kernels.registered()[name], x)
    assert fast.shape == x.shape
    assert_within(fast, reference.astype(np.float64), 4, scale=0.0)


@examples
@given(st.data())
@pytest.mark.parametrize("name", ["relu_grad", "sigmoid_grad", "tanh_grad"])
def test_gradients_of_activations_are_identical_in_both_twins(name, data):
    dtype, shape = data.draw(dtypes), data.draw(shapes)
    g, z = (data.draw(arrays(shape, dtype, special=data.draw(st.booleans()))) for _ in range(2))
    fast, reference = both_silently(kernels.registered()[name], g, z)
    assert fast.shape == shape
    np.testing.assert_array_equal(fast, reference)


def test_gradients_of_activations_of_images_lie_as_the_activations_do():
    z = np.random.default_rng(0).standard_normal((2, 4, 5, 3)).transpose(0, 3, 1, 2)
    g = np.random.default_rng(1).standard_normal(z.shape)
    for name in ("relu_grad", "sigmoid_grad", "tanh_grad"):
        kernel = kernels.registered()[name]
        found = kernel.fast(g, z)
        assert found.transpose(0, 2, 3, 1).flags.c_contiguous
        np.testing.assert_array_equal(found, kernel.reference(g, z))


@examples
@given(st.data())
def test_logistic_loss_twins_agree(data):
    dtype, shape = data.draw(dtypes), data.draw(shapes)
    x = data.draw(arrays(shape, dtype, special=data.draw(st.booleans()), scale=20.0))
    y_shape = data.draw(st.sampled_from([shape, shape[1:], (1,) * len(shape)]))
    y = np.asarray(np.abs(data.draw(arrays(y_shape, dtype, scale=0.1))) % 1)
    fast, reference = both_silently(kernels.logistic_loss, x, y)
    assert fast.shape == x.shape
    assert_within(fast, reference.astype(np.float64), 4, scale=0.0)


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("dtype", FLOATS)
def test_sigmoid_at_the_ends(dtype, size):
    x = np.repeat(np.array([-np.inf, -800, -40, 0, 40, 800, np.inf, np.nan], dtype), size)
    for twin in (kernels.sigmoid.fast, kernels.sigmoid.reference):
        low, far, tail, half, one, further, high, nan = twin(x)[::size]
        assert (low, far, half, one, further, high) == (0, 0, 0.5, 1, 1, 1)
        assert tail == pytest.approx(4.248354255291589e-18, rel=4 * eps(dtype))
        assert np.isnan(nan)


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("dtype", FLOATS)
def test_logistic_loss_at_the_ends(dtype, size):
    # logit, target, loss; at infinity with a soft or contradicting target as in PyTorch
    table = [(800, 0, 800), (-800, 0, 0), (800, 1, 0), (-800, 1, 800), (0, 1, np.log(2)), (np.nan, 1, np.nan)]
    table += [(40, 1, 4.248354255291589e-18), (-40, 0, 4.248354255291589e-18), (np.inf, 0, np.inf)]
    x, y, expected = (np.repeat(np.array(column, dtype), size) for column in zip(*table, strict=True))
    for twin in (kernels.logistic_loss.fast, kernels.logistic_loss.reference):
        np.testing.assert_allclose(twin(x, y), expected, rtol=4 * eps(dtype))


def test_relu_lets_nan_pass():
    for twin in (kernels.relu.fast, kernels.relu.reference):
        np.testing.assert_array_equal(twin(np.array([np.nan, -np.inf, np.inf, -1.0])), [np.nan, 0, np.inf, 0])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["relu", "tanh", "sigmoid", "logistic_loss"])
def test_scalar_functions_are_their_kernels(name, dtype):
    kernel = kernels.registered()[name]
    x = np.array([-np.inf, -90, -3, -0.5, 0, 0.5, 3, 90, np.nan], dtype)
    args = (x, np.full_like(x, 0.25)) if name == "logistic_loss" else (x,)
    result = [kernel.scalar(*numbers) for numbers in zip(*args, strict=True)]
    assert_within(np.array(result, dtype), kernel.reference(*args).astype(np.float64), 4, scale=0.0)
    # A float64 constant in a float32 function would widen everything that a compiled loop does.
    returned = {str(s.return_type) for s in kernel.scalar.dispatcher.nopython_signatures}
    assert returned <= {"float32", "float64"}
    assert all(
        len({str(t) for t in (*s.args, s.return_type)}) == 1 for s in kernel.scalar.dispatcher.nopython_signatures
    )


def matmul_shapes(largest):
    """Shapes that fit: 1-d and 2-d operands, stacks that broadcast, and sizes that do not divide by four."""
    size = st.integers(0, largest)
    stacks = st.sampled_from([((), ()), ((), (3,)), ((3,), ()), ((2, 1), (3,)), ((2, 3), (2, 3)), ((0,), (1,))])
    shape_2d = st.tuples(size, size, size, stacks).map(lambda s: ((*s[3][0], s[0], s[1]), (*s[3][1], s[1], s[2])))
    vectors = st.tuples(size, size, st.sampled_from([(), (2,), (2, 3)])).flatmap(
        lambda s: st.sampled_from([((s[0],), (s[0],)), ((s[0],), (*s[2], s[0], s[1])), ((*s[2], s[1], s[0]), (s[0],))])
    )
    return st.one_of(shape_2d, vectors)


@settings(max_examples=100, deadline=None)
@given(st.data())
@pytest.mark.parametrize("blas", [True, False])
def test_matmul_twins_agree(blas, data):
    dtype = data.draw(dtypes)
    shape_a, shape_b = data.draw(matmul_shapes(18))
    a = data.draw(arrays(shape_a, dtype))
    b = data.draw(arrays(shape_b, dtype))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tinygrad_edu.kernels.linalg.blas_is_faster", lambda *sizes: blas)
        fast, _ = both_silently(kernels.matmul, a, b)
    check_product(fast, a, b)


def check_product(actual, a, b):
    """Against the product in float64, within the rounding errors that a sum of its length may have."""
    exact = np.matmul(a.astype(np.float64), b.astype(np.float64))
    assert actual.shape == exact.shape
    magnitude = np.matmul(np.abs(a).astype(np.float64), np.abs(b).astype(np.float64))
    bound = (a.shape[-1] + 1) * eps(a.dtype) * magnitude
    assert (np.abs(actual - exact) <= bound).all()


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize("largest", [0, 1 << 22])
def test_linear_twins_agree(largest, data):
    dtype = data.draw(dtypes)
    m, k, n = (data.draw(st.integers(0, 18)) for _ in range(3))
    x, weight, bias, g = (data.draw(arrays(shape, dtype)) for shape in ((m, k), (n, k), (n,), (m, n)))
    needs = tuple(data.draw(st.booleans()) for _ in range(3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tinygrad_edu.kernels.linear_layer.SMALL", largest)
        z, _ = both_silently(kernels.linear, x, weight, bias)
        found = kernels.linear_grad.fast(g, x, weight, needs)
    # the bias is one more factor of 1, and so are the rows that are added up
    check_product(z, np.hstack([x, np.ones((m, 1), dtype)]), np.vstack([weight.T, bias]))
    ones = np.ones((1, m), dtype)
    for needed, gradient, factors in zip(needs, found, ((g, weight), (g.T, x), (ones, g)), strict=True):
        if not needed:
            assert gradient is None
            continue
        assert gradient.dtype == dtype
        assert gradient.flags.c_contiguous
        check_product(np.atleast_2d(gradient), *factors)


def test_linear_refuses_shapes_that_do_not_fit():
    x, weight, bias, g = np.ones((2, 3)), np.ones((4, 3)), np.ones(4), np.ones((2, 4))
    for twin in (kernels.linear.fast, kernels.linear.reference):
        for wrong in ((np.ones((2, 50)), weight, bias), (x, weight, np.ones(5)), (x, weight, np.ones(1))):
            with pytest.raises(ValueError, match=r"linear: expected x \(M, K\), weight \(N, K\), bias \(N,\)"):
                twin(*wrong)
        with pytest.raises(ValueError, match="linear: expected"):
            twin(x[None], weight, bias)
    for twin in (kernels.linear_grad.fast, kernels.linear_grad.reference):
        for wrong in ((g, x, np.ones((4, 5))), (np.ones((3, 4)), x, weight), (np.ones((2, 5)), x, weight)):
            with pytest.raises(ValueError, match="linear: expected"):
                twin(*wrong)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_matmul_propagates_nan_and_infinity(data):
    dtype = data.draw(dtypes)
    m, k, n = (data.draw(st.integers(1, 9)) for _ in range(3))
    a, b = data.draw(arrays((m, k), dtype, special=True)), data.draw(arrays((k, n), dtype, special=True))
    fast, reference = both_silently(kernels.matmul, a, b)
    np.testing.assert_array_equal(np.isnan(fast), np.isnan(reference))
    np.testing.assert_array_equal(np.isinf(fast) * np.sign(fast), np.isinf(reference) * np.sign(reference))


@settings(max_examples=40, deadline=None)
@given(dtypes, st.tuples(st.integers(0, 40), st.integers(0, 70), st.integers(0, 40)), st.integers(0, 9))
def test_gemm_of_compiled_code_in_all_orders(dtype, sizes, seed):
    m, k, n = sizes
    generator = np.random.default_rng(seed)
    a, b = generator.standard_normal((m, k)).astype(dtype), generator.standard_normal((k, n)).astype(dtype)
    for function, left, right in (
        (kernels.gemm, a, b),
        (kernels.gemm, np.asfortranarray(a), b),
        (kernels.gemm_nt, a, np.ascontiguousarray(b.T)),
    ):
        out = np.full((m, n), np.nan, dtype)
        function(left, right, out)
        check_product(out, a, b)


def test_matmul_refuses_what_numpy_refuses():
    for shape_a, shape_b in [
        ((2, 3), (2, 3)),
        ((3,), (2,)),
        ((), (2, 2)),
        ((2, 3, 4), (3, 2)),
        ((2, 1, 1), (3, 1, 1)),
    ]:
        for twin in (kernels.matmul.fast, kernels.matmul.reference):
            with pytest.raises(ValueError, match=r"shape|dimension"):
                twin(np.ones(shape_a), np.ones(shape_b))


@examples
@given(st.data())
def test_log_softmax_twins_agree(data):
    dtype, shape = data.draw(dtypes), data.draw(shapes)
    dim = data.draw(st.integers(-max(len(shape), 1), max(len(shape), 1) - 1))
    x = data.draw(arrays(shape, dtype, special=data.draw(st.booleans()), scale=20.0))
    fast, reference = both_silently(kernels.log_softmax, x, dim)
    length = shape[dim] if shape else 1
    spread = np.max(np.abs(x), initial=1.0, where=np.isfinite(x))
    assert_within(fast, kernels.log_softmax.reference(x.astype(np.float64), dim), 4 + length, scale=spread)
    assert reference.shape == x.shape

    g, z = data.draw(arrays(shape, dtype)), lay_out(reference, data.draw(st.sampled_from(["C", "Fortran"])))
    fast, _ = both_silently(kernels.log_softmax_grad, g, z, dim)
    exact = kernels.log_softmax_grad.reference(g.astype(np.float64), z.astype(np.float64), dim)
    assert_within(fast, exact, 4 + length, scale=np.sum(np.abs(g)) + 1)


@examples
@given(st.data())
def test_cross_entropy_twins_agree(data):
    dtype = data.draw(dtypes)
    rows, classes = data.draw(st.tuples(st.integers(0, 30), st.integers(1, 30)))
    x = data.draw(arrays((rows, classes), dtype, special=data.draw(st.booleans()), scale=20.0))
    target = np.array(data.draw(st.lists(st.integers(0, classes - 1), min_size=rows, max_size=rows)), np.int64)
    target = lay_out(
        target.astype(data.draw(st.sampled_from(["i8", "u1", "i4"]))),
        data.draw(st.sampled_from(["C", "reversed"])),
    )
    wide = x.astype(np.float64)
    spread = np.max(np.abs(x), initial=1.0, where=np.isfinite(x))
    loss, _ = both_silently(kernels.cross_entropy, x, target)
    assert_within(loss, kernels.cross_entropy.reference(wide, target), 4 + classes, scale=spread)

    g = data.draw(arrays((rows,), dtype))
    grad, _ = both_silently(kernels.cross_entropy_grad, g, x, target)
    exact = kernels.cross_entropy_grad.reference(g.astype(np.float64), wide, target)
    assert_within(grad, exact, 4 + classes, scale=np.max(np.abs(g), initial=0.0))


@pytest.mark.parametrize("shape", [(1000, 10), (700, 16), (50, 17), (40, 130), (3, 5000), (7, 1), (0, 3)])
@pytest.mark.parametrize("dtype", FLOATS)
def test_softmax_of_many_and_of_long_rows(shape, dtype):
    """More than go through the steps at once, rows that fill vectors and that do not; single NaN and infinities."""
    rng = np.random.default_rng(0)
    x, target, g = rng.standard_normal(shape) * 5, rng.integers(0, shape[1], shape[0]), rng.standard_normal(shape[0])
    for i in range(0, shape[0], 3):
        x[i, rng.integers(shape[1])] = rng.choice([np.nan, np.inf, -np.inf, 200.0])
    x, g = x.astype(dtype), g.astype(dtype)
    wide, above = x.astype(np.float64), g.astype(np.float64)
    units = 4 + shape[1]
    assert_within(kernels.cross_entropy.fast(x, target), kernels.cross_entropy.reference(wide, target), units, 200)
    found = kernels.cross_entropy_grad.fast(g, x, target)
    assert_within(found, kernels.cross_entropy_grad.reference(above, wide, target), units, scale=4)
    z = kernels.log_softmax.fast(x, 1)
    assert_within(z, kernels.log_softmax.reference(wide, 1), units, scale=200)
    exact = kernels.log_softmax_grad.reference(wide, z.astype(np.float64), 1)
    assert_within(kernels.log_softmax_grad.fast(x, z, 1), exact, units, scale=2e4)


@pytest.mark.parametrize("rows", [1, 500])
@pytest.mark.parametrize("bad", [-1, 3, 2**40])
def test_cross_entropy_names_a_target_that_is_no_class(bad, rows):
    x, target = np.zeros((rows, 3), np.float32), np.zeros(rows, np.int64)
    target[-1] = bad
    for twin in (kernels.cross_entropy.fast, kernels.cross_entropy.reference):
        with pytest.raises(IndexError, match=f"target {bad} .* 3 classes"):
            twin(x, target)
    for twin in (kernels.cross_entropy_grad.fast, kernels.cross_entropy_grad.reference):
        with pytest.raises(IndexError, match=f"target {bad} .* 3 classes"):
            twin(np.ones(rows, np.float32), x, target)


def test_shapes_that_do_not_fit_are_refused_before_memory_is_read():
    x, target, g = np.ones((4, 3)), np.zeros(4, np.int64), np.ones(4)
    for twin in ("fast", "reference"):
        with pytest.raises(ValueError, match=r"targets \(N,\)"):
            getattr(kernels.cross_entropy, twin)(x, target[:3])
        with pytest.raises(TypeError, match="integer class numbers, got dtype float64"):
            getattr(kernels.cross_entropy, twin)(x, g)
        with pytest.raises(ValueError, match="4 losses"):
            getattr(kernels.cross_entropy_grad, twin)(g[:2], x, target)
        with pytest.raises(ValueError, match="must be the same"):
            getattr(kernels.log_softmax_grad, twin)(x, x[:2], 1)
        with pytest.raises(IndexError, match="out of bounds"):
            getattr(kernels.log_softmax, twin)(x, 2)


def test_against_torch():
    torch = pytest.importorskip("torch")
    rows = np.random.default_rng(0).standard_normal((9, 5)) * 30
    inf = np.inf
    rows[:6] = [
        [inf, 0, 0, 0, 0],
        [-inf, 0, 1, 2, 3],
        [-inf] * 5,
        [np.nan, 0, 0, 0, 0],
        [-inf, inf, 0, 0, 0],
        [inf] * 5,
    ]
    for x in (rows, np.tile(rows, (20, 1))):
        tensor = torch.from_numpy(x)
        for dim in (0, 1):
            np.testing.assert_allclose(
                kernels.log_softmax(x, dim), torch.log_softmax(tensor, dim), rtol=1e-12, atol=1e-15
            )
        target = np.arange(len(x)) % 5
        expected = torch.nn.functional.cross_entropy(tensor, torch.from_numpy(target), reduction="none")
        np.testing.assert_allclose(kernels.cross_entropy(x, target), expected, rtol=1e-12, atol=1e-15)
        np.testing.assert_array_equal(np.isnan(kernels.sigmoid(x)), torch.sigmoid(tensor).isnan())
        y = np.abs(np.sin(np.where(np.isfinite(x), x, 0)))
        expected = torch.nn.functional.binary_cross_entropy_with_logits(tensor, torch.from_numpy(y), reduction="none")
        np.testing.assert_allclose(kernels.logistic_loss(x, y), expected, rtol=1e-12, atol=1e-14)


def test_philox_known_answers():
    """The published vectors of philox4x32-10: counter, key, output."""
    from tinygrad_edu.kernels import random

    vectors = [
        ((0,) * 4, (0,) * 2, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ]
    for counter, key, words in vectors:
        args = [np.uint64(word) for word in (*counter, *key)]
        assert random.philox(*args) == words
        assert random.philox.py_func(*args) == words


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**64 - 1), st.one_of(st.integers(0, 70), st.just((3, 0)), st.just((2, 3, 5)), st.just(())))
def test_random_bits_twins_are_identical(key, shape):
    fast = kernels.random_bits.fast(np.array(key, np.uint64), shape)
    reference = kernels.random_bits.reference(key, shape)
    assert fast.dtype == reference.dtype == np.uint32
    assert fast.shape == reference.shape
    np.testing.assert_array_equal(fast, reference)


def test_random_bits_depend_on_both_words_of_the_key_and_not_on_the_length():
    keys = [0, 1, 2**32, 2**63, 2**64 - 1]
    drawn = [tuple(kernels.random_bits(key, 8)) for key in keys]
    assert len(set(drawn)) == len(keys)
    np.testing.assert_array_equal(kernels.random_bits(7, 100)[:37], kernels.random_bits(7, 37))
    assert tuple(kernels.random_bits(-1, 8)) == drawn[-1]


@pytest.mark.parametrize("dtype", [np.int64, np.bool_, np.float16, ">f4"])
def test_other_dtypes_take_the_reference(dtype):
    x, target = np.array([[0, 1], [1, 1]]).astype(dtype), np.array([0, 1])
    calls = [(kernels.matmul, (x, x)), (kernels.relu, (x,))]
    if x.dtype != bool:
        calls += [(kernels.sigmoid, (x,)), (kernels.logistic_loss, (x, x))]
    if x.dtype.kind == "f":
        calls += [(kernels.log_softmax, (x, 1)), (kernels.log_softmax_grad, (x, x, 1))]
        calls += [(kernels.cross_entropy, (x, target)), (kernels.cross_entropy_grad, (x[0], x, target))]
    for kernel, args in calls:
        fast, reference = kernel.fast(*args), kernel.reference(*args)
        assert fast.dtype == reference.dtype
        np.testing.assert_array_equal(fast, reference)
