"""How to draw a call of each public function: positional and keyword arguments; arrays stand for tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinygrad_edu.engine.domain import Domain, integers, mask, nonzero, positive, real
from tinygrad_edu.testing.strategies import arrays, axes_of, axis_of, distinct, laid_out, narrowed, shapes, values

LONG = Domain("long", low=-4, high=4, integer=True)
COUNTS = Domain("counts", low=1, high=5, integer=True)
Drawn = tuple[list[Any], dict[str, Any]]


@st.composite
def unary(draw: Any, *domains: Domain) -> Drawn:
    return [draw(arrays(draw(shapes().strategy()), draw(st.sampled_from(domains or (real,)))).strategy())], {}


@st.composite
def binary(draw: Any, *domains: Domain, numbers: bool = True) -> Drawn:
    """Two tensors that broadcast; the second may be a Python number."""
    full = draw(shapes().strategy())
    x = draw(arrays(draw(st.one_of(st.just(full), narrowed(full).strategy())), domains[0]).strategy())
    if numbers and draw(st.integers(0, 3)) == 3:
        return [x, draw(values((), domains[1], 1 / 32).strategy()).item()], {}
    return [
        x,
        draw(arrays(draw(st.one_of(st.just(full), narrowed(full).strategy())), domains[1], 1 / 32).strategy()),
    ], {}


@st.composite
def reduction(
    draw: Any,
    *,
    several: bool = True,
    unique: bool = False,
    side: int = 1,
    domain: Domain = real,
    required: bool = False,
    dims: int = 0,
) -> Drawn:
    """One tensor, and perhaps dim (positional or not) and keepdim."""
    shape = draw(shapes(min_side=side, min_dims=dims).strategy())
    plain = ("C", "F", "every other", "reversed", "transposed")
    x = (
        draw(laid_out(draw(distinct(shape).strategy()), plain).strategy())
        if unique
        else draw(arrays(shape, domain).strategy())
    )
    if not shape or (not required and draw(st.integers(0, 3)) == 0):
        return [x, 0] if required else [x], {}
    dim = draw(
        st.one_of(axis_of(len(shape)).strategy(), axes_of(len(shape)).strategy().filter(bool))
        if several
        else axis_of(len(shape)).strategy()
    )
    keep = draw(st.sampled_from([{}, {"keepdim": True}, {"keepdim": False}]))
    return ([x, dim], keep) if draw(st.booleans()) else ([x], {"dim": dim, **keep})


@st.composite
def spread(draw: Any) -> Drawn:
    args, kwargs = draw(reduction(side=2, unique=True, dims=1))
    option = draw(st.sampled_from([{}, {"correction": 0}, {"correction": 1}, {"unbiased": False}]))
    if "unbiased" in option and len(args) == 1 and "dim" not in kwargs:
        return args, {"unbiased": False}
    return args, {**kwargs, **option}


@st.composite
def norm(draw: Any) -> Drawn:
    shape = draw(shapes(min_dims=1, min_side=1).strategy())
    p = draw(st.sampled_from([2, 1, 3, 2.5, float("inf"), "fro"]))
    dim = draw(st.one_of(st.none(), axis_of(len(shape)).strategy()))
    return [draw(laid_out(draw(distinct(shape).strategy()), ("C", "reversed")).strategy()), p], {
        "dim": dim,
        "keepdim": draw(st.booleans()),
    }


@st.composite
def along(draw: Any, *, extra: Any = None, side: int = 0) -> Drawn:
    """One tensor and one dim."""
    shape = draw(shapes(min_dims=1, min_side=side).strategy())
    args = [draw(arrays(shape, real).strategy()), draw(axis_of(len(shape)).strategy())]
    return args, draw(extra) if extra else {}


@st.composite
def ordered(draw: Any, *, k: bool = False) -> Drawn:
    shape = draw(shapes(min_dims=1, min_side=1).strategy())
    x = draw(laid_out(draw(distinct(shape).strategy()), ("C", "transposed", "reversed")).strategy())
    dim = draw(axis_of(len(shape)).strategy())
    if k:
        return [x, draw(st.integers(0, shape[dim]))], {"dim": dim, "largest": draw(st.booleans())}
    return [x], {"dim": dim, "descending": draw(st.booleans())}


@st.composite
def reshaped(draw: Any, view: bool = False) -> Drawn:
    shape = draw(shapes(min_side=1).strategy())
    size = int(np.prod(shape, dtype=int))
    wanted = draw(st.sampled_from([(-1,), (1, -1), (size,), (*shape, 1), shape[::-1], (size, 1, 1)]))
    x = draw(values(shape, real).strategy()) if view else draw(arrays(shape, real).strategy())
    return [x, wanted], {}


@st.composite
def moved(draw: Any, count: int) -> Drawn:
    """One tensor and `count` axes."""
    shape = draw(shapes(min_dims=1, max_dims=4).strategy())
    return [draw(arrays(shape, real).strategy()), *(draw(axis_of(len(shape)).strategy()) for _ in range(count))], {}


@st.composite
def permuted(draw: Any) -> Drawn:
    shape = draw(shapes(max_dims=4).strategy())
    return [draw(arrays(shape, real).strategy()), tuple(draw(st.permutations(range(len(shape)))))], {}


@st.composite
def squeezed(draw: Any) -> Drawn:
    shape = draw(shapes().strategy())
    dim = draw(st.one_of(st.none(), axis_of(len(shape)).strategy())) if shape else None
    return [draw(arrays(shape, real).strategy())] + ([] if dim is None else [dim]), {}


@st.composite
def unsqueezed(draw: Any) -> Drawn:
    shape = draw(shapes().strategy())
    return [draw(arrays(shape, real).strategy()), draw(axis_of(len(shape) + 1).strategy())], {}


@st.composite
def flattened(draw: Any) -> Drawn:
    shape = draw(shapes(max_dims=4).strategy())
    if not shape:
        return [draw(arrays(shape, real).strategy())], {}
    start = draw(st.integers(0, len(shape) - 1))
    return [draw(arrays(shape, real).strategy()), start, draw(st.integers(start, len(shape) - 1))], {}


@st.composite
def expanded(draw: Any) -> Drawn:
    full = draw(shapes().strategy())
    x = draw(arrays(draw(narrowed(full).strategy()), real).strategy())
    lead = len(full) - x.ndim
    wanted = tuple(
        -1 if i >= lead and n == x.shape[i - lead] and draw(st.booleans()) else n for i, n in enumerate(full)
    )
    return [x, wanted], {}


@st.composite
def broadcast(draw: Any) -> Drawn:
    full = draw(shapes().strategy())
    return [draw(arrays(draw(narrowed(full).strategy()), real).strategy()), full], {}


@st.composite
def joined(draw: Any, new: bool) -> Drawn:
    shape = draw(shapes(min_dims=0 if new else 2, min_side=1).strategy())
    dim = draw(axis_of(len(shape) + new).strategy())
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        part = list(shape)
        if not new:
            part[dim] = draw(st.integers(0, 3))
        parts.append(draw(arrays(part, real).strategy()))
    return [parts], {"dim": dim}


@st.composite
def cut(draw: Any, name: str) -> Drawn:
    shape = draw(shapes(min_dims=1, min_side=1).strategy())
    dim = draw(axis_of(len(shape)).strategy())
    x, n = draw(arrays(shape, real).strategy()), shape[dim]
    if name == "unbind":
        return [x, dim], {}
    if name == "narrow":
        start = draw(st.integers(0, n))
        return [x, dim, start, draw(st.integers(0, n - start))], {}
    if name == "split" and draw(st.booleans()):
        first = draw(st.integers(0, n))
        return [x, [first, n - first], dim], {}
    return [x, draw(st.integers(1, n + 1)), dim], {}


@st.composite
def flipped(draw: Any) -> Drawn:
    shape = draw(shapes(min_dims=1).strategy())
    return [draw(arrays(shape, real).strategy()), list(draw(axes_of(len(shape)).strategy()))], {}


@st.composite
def triangle(draw: Any) -> Drawn:
    return [draw(arrays(draw(shapes(min_dims=2).strategy()), real).strategy()), draw(st.integers(-2, 2))], {}


@st.composite
def gathered(draw: Any, src: bool = False) -> Drawn:
    shape = draw(shapes(min_dims=1, min_side=1).strategy())
    dim = draw(axis_of(len(shape)).strategy())
    wanted = [draw(st.integers(0, n)) for n in shape]
    wanted[dim] = draw(st.integers(0, 4))
    index = draw(arrays(wanted, Domain("at", low=0, high=shape[dim] - 1, integer=True)).strategy())
    return [draw(arrays(shape, real).strategy()), dim, index] + (
        [draw(arrays(wanted, real).strategy())] if src else []
    ), {}


@st.composite
def selected(draw: Any) -> Drawn:
    shape = draw(shapes(min_dims=1, min_side=1).strategy())
    dim = draw(axis_of(len(shape)).strategy())
    at = Domain("at", low=0, high=shape[dim] - 1, integer=True)
    return [draw(arrays(shape, real).strategy()), dim, draw(arrays((draw(st.integers(0, 4)),), at).strategy())], {}


@st.composite
def masked(draw: Any, fill: bool) -> Drawn:
    shape = draw(shapes().strategy())
    x = draw(arrays(shape, real).strategy())
    where = draw(arrays(shape if not fill else draw(narrowed(shape).strategy()), mask).strategy())
    return [x, where] + ([draw(st.sampled_from([0.0, -1.5, 2, float("-inf")]))] if fill else []), {}


@st.composite
def product(draw: Any, kind: str) -> Drawn:
    n, k, m = (draw(st.sampled_from([2, 3, 1, 0])) for _ in range(3))
    batch = draw(shapes(max_dims=2).strategy())
    options = {
        "mm": [((n, k), (k, m))],
        "bmm": [((2, n, k), (2, k, m)), ((0, n, k), (0, k, m))],
        "dot": [((k,), (k,))],
        "mv": [((n, k), (k,))],
        "outer": [((n,), (m,))],
    }
    left, right = (draw(narrowed(batch).strategy()) for _ in range(2))
    options["matmul"] = [
        *options["mm"], *options["bmm"], *options["dot"], *options["mv"], ((k,), (k, m)),
        ((*batch, n, k), (*left, k, m)), ((*right, n, k), (*batch, k, m)),
        ((k,), (*batch, k, m)), ((*batch, n, k), (k,)),
    ]  # fmt: skip
    a, b = draw(st.sampled_from(options[kind]))
    return [draw(arrays(a, real).strategy()), draw(arrays(b, real).strategy())], {}


@st.composite
def clamped(draw: Any) -> Drawn:
    low, high = draw(st.sampled_from([(-1.03, None), (None, 1.03), (-1.03, 1.53), (1.03, -1.03), (-1, 2)]))
    x = draw(arrays(draw(shapes().strategy()), Domain("between", apart=(-1.0, 1.0, 1.5, 2.0))).strategy())
    if draw(st.integers(0, 3)) == 3:
        low = None if low is None else np.full(x.shape[-1:], float(low) + 0.01)
        high = None if high is None else np.full(x.shape, float(high) + 0.01)
    return [x], {k: v for k, v in (("min", low), ("max", high)) if v is not None}


@st.composite
def chosen(draw: Any) -> Drawn:
    full = draw(shapes().strategy())
    x, y = (draw(arrays(draw(narrowed(full).strategy()), real).strategy()) for _ in range(2))
    other = draw(st.sampled_from([y, y, 1.5, 0.0]))
    return [draw(arrays(draw(narrowed(full).strategy()), mask).strategy()), x, other], {}


@st.composite
def scaled(draw: Any) -> Drawn:
    args, _ = draw(binary(real, real))
    return args, draw(st.sampled_from([{}, {"alpha": 2}, {"alpha": -0.5}]))


@st.composite
def divided(draw: Any) -> Drawn:
    args, _ = draw(binary(nonzero, Domain("odd", low=0.3, high=2.0)))
    return args, draw(st.sampled_from([{}, {"rounding_mode": "floor"}, {"rounding_mode": "trunc"}]))


PAIR = binary(real, real)
POWER = st.one_of(
    binary(positive, real),
    st.tuples(arrays((3,), nonzero).strategy(), st.sampled_from([0, 1, 2, 3, -1, -2, 2.0])).map(
        lambda a: (list(a), {})
    ),
    arrays((3,), real).strategy().map(lambda y: ([2.0, y], {})),
)
TWO_MASKS = binary(mask, mask, numbers=False)
CALLS: dict[str, Any] = {
    **dict.fromkeys(("exp", "expm1", "sin", "cos", "sigmoid", "tanh", "square", "isnan", "isinf", "isfinite"), unary()),
    **dict.fromkeys(("log", "sqrt", "rsqrt", "log1p"), unary(positive)),
    **dict.fromkeys(("relu", "abs", "sign", "reciprocal"), unary(nonzero)),
    "neg": unary(real, integers),
    "floor": unary(nonzero, integers),
    "logical_not": unary(real, integers, mask),
    **dict.fromkeys(("mul", "eq", "ne", "lt", "le", "gt", "ge"), PAIR),
    **dict.fromkeys(("maximum", "minimum", "equal"), binary(real, real, numbers=False)),
    **dict.fromkeys(("add", "sub"), scaled()),
    "div": divided(),
    "floor_divide": st.one_of(binary(real, positive), binary(LONG, COUNTS)),
    "remainder": st.one_of(binary(nonzero, Domain("larger", low=4.5, high=8.0)), binary(LONG, COUNTS)),
    "pow": POWER,
    "logical_and": TWO_MASKS,
    "logical_or": TWO_MASKS,
    "where": chosen(),
    "clamp": clamped(),
    "allclose": binary(real, real, numbers=False),
    "sum": reduction(side=0),
    "mean": reduction(),
    "amax": reduction(unique=True),
    "amin": reduction(unique=True),
    **dict.fromkeys(("max", "min", "argmax", "argmin"), reduction(unique=True, several=False)),
    "prod": reduction(several=False, side=0),
    "all": reduction(several=False, side=0, domain=mask),
    "any": reduction(several=False, side=0, domain=mask),
    "std": spread(),
    "var": spread(),
    "norm": norm(),
    "logsumexp": reduction(required=True),
    "cumsum": along(),
    "softmax": along(),
    "log_softmax": along(),
    "sort": ordered(),
    "argsort": ordered(),
    "topk": ordered(k=True),
    "reshape": reshaped(),
    "view": reshaped(view=True),
    "flatten": flattened(),
    "squeeze": squeezed(),
    "unsqueeze": unsqueezed(),
    "permute": permuted(),
    **dict.fromkeys(("transpose", "movedim", "swapaxes", "swapdims"), moved(2)),
    "t": st.one_of(*(arrays(s, real).strategy() for s in ((), (3,), (2, 3)))).map(lambda x: ([x], {})),
    "expand": expanded(),
    "broadcast_to": broadcast(),
    **dict.fromkeys(("cat", "concat", "concatenate"), joined(False)),
    "stack": joined(True),
    **{name: cut(name) for name in ("split", "chunk", "unbind", "narrow")},
    "flip": flipped(),
    "tril": triangle(),
    "triu": triangle(),
    "gather": gathered(),
    "scatter_add": gathered(src=True),
    "index_select": selected(),
    "masked_fill": masked(True),
    "masked_select": masked(False),
    "nonzero": unary(real, mask),
    **{name: product(name) for name in ("matmul", "mm", "bmm", "dot", "mv", "outer")},
}
ALIASES = {"multiply": "mul", "divide": "div", "true_divide": "div", "subtract": "sub", "clip": "clamp"}
CALLS.update({alias: CALLS[name] for alias, name in ALIASES.items() if name not in ("sub", "div")})
CALLS.update(true_divide=binary(real, nonzero), divide=divided(), subtract=scaled())
