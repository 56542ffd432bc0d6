"""Benchmarks time only what agrees: every workload gives the same losses, parameters and gradients with every peer."""

import numpy as np
import pytest

from benchmarks import array_peers, networks, steps, tape
from benchmarks.timing import optional

INSTALLED = [peer for peer, (module, _) in array_peers.TRAININGS.items() if optional(module) is not None]
# A compiler takes a minute for each network
WITHOUT_COMPILING = [(name, optimizer) for name, optimizer in steps.STEPS if name != "a"]


def eager(makers):
    return {name: make for name, make in makers.items() if "compile" not in name}


@pytest.mark.parametrize(("name", "optimizer"), WITHOUT_COMPILING)
def test_training_steps_agree(name, optimizer, torch):
    start, makers, _ = steps.candidates(name, optimizer)
    found, absent = steps.agreeing(eager(makers), start)
    assert set(found) >= {peer for peer in eager(makers) if peer.startswith(("ours", "torch"))}
    assert not [why for why in absent.values() if why.startswith(("DIFFERS", "fails"))], absent
    assert set(found) | set(absent) == set(eager(makers))


def test_the_smallest_step_agrees_with_compilers_too(torch):
    start, makers, absent = steps.candidates("a", "SGD")
    found, failed = steps.agreeing(makers, start)
    wanted = {"ours", "ours, compiled", "torch", "torch foreach"} | set(INSTALLED) - {"micrograd"}
    assert set(found) >= wanted | ({"torch.compile"} - set(absent)), failed


@pytest.mark.parametrize(("title", "entries", "operands"), tape.LINES)
def test_chains_agree(title, entries, operands):
    makers, absent = tape.candidates(entries, operands)
    makers.pop("torch.compile", None)
    found, reasons = tape.agreeing(makers, absent)
    assert "ours" in found
    assert not [why for why in reasons.values() if why.startswith(("DIFFERS", "fails"))], reasons
    assert "torch" in found or reasons["torch"] == "not installed"


def test_a_chain_gives_the_gradients_of_its_formula():
    (x, a, b), n = tape.VALUES, tape.LENGTH
    y, *gradients = tape.candidates(1, True)[0]["ours"]().both()
    powers = a ** np.arange(n)
    expected = [x * a**n + b * powers.sum(), a**n, n * x * a ** (n - 1) + b * (np.arange(n) / a * powers).sum()]
    found = [float(np.asarray(tape.plain(value)).reshape(())) for value in (y, *gradients)]
    np.testing.assert_allclose(found, [*expected, powers.sum()], rtol=1e-3)


class Another:
    """Our training, with something else done to its parameters after each step."""

    def __init__(self, training, change):
        self.training, self.change, self.step = training, change, training.step

    def weights(self):
        found = self.training.weights()
        self.change(found)
        return found


def moved(found):
    found["2.weight"] += 0.01 * np.abs(found["2.weight"])


def gone(found):
    del found["2.bias"]


def not_a_number(found):
    found["0.weight"][0, 0] = np.nan


@pytest.mark.parametrize("change", [moved, gone, not_a_number])
def test_whoever_differs_is_not_timed(change):
    start, makers, _ = steps.candidates("a", "SGD")
    ours = makers["ours"]()

    def another():
        training = networks.Training(steps.tg, "a")
        training.start_from(start)
        return Another(training, change)

    found, absent = steps.agreeing({"ours": lambda: ours, "another": another}, start)
    assert list(found) == ["ours"]
    assert absent["another"].startswith("DIFFERS from ours: ")


def test_parameters_that_do_not_move_differ_from_ours():
    start, makers, _ = steps.candidates("a", "SGD")
    ours = makers["ours"]()
    losses = [steps.number(ours.step()) for _ in range(4)]
    after = ours.weights()
    assert steps.difference(losses, after, losses, after, start) == ""
    for name in after:
        assert name in steps.difference(losses, after | {name: start[name]}, losses, after, start)
    assert "losses" in steps.difference([2 * loss for loss in losses], after, losses, after, start)


# Microseconds at 258 GFLOP/s, worked out by hand
@pytest.mark.parametrize(
    ("name", "floor"), [("a", 3.7), ("b", 31.7), ("c", 499.6), ("d1", 422.9), ("d2", 3536), ("e", 9194)]
)
def test_operations_of_a_step(name, floor):
    assert networks.operations(name) / 258e3 == pytest.approx(floor, rel=0.01)


@pytest.mark.parametrize("name", networks.NAMES)
def test_operations_are_those_of_the_layers_there_are(name, torch):
    found = []

    def count(layer, inputs, output):
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            found.append(output.numel() * layer.weight[0].numel())

    model = networks.network(torch, name)
    for layer in model.modules():
        layer.register_forward_hook(count)
    model(torch.from_numpy(networks.batch(name)[0]))
    assert sorted(found) == sorted(networks.layers(name))
