"""`summary`: every number of it, counted by hand on small models; and the model stays as it was."""

import pytest

import tinygrad_edu as tg
import tinygrad_edu.nn.functional as F
from tinygrad_edu import nn


class Net(nn.Module):
    """A convolution called twice, a pooling without a module, a frozen layer, dropout."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1, groups=2)
        self.norm = nn.BatchNorm2d(2)
        self.drop = nn.Dropout(0.5)
        self.out = nn.Linear(8, 3).requires_grad_(False)

    def forward(self, x):
        h = self.norm(self.conv(self.conv(x))).relu()
        h = F.max_pool2d(h, 2)
        return self.out(self.drop(h).flatten(1))


def test_every_layer_counted_by_hand():
    found = tg.summary(Net(), (5, 2, 4, 4))
    rows = [(c.name, c.kind, c.depth, c.shapes, c.parameters, c.again, c.multiply_adds) for c in found.calls]
    conv = 5 * 2 * 4 * 4 * 9
    assert rows == [
        ("", "Net", 0, [(5, 3)], 0, False, 0),
        ("conv", "Conv2d", 1, [(5, 2, 4, 4)], 20, False, conv),
        ("conv", "Conv2d", 1, [(5, 2, 4, 4)], 0, True, conv),
        ("norm", "BatchNorm2d", 1, [(5, 2, 4, 4)], 4, False, 0),
        ("drop", "Dropout", 1, [(5, 2, 2, 2)], 0, False, 0),
        ("out", "Linear", 1, [(5, 3)], 27, False, 5 * 8 * 3),
    ]
    assert (found.parameters, found.trainable) == (51, 24)
    assert found.multiply_adds == 2 * conv + 120
    assert (found.parameter_bytes, found.input_bytes) == (51 * 4, 5 * 2 * 16 * 4)
    text = str(found)
    assert "parameters: 51 (24 trainable, 27 frozen), 204 B" in text
    assert "  conv: Conv2d       (5, 2, 4, 4)       again          1,440" in text


def test_the_model_stays_as_it_was():
    tg.manual_seed(0)
    model = Net()
    model.drop.eval()
    state = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    random = tg.get_rng_state()
    tg.summary(model, tg.randn(2, 2, 4, 4, generator=tg.Generator()))
    assert all((value.numpy() == state[name]).all() for name, value in model.state_dict().items())
    assert (tg.get_rng_state().numpy() == random.numpy()).all()
    assert model.training
    assert not model.drop.training
    assert all(p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_the_model_stays_as_it_was_when_it_cannot_be_called():
    model = Net()
    with pytest.raises(RuntimeError):
        tg.summary(model, (5, 3, 4, 4))
    assert model.training
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_what_the_graph_keeps_is_its_memory_counted_once():
    """relu keeps its result, the second product its own input, which is the same memory: 2 x 3 numbers in all."""
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    assert tg.summary(model, (2, 4)).kept_bytes == 2 * 3 * 4
    assert tg.summary(model.double(), tg.zeros(2, 4, dtype=tg.float64)).kept_bytes == 2 * 3 * 8
    assert tg.summary(model.requires_grad_(False), tg.zeros(2, 4, dtype=tg.float64)).kept_bytes == 0


def test_tied_parameters_count_once_and_frozen_layers_still_work():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    found = tg.summary(model.requires_grad_(False), (1, 4))
    assert [c.parameters for c in found.calls] == [0, 20, 4]
    assert (found.parameters, found.trainable, found.multiply_adds) == (24, 0, 32)


def test_several_inputs_and_results():
    class Two(nn.Module):
        def forward(self, a, b):
            return {"sum": a + b, "parts": (a, b)}

    found = tg.summary(Two(), (2, 3), tg.ones(3))
    assert found.calls[0].shapes == [(2, 3), (2, 3), (3,)]
    assert found.input_bytes == 9 * 4


def test_transposed_convolutions_and_plain_products():
    class Up(nn.Module):
        def __init__(self):
            super().__init__()
            self.up = nn.ConvTranspose2d(3, 2, 2, stride=2)

        def forward(self, x):
            return self.up(x).flatten(1) @ tg.ones(2 * 8 * 8, 5)

    found = tg.summary(Up(), (1, 3, 4, 4))
    assert [c.multiply_adds for c in found.calls] == [128 * 5, 3 * 16 * 2 * 4]


def test_what_is_not_a_module_is_refused():
    with pytest.raises(TypeError, match=r"summary: the model must be an nn.Module, not Tensor"):
        tg.summary(tg.ones(3), (2, 3))
