"""The demos on colour pictures, without any data file: their numbers, and what a residual network is made of."""

import numpy as np
import pytest

import tinygrad_edu as tg
from demos import cifar_cnn, residual, resnet
from demos.data import coloured, digits
from demos.training import ACCURACY
from tinygrad_edu.datasets import CIFAR10Subset

pytest.importorskip("sklearn", reason="scikit-learn is not installed: the digits come with it")


@pytest.fixture(scope="module")
def few():
    """A few coloured digits."""
    return coloured(digits()).first(70, 40)


@pytest.mark.parametrize("name", ["cifar_cnn", "resnet"])
def test_without_data_they_run_and_say_what_they_used(ran, name):
    done = ran(name, data=False)
    assert done.code == 0
    assert "digits enlarged to 32 x 32, for the CIFAR-10 subset is not here" in done.page
    assert done.bars == []


def test_the_cnn_learns_and_its_scores_are_those_of_its_confusion_matrix(ran):
    found = ran("cifar_cnn", data=False).numbers
    counts = np.array(found["confusion"])
    assert counts.sum() == 300
    assert found["test accuracy"] == pytest.approx(np.trace(counts) / 300)
    assert found["test accuracy"] > 0.3
    twice = 2 * counts.diagonal() / np.maximum(counts.sum(0) + counts.sum(1), 1)
    np.testing.assert_allclose(found["F1"], twice, atol=1e-12)


def test_the_tables_of_the_residual_networks(ran):
    done = ran("resnet", data=False)
    rows = done.numbers["table"]
    assert [row[0] for row in rows] == [
        "from scratch",
        "augmented",
        "augmented, longer",
        "clothes, on digits",
        "clothes first, backbone frozen",
        "then all of it fine-tuned",
    ]
    for row in rows:
        assert float(row[2]) - float(row[3]) == pytest.approx(float(row[4]), abs=0.11)
        assert 0 <= float(row[5]) <= 1
    assert rows[0][3] == f"{done.numbers['history'][ACCURACY]['test'][-1]:.1f}"
    for name in ("resnet_changes", "resnet_plain_confusion", "resnet_plain_mistakes", "resnet_features"):
        assert (done.out / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_standardised_pictures_have_mean_0_and_spread_1():
    mean, std = np.array(CIFAR10Subset.mean).reshape(3, 1, 1), np.array(CIFAR10Subset.std).reshape(3, 1, 1)
    images = tg.tensor((mean + std * np.array([-1.0, 1.0])).astype(np.float32))[None]
    found = cifar_cnn.Standardise()(images).numpy()
    np.testing.assert_allclose(found, np.broadcast_to([-1.0, 1.0], (1, 3, 1, 2)), atol=1e-5)
    assert not list(cifar_cnn.Standardise().parameters())


def test_the_cnn_has_the_layers_of_the_handout():
    model = cifar_cnn.network()
    assert sum(p.numel() for p in model.parameters()) == 98_378
    assert model(tg.rand(2, 3, 32, 32)).shape == (2, 10)


def test_a_block_whose_convolutions_are_0_lets_its_input_pass():
    """So it starts near the identity, which is the point of a residual network."""
    block = residual.Block(4, 4, 1).eval()
    for convolution in (block.conv1, block.conv2):
        tg.nn.init.zeros_(convolution.weight)
    images = tg.randn(2, 4, 6, 6)
    np.testing.assert_allclose(block(images).detach().numpy(), images.relu().numpy(), atol=1e-6)
    assert residual.Block(4, 8, 2)(images).shape == (2, 8, 3, 3)


def test_a_frozen_backbone_stays_as_it_is_while_the_head_learns(few):
    tg.manual_seed(0)
    model = residual.ResNet()
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    fixed = few.first(70, 40)
    fixed.train, fixed.test = (resnet.features(model, part) for part in (few.train, few.test))
    assert fixed.train.images.shape == (70, 64)
    resnet.trained(model.head, fixed, 2, "the head")
    after = {name: value.numpy() for name, value in model.state_dict().items()}
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"head.weight", "head.bias"}
    model.eval()
    scores = model(few.test.images).detach().numpy()
    np.testing.assert_allclose(scores, model.head(fixed.test.images).detach().numpy(), atol=1e-5)


def test_training_all_of_it_changes_all_of_it_and_the_pictures_are_changed_on_the_way(few):
    tg.manual_seed(0)
    model = residual.ResNet()
    before = {name: value.detach().numpy().copy() for name, value in model.named_parameters()}
    seen = []

    def change(images):
        seen.append(len(images))
        return images

    resnet.trained(model, few, 1, "all", change=change)
    assert seen == [64, 6]
    assert all(not np.array_equal(before[name], p.detach().numpy()) for name, p in model.named_parameters())
