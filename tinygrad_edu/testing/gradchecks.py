"""`gradcheck` and `gradgradcheck`, spelled like PyTorch's, on the machinery of `check`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.testing.calls import Call
from tinygrad_edu.testing.cases import Case, Subject, flat
from tinygrad_edu.testing.checking import broken, proved
from tinygrad_edu.testing.oracles import agree
from tinygrad_edu.testing.report import GradientError
from tinygrad_edu.testing.wrong import Wrong

FIRST = ("shape and dtype", "gradient", "subgradient", "linear in g")
SECOND = ("adjoint", "second order")


class GradcheckError(GradientError, RuntimeError):
    """What PyTorch's gradcheck raises is a RuntimeError; the message here is that of `check`."""


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Compare the gradients of func with numerical ones, for the inputs that require grad (or all floating ones).

    eps, atol, rtol  -- None: the error of the differences is measured, and sets the tolerance.  When given, they mean
        what they mean in PyTorch: the step, and |analytical - numerical| <= atol + rtol * |numerical|
    nondet_tol       -- how much two runs may differ

    Inputs are checked in float64.  Raises GradcheckError (a RuntimeError), or returns False without `raise_exception`,
    also where inputs or outputs are not finite; AssertionError when there is nothing to check;
    NotImplementedError for forward mode and batched gradients, which this engine does not have.

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([0.5, -1.0], dtype=tg.float64, requires_grad=True)
    >>> tg.autograd.gradcheck(lambda x: x**3, x)
    True
    """
    unknown = check_batched_grad or check_batched_forward_grad or check_forward_ad
    if unknown:
        raise NotImplementedError("gradcheck: there is no forward mode and no batched gradient to check")
    assert check_backward_ad, "gradcheck: check_backward_ad must be True, there is nothing else to check"
    case = Case(Subject(func), _call(inputs))
    _require_inputs(case, "gradcheck")
    names = FIRST if eps is None and atol is None and rtol is None else FIRST[:1]
    try:
        _require_finite(case)
        _checked(case, names)
        if not names[1:]:
            _with_tolerance(case, eps or 1e-6, 1e-5 if atol is None else atol, 1e-3 if rtol is None else rtol)
        _repeatable(case, nondet_tol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float | None = None,
    atol: float | None = None,
    rtol: float | None = None,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Compare the gradients of the gradients of func with numerical ones, with respect to inputs and grad_outputs.

    grad_outputs                 -- the upstream gradients; None: drawn, all entries different
    gen_non_contig_grad_outputs  -- check that their layout in memory does not matter

    The other parameters are those of `gradcheck`.

    >>> import tinygrad_edu as tg
    >>> x = tg.tensor([0.5, -1.0], dtype=tg.float64, requires_grad=True)
    >>> tg.autograd.gradgradcheck(lambda x: x**3, x)
    True
    """
    if check_batched_grad or check_fwd_over_rev:
        raise NotImplementedError("gradgradcheck: there is no forward mode and no batched gradient to check")
    assert check_rev_over_rev, "gradgradcheck: check_rev_over_rev must be True, there is nothing else to check"
    case = Case(Subject(func), _call(inputs))
    _require_inputs(case, "gradgradcheck")
    names = (*SECOND, "layout") if gen_non_contig_grad_outputs else SECOND
    if grad_outputs is not None:
        given = grad_outputs if isinstance(grad_outputs, (tuple, list)) else (grad_outputs,)
        case.upstream = [np.array(g._array, np.float64) for g in given]
        shapes = [g.shape for g in case.upstream], [o.shape for o in case.outputs]
        if shapes[0] != shapes[1]:
            raise RuntimeError(f"gradgradcheck: grad_outputs have the shapes {shapes[0]}, the outputs {shapes[1]}")
    try:
        _require_finite(case)
        if eps is None and atol is None and rtol is None:
            _checked(case, names)
        else:
            atol, rtol = 1e-5 if atol is None else atol, 1e-3 if rtol is None else rtol
            _with_tolerance(_of_gradients(case), eps or 1e-6, atol, rtol)
        _repeatable(case, nondet_tol)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _call(inputs: Any) -> Call:
    return Call(list(inputs) if isinstance(inputs, (tuple, list)) else [inputs])


def _require_inputs(case: Case, name: str) -> None:
    if not case.wanted:
        raise ValueError(f"{name} expects at least one input with a floating dtype that requires grad")


def _require_finite(case: Case) -> None:
    if not case.finite:
        wrong = Wrong("inputs or outputs are not finite here: there is no slope to compare with, try other inputs")
        raise GradcheckError(case, "gradient", wrong)


def _checked(case: Case, names: Sequence[str]) -> None:
    """Some properties; GradcheckError for the first one that does not hold."""
    try:
        if names:
            proved(case, names)
    except GradientError as error:
        raise GradcheckError(error.case, error.property, error.wrong) from None


def _of_gradients(case: Case) -> Case:
    """The case whose operation is the gradient of another one, as a function of inputs and upstream gradients."""
    count = len(case.inputs)

    def gradients(*given: Any) -> Any:
        import tinygrad_edu as tg

        inputs, gs = given[:count], given[count:]
        outs = case.subject(inputs, case.static)
        wanted = [inputs[i] for i in case.wanted]
        if not any(w.requires_grad for w in wanted):
            wanted = [w.detach().requires_grad_() for w in wanted]
            filled = list(inputs)
            for i, w in zip(case.wanted, wanted, strict=True):
                filled[i] = w
            with tg.enable_grad():
                outs = case.subject(filled, case.static)
        return tg.autograd.grad(outs, wanted, list(gs), create_graph=True, materialize_grads=True)

    gradients.__name__ = f"gradient of {case.subject.name}"
    return Case(Subject(gradients), Call([*case.inputs, *case.us()]))


def _with_tolerance(case: Case, eps: float, atol: float, rtol: float) -> None:
    """Central differences with one step, and a tolerance that is given."""
    u = flat(case.us())
    value = np.zeros(sum(x.size for x in case.xs))
    moved = [np.array(x) for x in case.xs]
    k = 0
    for x in moved:
        for at in np.ndindex(x.shape):
            center, ends = x[at], []
            for end in (center + eps, center - eps):
                x[at] = end
                ends.append(u @ flat(case.values(moved)))
            x[at] = center
            value[k] = (ends[0] - ends[1]) / (2 * eps)
            k += 1
    for i, (found, expected) in enumerate(zip(case.gradient, case.split(value), strict=True)):
        tolerance = atol + rtol * np.abs(expected)
        bad = ~agree(found, expected, tolerance)
        if bad.any():
            wrong = Wrong("the gradient is not the numerical one", i, found, expected, tolerance, bad, "differences")
            raise GradcheckError(case, "gradient", wrong)


def _repeatable(case: Case, tolerance: float) -> None:
    """Two runs differ by no more than the tolerance."""
    first, second = case.gradient, case.vjp(case.us())
    if tolerance == 0.0:
        wrong = broken(case, "deterministic")
        if wrong is not None:
            raise GradcheckError(case, "deterministic", wrong)
    for k, (a, b) in enumerate(zip(first, second, strict=True)):
        if tolerance and not agree(a, b, tolerance).all():
            raise GradcheckError(case, "deterministic", Wrong("two runs differ", k, a, b, tolerance, a != b))
