"""The tables of the kernels: who is on which line, that all agree, how ratios are formed. Nothing is timed."""

from functools import partial

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import fused, kernel_lines, kernels, report
from benchmarks.kernel_lines import KERNEL, Calls, Peers, agree, available
from benchmarks.timing import Timing

NOBODY = Peers(None, False)
CASES = [kernels.CONVOLUTIONS[1], kernels.CONVOLUTIONS[7]]


@pytest.fixture(scope="module")
def peers():
    """Whoever is installed."""
    return available()[0]


@pytest.fixture
def clocked(monkeypatch):
    """Instead of being timed, the candidates of a line take 1, 2, 3 ... us, in their order."""

    def timings(calls, rounds, title):
        return {name: Timing([1e-6 * (i + 1)] * rounds) for i, name in enumerate(calls)}

    for module in (kernel_lines, kernels):
        monkeypatch.setattr(module, "interleave", timings)


def wanted(peers, *names):
    """Those of the names that are there to be measured."""
    there = {"torch": peers.torch is not None, "torch NCHW": peers.torch is not None}
    there |= {"torch NHWC": peers.torch is not None, "jax.jit": peers.jax}
    return {name for name in names if there.get(name, True)}


def test_everybody_agrees_on_elementwise_functions(peers):
    lines = fused.elementwise(peers)
    assert list(lines) == [
        f"{name} ({n})" for name in ("exp", "tanh", "sigmoid", "erf", "relu") for n in (10**4, 10**5, 10**6)
    ]
    for line, calls in lines.items():
        assert set(calls) == wanted(peers, "ours", KERNEL, "torch", "jax.jit", *(["numpy"] * ("erf" not in line)))
        agree(calls, 1e-6)


def test_everybody_agrees_on_losses(peers):
    lines = fused.losses(peers)
    for shape in ((128, 10), (256, 1000)):
        assert set(lines[f"cross-entropy {shape}, public call and backward"]) == wanted(
            peers, "ours", "torch", "jax.jit"
        )
        assert set(lines[f"cross-entropy {shape}, kernels alone"]) == wanted(peers, "ours", "numpy", "torch")
        for way in ("forward", "backward"):
            assert set(lines[f"log_softmax {shape} {way}"]) == wanted(
                peers, "ours", KERNEL, "numpy", "torch", "jax.jit"
            )
    assert len(lines) == 8
    for calls in lines.values():
        agree(calls, 1e-5)


@pytest.mark.parametrize("shape", fused.LOGITS)
def test_both_lines_of_the_loss_do_the_same_work(shape):
    lines = fused.losses(NOBODY)
    call = lines[f"cross-entropy {shape}, public call and backward"]["ours"]
    call()
    mean, gradient = call()
    of_rows, from_kernels = lines[f"cross-entropy {shape}, kernels alone"]["ours"]()
    np.testing.assert_allclose(mean.item(), of_rows.mean(), rtol=1e-6)
    np.testing.assert_allclose(gradient.numpy(), from_kernels, rtol=1e-5, atol=1e-9)


def test_everybody_agrees_on_normalisations(peers):
    lines = fused.norms(peers)
    for shape in ((32, 16, 32, 32), (32, 32, 16, 16), (32, 64, 8, 8), (128, 256)):
        kind, torch = ("batch", "torch NHWC") if len(shape) == 4 else ("layer", "torch")
        for way in ("forward", "backward"):
            calls = lines[f"{kind} norm {shape} {way}"]
            assert set(calls) == wanted(peers, "ours", KERNEL, "numpy", torch, "jax.jit")
    assert len(lines) == 8
    for calls in lines.values():
        agree(calls, 1e-4)


def test_everybody_agrees_on_products_and_images(peers):
    for transposed in (False, True):
        calls = kernels._products(64, 20, 30, transposed, peers)
        assert set(calls) == wanted(peers, "ours", "tile", "numpy", "torch", "jax.jit")
        agree(calls, 1e-5)
    orders = wanted(peers, "ours", "torch NCHW", "torch NHWC", "jax.jit")
    for case in CASES:
        lines = kernels._convolutions(case, peers)
        assert set(lines) == {"forward", "to weight", "to input"}
        for calls in lines.values():
            assert set(calls) == orders
            agree(calls, 1e-4)
    lines = kernels._pools(*kernels.POOLS[0], peers)
    assert set(lines) == {f"{pool} {way}" for pool in ("max", "mean") for way in ("forward", "backward")}
    for calls in lines.values():
        assert set(calls) == orders
        agree(calls, 1e-5)


def test_images_of_batch_norm_have_their_channels_last(torch):
    lines = fused.norms(Peers(torch, False))
    calls = lines[f"batch norm {fused.IMAGES[0]} forward"]
    assert calls["torch NHWC"]().is_contiguous(memory_format=torch.channels_last)
    # numpy() would show row-major memory, as users expect
    assert calls["ours"]()._array.transpose(0, 2, 3, 1).flags.c_contiguous


def test_each_of_several_results_is_compared_by_its_own_size():
    large, small = np.full(3, 1e6), np.full(3, 1e-6)
    agree({"a": lambda: (large, small), "b": lambda: (large, small * (1 + 1e-6))}, 1e-5)
    with pytest.raises(AssertionError, match="b against a"):
        agree({"a": lambda: (large, small), "b": lambda: (large, 2 * small)}, 1e-5)
    with pytest.raises(AssertionError, match="not as many results"):
        agree({"a": lambda: (large, small), "b": lambda: large}, 1e-5)


def test_what_differs_is_not_timed(clocked):
    with pytest.raises(AssertionError, match="numpy against ours"):
        kernel_lines.table("a table", {"a line": {"ours": lambda: np.ones(2), "numpy": lambda: np.zeros(2)}}, 1, 1e-5)


def test_ratios_are_to_the_call_and_to_the_kernel(clocked, capsys):
    names = {"one (3)": ("ours", KERNEL, "numpy"), "two (3)": ("ours", "torch")}
    lines: dict[str, Calls] = {line: dict.fromkeys(there, partial(np.ones, 2)) for line, there in names.items()}
    records = kernel_lines.table("a table", lines, 2, 1e-5)
    assert [(r["line"], r["name"], pytest.approx(r["ratio"])) for r in records] == [
        ("one (3)", "ours", 1.0),
        ("one (3)", KERNEL, 2.0),
        ("one (3)", "numpy", 3.0),
        ("two (3)", "ours", 1.0),
        ("two (3)", "torch", 2.0),
    ]
    title, head, first, second = (line.strip() for line in capsys.readouterr().out.strip().splitlines())
    assert title == "a table"
    assert head.split("  ")[-4:] == ["numpy/ours", "torch/ours", "numpy/kernel", "torch/kernel"]
    assert first.split()[-2:] == ["3.00", "1.50"]
    assert second.split()[-1] == "2.00"


def test_who_is_absent_or_broken_is_named(monkeypatch):
    monkeypatch.setattr(kernel_lines, "optional", lambda name: None)
    assert available() == (NOBODY, {"torch": "not installed", "jax.jit": "not installed"})

    def broken(name):
        raise ImportError("built for another NumPy")

    monkeypatch.setattr(kernel_lines, "optional", broken)
    why = "fails: ImportError: built for another NumPy"
    assert available() == (NOBODY, {"torch": why, "jax.jit": why})


def test_the_whole_command_without_peers(clocked, monkeypatch, capsys):
    monkeypatch.setattr(kernel_lines, "optional", lambda name: None)
    monkeypatch.setattr(kernels, "peak", lambda threads: 100.0)
    monkeypatch.setattr(kernels, "PRODUCTS", [(8, 8, 8)])
    monkeypatch.setattr(kernels, "CONVOLUTIONS", CASES[:1])
    monkeypatch.setattr(fused, "SIZES", (100,))
    records = kernels.run(2)
    said = capsys.readouterr().out
    for name in ("torch", "jax.jit"):
        assert f"not measured: {name}: not installed" in said
    assert "not measured: numpy: it has no erf" in said
    assert {r["name"] for r in records if "ratio" in r} == {"ours", "tile", "numpy", KERNEL}
    assert {r["name"] for r in records if "absent" in r} == {"torch", "jax.jit", "numpy"}
    drawn = {panel.title.split(" (")[0]: [bar[0] for bar in panel.bars] for panel in report.panels(records)}
    assert set(drawn) == {"kernels, tile", "kernels, numpy", f"kernels, {KERNEL}"}
    assert {"exp (1)", "cross-entropy, kernels alone (2)", "batch norm backward (3)"} <= set(drawn["kernels, numpy"])


def test_options():
    given = command.parse(["kernels", "--rounds", "3", "--threads", "2"])
    assert (given.name, given.rounds, given.threads) == ("kernels", 3, 2)
