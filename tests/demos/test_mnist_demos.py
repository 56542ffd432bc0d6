"""The demos on handwritten digits, without any data file: their numbers, and the costs and networks they share."""

import copy

import numpy as np
import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from demos import nielsen, pictures, regularisation, three_costs
from demos.data import Part, digits
from demos.score import Score
from demos.training import (
    ACCURACY,
    Classifier,
    cross_entropy_of_sigmoids,
    network,
    quadratic,
    sigmoid_network,
)
from tinygrad_edu import nn, optim

pytest.importorskip("sklearn", reason="scikit-learn is not installed: the digits come with it")
NAMES = ("mnist_sigmoid", "nielsen", "three_costs", "regularisation")


@pytest.mark.parametrize("name", NAMES)
def test_without_data_they_run_and_say_what_they_used(ran, name):
    done = ran(name, data=False)
    assert done.code == 0
    assert "digits enlarged to 28 x 28, for MNIST is neither here nor to be had" in done.page
    assert all(bar["met"] for bar in done.bars)
    assert list(done.out.glob("*.svg"))


def test_slopes_and_central_differences(ran):
    found = ran("mnist_sigmoid", data=False).numbers
    for place in ("second layer, unit 5, weight 3", "first layer, unit 5, weight 406"):
        slope, difference = found[f"slope, {place}"]
        assert abs(slope) > 1e-3
        assert slope == pytest.approx(difference, abs=1e-9)
    assert found["slope, first layer, unit 5, weight 3"] == [0, 0]


def test_steps_of_one_half_learn_and_tiny_ones_do_not(ran):
    found = ran("mnist_sigmoid", data=False).numbers
    large, small = (found[f"3000 pictures, {lr}, mean"]["test accuracy"] for lr in ("0.5", "0.0005"))
    assert large > small + 0.1
    assert len(found["history"][ACCURACY]["test"]) == found["60000 pictures, 0.5, mean"]["epochs"]


def test_recall_and_accuracy_of_nielsens_networks_agree(ran):
    found = ran("nielsen", data=False).numbers
    counts = np.bincount(digits().test.targets.numpy(), minlength=10)
    assert len(found) == len(nielsen.RUNS)
    for run in found.values():
        assert np.dot(run["recall"], counts) / counts.sum() == pytest.approx(run["accuracy"])
        assert run["dead"] == [k for k in range(10) if run["recall"][k] < 0.02]
    assert found["784-30-10 CE N(0,1/n), seed 0"]["accuracy"] > 0.5


def test_the_costs_of_knowing_nothing_and_the_curves(ran):
    done = ran("three_costs", data=False)
    assert len(done.numbers) == 6
    for name in three_costs.COSTS:
        costs = done.numbers[f"784-10 {name}"]["train cost, as reported"]
        assert costs[1] < costs[0]
    images, targets = digits().test.first(20)
    for name, (cost, ignorance, _, _, _, _, _) in three_costs.COSTS.items():
        outputs = tg.zeros(20, 10) if name == "softmax" else tg.full((20, 10), 0.5)
        assert cost(outputs, targets).item() == pytest.approx(ignorance, rel=1e-6)
    assert len(images) == 20


def test_sweeps_mark_exactly_the_networks_with_one_answer(ran):
    found = ran("regularisation", data=False).numbers
    shares = np.bincount(digits().test.targets.numpy(), minlength=10) / 360
    fallen = [accuracy for series in found["lambda"].values() for _, accuracy, collapsed in series if collapsed]
    assert len(found["lambda"]) == 4
    assert all(np.isclose(accuracy, shares).any() for accuracy in fallen)
    strongest = found["lambda"]["L1 784-10"][-1][1]
    assert strongest < found["lambda"]["L1 784-10"][0][1]
    assert len(found["share of units kept"]["dropout 784-30-10, left on"]) == 7
    assert set(found["small"]) == {f"{kind} {amount:g}" for kind, amount in regularisation.SMALL}


def test_a_cross_stands_on_collapsed_networks_only():
    series = {"L1": [(0.0, 0.9, False), (0.1, 0.1, True)], "L2": [(0.0, 0.9, False), (0.1, 0.8, False)]}
    axis = pictures.sweeps({"lambda": series}, "share", {"lambda": 1e-4}).axes[0]
    lines = [line.get_xydata().tolist() for line in axis.lines]
    assert lines == [[[0, 0.9], [0.1, 0.1]], [[0.1, 0.1]], [[0, 0.9], [0.1, 0.8]], []]
    assert axis.get_xscale() == "symlog"


def test_costs_against_numpy():
    a = np.random.default_rng(0).uniform(0.05, 0.95, (6, 10))
    labels = np.array([0, 1, 9, 3, 3, 7])
    t = np.eye(10)[labels]
    outputs, targets = tg.tensor(a), tg.tensor(labels)
    expected = -(t * np.log(a) + (1 - t) * np.log(1 - a)).sum() / 6
    assert cross_entropy_of_sigmoids(outputs, targets).item() == pytest.approx(expected, rel=1e-12)
    assert quadratic(outputs, targets).item() == pytest.approx(((a - t) ** 2).sum() / 12, rel=1e-12)


def test_penalties_add_their_slope_to_weights_and_leave_biases_alone():
    tg.manual_seed(0)
    model = network(784, 5, 10)
    images, targets = digits().train.first(8)

    def slopes(kind, strength):
        model.zero_grad()
        regularisation.penalised(model, kind, strength, model(images), targets).backward()
        return {name: p.grad.numpy().copy() for name, p in model.named_parameters()}

    plain = slopes("none", 0.0)
    for kind, slope in (("L2", lambda w: w), ("L1", np.sign)):
        for name, found in slopes(kind, 0.25).items():
            weight = dict(model.named_parameters())[name].detach().numpy()
            more = 0.25 * slope(weight) if name.endswith("weight") else 0.0
            np.testing.assert_allclose(found - plain[name], more * np.ones_like(found), atol=1e-6)


def test_dropout_on_the_hidden_units_or_else_on_the_pixels():
    deep, flat = (network(*sizes, keep=0.4) for sizes in ((784, 5, 10), (784, 10)))
    assert [type(layer).__name__ for layer in deep] == ["Flatten", "Linear", "Sigmoid", "Dropout", "Linear"]
    assert [type(layer).__name__ for layer in flat] == ["Flatten", "Dropout", "Linear"]
    assert deep[3].p == pytest.approx(0.6)
    assert not any(isinstance(layer, nn.Dropout) for layer in network(784, 5, 10))


def test_left_on_means_noise_while_testing():
    tg.manual_seed(0)
    data = digits()
    reader = Classifier(network(784, 10, keep=0.5), data.train.first(50), data.test.first(300))
    for _ in range(2):
        assert len({reader.evaluate(reader.test).accuracy for _ in range(5)}) == 1
        assert len({reader.evaluate(reader.test, training=True).accuracy for _ in range(5)}) > 1


def test_initial_weights_have_the_stated_spread():
    tg.manual_seed(0)
    for scaled, spread in ((True, 784**-0.5), (False, 1.0)):
        first = sigmoid_network(784, 30, 10, scaled=scaled)[1]
        assert first.weight.detach().numpy().std() == pytest.approx(spread, rel=0.05)
        assert first.bias.detach().numpy().std() == pytest.approx(1, rel=0.4)


@pytest.mark.parametrize("count", [60, 57])
def test_compiled_training_is_eager_training(count):
    """Two epochs of the same batches, the last of them full or not: the same weights, and the same history."""
    part = digits().train.first(count)
    tg.manual_seed(1)
    eager = Classifier(sigmoid_network(784, 6, 10), part, part, quadratic)
    start, compiled = (Classifier(copy.deepcopy(eager.model), part, part, quadratic) for _ in range(2))
    for reader in (eager, compiled):
        tg.manual_seed(2)
        optimizer = optim.SGD(reader.model.parameters(), lr=1.0, momentum=0.5)
        reader.fit(optimizer, 2, 10, compiled=reader is compiled)
    for one, other in zip(eager.model.parameters(), compiled.model.parameters(), strict=True):
        np.testing.assert_allclose(one.detach().numpy(), other.detach().numpy(), rtol=1e-4, atol=1e-6)
    assert eager.history[ACCURACY] == compiled.history[ACCURACY]
    assert abs(next(eager.model.parameters()) - next(start.model.parameters())).max().item() > 0.01


def test_a_schedule_moves_on_after_each_epoch():
    part = digits().train.first(20)
    reader = Classifier(network(784, 10), part, part)
    optimizer = optim.SGD(reader.model.parameters(), lr=1.0)
    schedule = optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    assert reader.fit(optimizer, 3, 10, schedule=schedule) is reader
    assert optimizer.param_groups[0]["lr"] == 0.125


def test_loss_of_an_evaluation_in_parts_is_that_of_the_whole():
    data = digits().train
    reader = Classifier(sigmoid_network(784, 10), data, data, quadratic)
    score = reader.evaluate(data)
    with tg.no_grad():
        whole = reader.model(data.images)
    assert score.loss == pytest.approx(quadratic(whole, data.targets).item(), rel=1e-5)
    np.testing.assert_array_equal(score.predicted, whole.argmax(1).numpy())
    assert score.accuracy == (score.predicted == data.targets.numpy()).mean()
    assert len(reader.evaluate(data, 7).predicted) == 7


def test_scores_of_each_class():
    truth, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 0])
    score = Score(0.0, truth, predicted, 3)
    np.testing.assert_array_equal(score.confusion, [[2, 1, 0], [1, 1, 0], [1, 0, 0]])
    np.testing.assert_allclose(score.recall, [2 / 3, 1 / 2, 0])
    np.testing.assert_allclose(score.f1, [4 / 7, 1 / 2, 0])
    assert score.dead == [2]
    assert score.accuracy == 0.5
    assert not score.constant
    assert str(score) == ".5000"
    assert str(Score(0.0, truth, np.ones(6, int), 3)) == ".3333 (all 1)"


def test_cross_entropy_is_the_cost_where_none_is_given():
    data = Part(tg.rand(4, 1, 28, 28), tg.tensor([0, 1, 2, 3]))
    reader = Classifier(network(784, 10), data, data)
    expected = F.cross_entropy(reader.model(data.images), data.targets).item()
    assert reader.evaluate(data).loss == pytest.approx(expected, rel=1e-6)
