"""Elementwise functions, the loss of a classifier and the two normalisations, to be timed by `benchmarks.kernels`.

"ours" is the public call on tensors, which PyTorch's is compared with; "ours, kernel" the same work on NumPy's arrays,
without tensors around it. NumPy has functions for some of this; for the rest its line is the passes one writes instead,
those of the kernel's reference. JAX is timed with what jax.jit compiles for the same formula.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu as tg
from benchmarks import kernel_peers
from benchmarks.array_peers import EPS, MOMENTUM
from benchmarks.kernel_lines import KERNEL, Calls, Peers, Records, channels_last, missing, table
from tinygrad_edu import kernels, ops

SIZES = (10_000, 100_000, 1_000_000)
FUNCTIONS = ("exp", "tanh", "sigmoid", "erf", "relu")
# rows, classes
LOGITS = ((128, 10), (256, 1000))
# images, channels, height, width: where the residual network of the training steps has its batch norms
IMAGES = ((32, 16, 32, 32), (32, 32, 16, 16), (32, 64, 8, 8))
# rows, entries of each
ROWS = ((128, 256),)
Lines = dict[str, Calls]


def run(rounds: int, peers: Peers) -> Records:
    """Print the tables; the numbers as records."""
    records = table("elementwise, without gradient", elementwise(peers), rounds, 1e-6)
    records += missing("erf", {"numpy": "it has no erf"})
    records += table("cross-entropy and log_softmax", losses(peers), rounds, 1e-5)
    no_gradients = {"numpy": "it has no gradients"}
    no_parts = (
        {"jax.jit": "what it compiles is called as a whole: see the line of the public call"} if peers.jax else {}
    )
    records += missing("cross-entropy, public call and backward", no_gradients)
    records += missing("cross-entropy, kernels alone", no_parts)
    return records + table("batch norm and layer norm, training", norms(peers), rounds, 1e-4)


def elementwise(peers: Peers) -> Lines:
    """One function of so many numbers."""
    in_numpy: dict[str, Callable[[np.ndarray], Any]] = {
        "exp": np.exp,
        "tanh": np.tanh,
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
        "relu": lambda x: np.maximum(x, 0),
    }
    lines: Lines = {}
    for name in FUNCTIONS:
        for size in SIZES:
            x = np.random.default_rng(0).standard_normal(size).astype(np.float32)
            calls = {"ours": _of_tensor(tg, name, x), KERNEL: _of(getattr(kernels, name), x)}
            if peers.torch is not None:
                calls["torch"] = _of_tensor(peers.torch, name, x)
            if name in in_numpy:
                calls["numpy"] = _of(in_numpy[name], x)
            if peers.jax:
                calls["jax.jit"] = kernel_peers.elementwise(name, x)
            lines[f"{name} ({size})"] = calls
    return lines


def _of(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    return lambda: function(*arguments)


def _of_tensor(lib: Any, name: str, x: np.ndarray) -> Callable[[], Any]:
    # erf has a name only among the operations of ours
    return _of(ops.erf if lib is tg and name == "erf" else getattr(lib, name), lib.from_numpy(x))


def losses(peers: Peers) -> Lines:
    """Cross-entropy of logits and its gradient, by public calls and by kernels alone; log_softmax, both ways."""
    lines: Lines = {}
    for shape in LOGITS:
        rng = np.random.default_rng(0)
        x, g = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
        target = rng.integers(0, shape[1], shape[0])
        lines[f"cross-entropy {shape}, public call and backward"] = _public_losses(peers, x, target)
        lines[f"cross-entropy {shape}, kernels alone"] = _loss_kernels(peers, x, target)
        for way, calls in _log_softmax(peers, x, g).items():
            lines[f"log_softmax {shape} {way}"] = calls
    return lines


def _public_losses(peers: Peers, x: np.ndarray, target: np.ndarray) -> Calls:
    """The mean loss and the gradient of the logits, as a training step computes them."""

    def public(lib: Any) -> Callable[[], Any]:
        logits, classes = lib.from_numpy(x).requires_grad_(), lib.from_numpy(target)

        def call() -> Any:
            logits.grad = None
            loss = lib.nn.functional.cross_entropy(logits, classes)
            loss.backward()
            return loss, logits.grad

        return call

    calls = {"ours": public(tg)} | ({} if peers.torch is None else {"torch": public(peers.torch)})
    return calls | ({"jax.jit": kernel_peers.cross_entropy(x, target)} if peers.jax else {})


def _loss_kernels(peers: Peers, x: np.ndarray, target: np.ndarray) -> Calls:
    """The loss of each row, and the gradient of the logits for their mean: no tensors of ours, no tape of PyTorch's."""
    share = np.full(len(x), 1 / len(x), np.float32)
    loss, to_logits = kernels.cross_entropy, kernels.cross_entropy_grad
    calls: Calls = {
        "ours": lambda: (loss(x, target), to_logits(share, x, target)),
        "numpy": lambda: (loss.reference(x, target), to_logits.reference(share, x, target)),
    }
    if peers.torch is not None:
        calls["torch"] = _aten_loss(peers.torch, *(peers.torch.from_numpy(v) for v in (x, target, share)))
    return calls


def _aten_loss(torch: Any, x: Any, target: Any, share: Any) -> Callable[[], Any]:
    """The four kernels PyTorch has for it, on tensors that record nothing, by the names it finds soonest."""
    forward, backward = torch.ops.aten.nll_loss_forward.default, torch.ops.aten.nll_loss_backward.default
    of_each_row, ignored = 0, -100

    def call() -> Any:
        z = torch._log_softmax(x, 1, False)
        loss, total = forward(z, target, None, of_each_row, ignored)
        g = backward(share, z, target, None, of_each_row, ignored, total)
        return loss, torch._log_softmax_backward_data(g, z, 1, x.dtype)

    return call


def _log_softmax(peers: Peers, x: np.ndarray, g: np.ndarray) -> dict[str, Calls]:
    z = kernels.log_softmax(x, 1)
    forward: Calls = {
        "ours": _of(tg.log_softmax, tg.from_numpy(x), 1),
        KERNEL: _of(kernels.log_softmax, x, 1),
        "numpy": _of(kernels.log_softmax.reference, x, 1),
    }
    backward: Calls = {
        "ours": _backward(tg, tg.log_softmax, (x,), g, 1),
        KERNEL: _of(kernels.log_softmax_grad, g, z, 1),
        "numpy": _of(kernels.log_softmax_grad.reference, g, z, 1),
    }
    if peers.torch is not None:
        forward["torch"] = _of(peers.torch.log_softmax, peers.torch.from_numpy(x), 1)
        backward["torch"] = _backward(peers.torch, peers.torch.log_softmax, (x,), g, 1)
    if peers.jax:
        forward["jax.jit"], backward["jax.jit"] = kernel_peers.log_softmax(x, g)
    return {"forward": forward, "backward": backward}


def _backward(lib: Any, function: Callable[..., Any], inputs: Any, g: Any, *rest: Any) -> Callable[[], Any]:
    """The gradients of all inputs by the public call, the forward pass done beforehand."""
    leaves = [lib.from_numpy(v).requires_grad_() for v in inputs]
    output, upstream = function(*leaves, *rest), lib.from_numpy(g)
    return lambda: lib.autograd.grad(output, leaves, upstream, retain_graph=True)


def norms(peers: Peers) -> Lines:
    """Batch norm of images with their channels last, and layer norm, with statistics of the batch and of each row."""
    lines: Lines = {}
    for shape in IMAGES:
        x, g, weight, bias = _norm_arguments(shape, shape[1])
        x, g = channels_last(x), channels_last(g)
        for way, calls in _batch_norm(peers, x, weight, bias, g).items():
            lines[f"batch norm {shape} {way}"] = calls
    for shape in ROWS:
        x, g, weight, bias = _norm_arguments(shape, shape[1])
        for way, calls in _layer_norm(peers, x, weight, bias, g).items():
            lines[f"layer norm {shape} {way}"] = calls
    return lines


def _norm_arguments(shape: tuple[int, ...], size: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(s).astype(np.float32) for s in (shape, shape, size, size)]


def _batch_norm(peers: Peers, x: np.ndarray, weight: np.ndarray, bias: np.ndarray, g: np.ndarray) -> dict[str, Calls]:
    def public(lib: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
        running = lib.zeros(len(weight)), lib.ones(len(weight))

        def normalize(x: Any, weight: Any, bias: Any) -> Any:
            return lib.nn.functional.batch_norm(x, *running, weight, bias, True, MOMENTUM, EPS)

        forward = _of(normalize, *(lib.from_numpy(v) for v in (x, weight, bias)))
        return forward, _backward(lib, normalize, (x, weight, bias), g)

    jitted = kernel_peers.batch_norm(x, weight, bias, g) if peers.jax else None
    return _norm(
        peers, public, (kernels.batch_norm, kernels.batch_norm_grad), (x, weight, bias, g), "torch NHWC", jitted
    )


def _layer_norm(peers: Peers, x: np.ndarray, weight: np.ndarray, bias: np.ndarray, g: np.ndarray) -> dict[str, Calls]:
    def public(lib: Any) -> tuple[Callable[[], Any], Callable[[], Any]]:
        def normalize(x: Any, weight: Any, bias: Any) -> Any:
            return lib.nn.functional.layer_norm(x, weight.shape, weight, bias, EPS)

        forward = _of(normalize, *(lib.from_numpy(v) for v in (x, weight, bias)))
        return forward, _backward(lib, normalize, (x, weight, bias), g)

    jitted = kernel_peers.layer_norm(x, weight, bias, g) if peers.jax else None
    return _norm(peers, public, (kernels.layer_norm, kernels.layer_norm_grad), (x, weight, bias, g), "torch", jitted)


def _norm(
    peers: Peers,
    public: Callable[[Any], tuple[Callable[[], Any], Callable[[], Any]]],
    pair: tuple[Any, Any],
    arguments: tuple[np.ndarray, ...],
    torch_name: str,
    jitted: tuple[Callable[[], Any], Callable[[], Any]] | None,
) -> dict[str, Calls]:
    """Forward and backward of a normalisation by everyone; `pair` are its two kernels."""
    (x, weight, bias, g), (forth, back) = arguments, pair
    mean, var = forth(x, weight, bias, EPS)[1:]
    found: dict[str, Calls] = {"forward": {}, "backward": {}}
    found["forward"]["ours"], found["backward"]["ours"] = public(tg)
    found["forward"][KERNEL] = lambda: forth(x, weight, bias, EPS)[0]
    found["backward"][KERNEL] = lambda: back(g, x, weight, mean, var, EPS)
    found["forward"]["numpy"] = lambda: forth.reference(x, weight, bias, EPS)[0]
    found["backward"]["numpy"] = lambda: back.reference(g, x, weight, mean, var, EPS)
    if peers.torch is not None:
        found["forward"][torch_name], found["backward"][torch_name] = public(peers.torch)
    if jitted is not None:
        found["forward"]["jax.jit"], found["backward"]["jax.jit"] = jitted
    return found
