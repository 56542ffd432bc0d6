"""Convolution, pooling, normalisation, embedding and channel dropout as modules, against PyTorch in float64."""

import inspect
import subprocess
import sys
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn

IMAGE, SIGNAL = (3, 4, 7, 6), (3, 4, 9)

# name of the case: (layer, arguments, options, shape of the input)
LAYERS = {
    "conv2d": ("Conv2d", (4, 6, 3), {}, IMAGE),
    "conv2d_pairs": ("Conv2d", (4, 6, (3, 2), (2, 1), (1, 0), (1, 2)), {}, IMAGE),
    "conv2d_same": ("Conv2d", (4, 6, (4, 3), 1, "same", 2), {}, IMAGE),
    "conv2d_valid": ("Conv2d", (4, 6, 3), {"padding": "valid", "bias": False}, IMAGE),
    "conv2d_depthwise": ("Conv2d", (4, 8, 3), {"padding": 1, "groups": 4}, IMAGE),
    "conv2d_reflect": ("Conv2d", (4, 2, 3), {"padding": (2, 1), "padding_mode": "reflect"}, IMAGE),
    "conv2d_circular_same": ("Conv2d", (4, 2, 4), {"padding": "same", "padding_mode": "circular"}, IMAGE),
    "conv2d_replicate": ("Conv2d", (4, 2, 3, 2, 1), {"padding_mode": "replicate"}, IMAGE),
    "conv2d_unbatched": ("Conv2d", (4, 2, 3), {}, IMAGE[1:]),
    "conv1d": ("Conv1d", (4, 6, 3, 2, 1), {}, SIGNAL),
    "conv1d_same": ("Conv1d", (4, 6, 4), {"padding": "same", "dilation": 2, "groups": 2}, SIGNAL),
    "conv1d_circular": ("Conv1d", (4, 6, 3), {"padding": 2, "padding_mode": "circular", "bias": False}, SIGNAL),
    "transpose2d": ("ConvTranspose2d", (4, 6, 3), {}, IMAGE),
    "transpose2d_all": ("ConvTranspose2d", (4, 6, (3, 2), (2, 3), (1, 0), (1, 2), 2, False, (1, 2)), {}, IMAGE),
    "transpose1d": ("ConvTranspose1d", (4, 6, 3, 2, 1, 1), {"groups": 2}, SIGNAL),
    "max2d": ("MaxPool2d", (2,), {}, IMAGE),
    "max2d_overlapping": ("MaxPool2d", ((3, 2), 2, 1, 1, False, True), {}, IMAGE),
    "max1d": ("MaxPool1d", (3, 2), {"dilation": 2, "ceil_mode": True}, SIGNAL),
    "avg2d": ("AvgPool2d", (3, 2, 1), {"ceil_mode": True, "count_include_pad": False}, IMAGE),
    "avg2d_divisor": ("AvgPool2d", ((2, 3),), {"divisor_override": 5}, IMAGE),
    "avg1d": ("AvgPool1d", (3,), {"padding": 1, "count_include_pad": False}, SIGNAL),
    "adaptive2d": ("AdaptiveAvgPool2d", ((3, None),), {}, IMAGE),
    "adaptive2d_one": ("AdaptiveAvgPool2d", (1,), {}, IMAGE),
    "adaptive1d": ("AdaptiveAvgPool1d", (4,), {}, SIGNAL),
    "batch2d": ("BatchNorm2d", (4,), {}, IMAGE),
    "batch2d_average": ("BatchNorm2d", (4, 1e-3, None), {"bias": False}, IMAGE),
    "batch2d_untracked": ("BatchNorm2d", (4,), {"affine": False, "track_running_stats": False}, IMAGE),
    "batch1d": ("BatchNorm1d", (4, 1e-5, 0.3), {}, SIGNAL),
    "batch1d_rows": ("BatchNorm1d", (5,), {}, (8, 5)),
    "layer": ("LayerNorm", ((7, 6),), {}, IMAGE),
    "layer_int": ("LayerNorm", (9,), {"bias": False, "eps": 1e-3}, SIGNAL),
    "layer_plain": ("LayerNorm", (9,), {"elementwise_affine": False}, SIGNAL),
}


def twins(torch, name, args=(), options=None):
    """(ours, PyTorch's) with the same numbers, in float64."""
    theirs = getattr(torch.nn, name)(*args, **(options or {})).double()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter += 0.3 * torch.tensor(np.random.normal(size=tuple(parameter.shape)))
    ours = getattr(nn, name)(*args, **(options or {})).double()
    return load(ours, theirs), theirs


def load(ours, theirs):
    report = ours.load_state_dict({k: tg.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    assert repr(report) == "<All keys matched successfully>"
    return ours


def same_state(ours, theirs, rtol=1e-10):
    mine, other = ours.state_dict(), theirs.state_dict()
    assert list(mine) == list(other)
    for key in other:
        assert mine[key].numpy().dtype == other[key].numpy().dtype
        np.testing.assert_allclose(mine[key].numpy(), other[key].numpy(), rtol, 1e-11, err_msg=key)


@pytest.mark.parametrize("case", LAYERS)
def test_layers(torch, case):
    name, args, options, shape = LAYERS[case]
    ours, theirs = twins(torch, name, args, options)
    assert repr(ours) == repr(theirs)
    for training in (True, True, False, True):
        arrays = np.random.normal(size=shape)
        results = []
        for lib, module in ((tg, ours), (torch, theirs)):
            module.train(training)
            module.zero_grad()
            x = lib.tensor(arrays, requires_grad=True)
            out = module(x)
            out, *places = out if isinstance(out, tuple) else (out,)
            (out * out * (out + 0.5)).sum().backward()
            grads = [p.grad.numpy() for p in module.parameters()]
            results.append([out.detach().numpy(), x.grad.numpy(), *grads, *(p.numpy() for p in places)])
        for mine, other in zip(*results, strict=True):
            assert mine.dtype == other.dtype
            np.testing.assert_allclose(mine, other, rtol=1e-10, atol=1e-10)
        same_state(ours, theirs)


@pytest.mark.parametrize("name", sorted({case[0] for case in LAYERS.values()} | {"Embedding", "Dropout2d"}))
def test_signatures(torch, name):
    def described(cls):
        parameters = inspect.signature(cls).parameters.values()
        return [(p.name, p.default, p.kind) for p in parameters]

    assert described(getattr(nn, name)) == described(getattr(torch.nn, name))


def network(nn):
    """All layers that learn, one after the other."""
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding="same", bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 4, 3, stride=2, padding=1, groups=2),
        nn.LayerNorm([4, 2, 2]),
        nn.ConvTranspose2d(4, 3, 3),
        nn.AvgPool2d(2, padding=1),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.BatchNorm1d(12, momentum=None),
        nn.Linear(12, 3),
    )


def test_five_steps_of_sgd(torch):
    theirs = network(torch.nn).double()
    ours = load(network(nn).double(), theirs)
    assert repr(ours) == repr(theirs)
    steps = [
        (lib, module, lib.optim.SGD(module.parameters(), lr=0.05, momentum=0.9), lib.nn.CrossEntropyLoss())
        for lib, module in ((tg, ours), (torch, theirs))
    ]
    for _ in range(5):
        images, labels = np.random.normal(size=(6, 2, 8, 8)), np.random.randint(3, size=6)
        losses = []
        for lib, module, optimizer, criterion in steps:
            optimizer.zero_grad()
            loss = criterion(module(lib.tensor(images)), lib.tensor(labels))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        np.testing.assert_allclose(losses[0], losses[1], rtol=1e-9)
    same_state(ours, theirs, rtol=1e-7)
    ours.eval(), theirs.eval()
    images = np.random.normal(size=(1, 2, 8, 8))
    mine, other = ours(tg.tensor(images)), theirs(torch.tensor(images))
    np.testing.assert_allclose(mine.detach().numpy(), other.detach().numpy(), rtol=1e-7, atol=1e-9)


def test_channels_last_images_in_float32(torch):
    theirs = network(torch.nn)
    ours = load(network(nn), theirs)
    images = np.random.normal(size=(6, 2, 8, 8)).astype(np.float32)
    mine = ours(tg.tensor(images.transpose(0, 2, 3, 1).copy()).permute(0, 3, 1, 2))
    np.testing.assert_allclose(mine.detach().numpy(), theirs(torch.tensor(images)).detach().numpy(), 1e-3, 1e-4)


class TestFirstValues:
    @pytest.mark.parametrize(
        ("layer", "fan"),
        [
            (nn.Conv2d(8, 32, 5, groups=2), 4 * 25),
            (nn.Conv1d(16, 64, 9), 16 * 9),
            (nn.ConvTranspose2d(32, 16, 4, groups=4), 4 * 16),
        ],
    )
    def test_uniform_up_to_one_over_the_root_of_the_fan(self, layer, fan):
        layer.reset_parameters()
        bound = fan**-0.5
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        assert 0.98 * bound < np.abs(weight).max() <= bound * (1 + 1e-6)
        assert abs(weight.std() * np.sqrt(3) / bound - 1) < 0.05
        assert 0.5 * bound < np.abs(bias).max() <= bound * (1 + 1e-6)

    def test_dtype(self):
        for layer in (nn.Conv2d(1, 2, 3, dtype=tg.float64), nn.BatchNorm1d(3, dtype=tg.float64)):
            assert {p.dtype for p in layer.parameters()} == {tg.float64}

    def test_embedding(self):
        table = nn.Embedding(200, 50, padding_idx=-1)
        rows = table.weight.detach().numpy()
        assert table.padding_idx == 199
        assert not rows[199].any()
        assert abs(rows[:199].std() - 1) < 0.03
        assert abs(rows.mean()) < 0.03


class TestBatchNorm:
    @pytest.mark.parametrize(("layer", "shape"), [(nn.BatchNorm1d(3), (1, 3)), (nn.BatchNorm2d(3), (1, 3, 1, 1))])
    def test_a_batch_of_one(self, torch, layer, shape):
        x = tg.zeros(*shape)
        theirs = getattr(torch.nn, type(layer).__name__)(3)
        for module, given in ((layer, x), (theirs, torch.zeros(shape))):
            with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
                module(given)
        assert layer.eval()(x).shape == shape

    @pytest.mark.parametrize(
        ("layer", "shape"),
        [(nn.BatchNorm1d(3), (3,)), (nn.BatchNorm1d(3), (2, 3, 4, 4)), (nn.BatchNorm2d(3), (2, 3, 4))],
    )
    def test_other_dimensions(self, layer, shape):
        with pytest.raises(ValueError, match=f"got {len(shape)}D input"):
            layer(tg.zeros(*shape))

    def test_what_is_no_tensor(self):
        with pytest.raises(TypeError, match="BatchNorm1d"):
            nn.BatchNorm1d(3)(np.zeros((2, 3)))

    def test_channels(self):
        with pytest.raises(RuntimeError, match="running_mean"):
            nn.BatchNorm2d(3)(tg.zeros(2, 4, 5, 5))

    def test_eval_leaves_the_buffers_and_train_moves_them_without_a_graph(self):
        layer = nn.BatchNorm1d(2)
        before = {k: v.numpy().copy() for k, v in layer.state_dict().items()}
        layer.eval()(tg.randn(5, 2))
        for key, value in layer.state_dict().items():
            np.testing.assert_array_equal(value.numpy(), before[key])
        buffers = dict(layer.named_buffers())
        layer.train()(tg.randn(5, 2, requires_grad=True))
        assert all(buffers[k] is v for k, v in layer.named_buffers())
        assert not any(b.requires_grad for b in buffers.values())
        assert layer.num_batches_tracked.item() == 1
        assert layer.running_mean.abs().sum().item() > 0
        layer.reset_running_stats()
        for key, value in layer.state_dict().items():
            np.testing.assert_array_equal(value.numpy(), before[key])

    def test_a_batch_of_one_is_counted_and_refused_as_in_pytorch(self, torch):
        for lib in (tg, torch):
            layer = lib.nn.BatchNorm1d(2)
            with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
                layer(lib.ones(1, 2))
            assert layer.num_batches_tracked.item() == 1
            assert layer.running_mean.tolist() == [0, 0]
            assert layer.eval()(lib.ones(1, 2)).shape == (1, 2)

    def test_an_empty_batch_leaves_the_running_statistics_as_pytorch_does(self, torch):
        found = []
        for lib in (tg, torch):
            layer = lib.nn.BatchNorm2d(2)
            x = lib.ones(0, 2, 3, 3, requires_grad=True)
            layer(x).sum().backward()
            state = [layer.running_mean, layer.running_var, layer.weight.grad, layer.bias.grad]
            found.append([tuple(x.grad.shape), *(t.tolist() for t in state)])
        assert repr(found[0]) == repr(found[1])

    def test_a_program_counts_batches(self):
        layer, twin = (nn.BatchNorm1d(2, momentum=None).double() for _ in range(2))
        batches = np.random.normal(size=(4, 5, 2))
        x = tg.tensor(batches[0])
        with tg.record() as program:
            layer(x)
        twin(tg.tensor(batches[0]))
        for batch in batches[1:]:
            x.copy_(tg.tensor(batch))
            program.run()
            twin(tg.tensor(batch))
        for (key, mine), other in zip(layer.state_dict().items(), twin.state_dict().values(), strict=True):
            np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-12, err_msg=key)


class TestConvolutionErrors:
    @pytest.mark.parametrize(
        ("name", "args", "options", "match"),
        [
            ("Conv2d", (3, 4, 3), {"groups": 2}, "in_channels must be divisible by groups"),
            ("Conv2d", (2, 3, 3), {"groups": 2}, "out_channels must be divisible by groups"),
            ("Conv2d", (2, 2, 3), {"groups": 0}, "groups must be a positive integer"),
            ("Conv2d", (2, 2, 3), {"padding": "some"}, "(?i)invalid padding string 'some'"),
            ("Conv1d", (2, 2, 3), {"padding": "same", "stride": 2}, "not supported for strided convolutions"),
            ("Conv1d", (2, 2, 3), {"padding_mode": "some"}, "padding_mode must be one of"),
            ("ConvTranspose2d", (2, 2, 3), {"padding_mode": "reflect"}, 'Only "zeros" padding mode is supported'),
        ],
    )
    def test_settings(self, torch, name, args, options, match):
        for lib in (tg, torch):
            with pytest.raises(ValueError, match=match):
                getattr(lib.nn, name)(*args, **options)

    def test_a_string_as_padding_of_the_adjoint(self):
        with pytest.raises(ValueError, match="should be ints"):
            nn.ConvTranspose2d(2, 2, 3, padding="same")

    def test_output_size(self, torch):
        ours, theirs = twins(torch, "ConvTranspose2d", (4, 2, 3), {"stride": (2, 3), "padding": 1})
        x = np.random.normal(size=IMAGE)
        for size in ((14, 18), (13, 16), (3, 2, 14, 17)):
            mine = ours(tg.tensor(x), output_size=size)
            other = theirs(torch.tensor(x), output_size=size)
            assert mine.shape[-2:] == size[-2:]
            np.testing.assert_allclose(mine.detach().numpy(), other.detach().numpy(), rtol=1e-11, atol=1e-12)
        for size in ((15, 18), (12, 16), (14,)):
            for lib, module in ((tg, ours), (torch, theirs)):
                with pytest.raises(ValueError, match=r"output.size"):
                    module(lib.tensor(x), output_size=size)


class TestEmbedding:
    @pytest.mark.parametrize("options", [{}, {"padding_idx": -2}, {"max_norm": 0.7, "norm_type": 1.0}])
    def test_against_pytorch(self, torch, options):
        ours, theirs = twins(torch, "Embedding", (6, 3), options)
        assert repr(ours) == repr(theirs)
        index, g = np.array([[0, 4, 4, 1], [5, 0, 4, 1]]), np.random.normal(size=(2, 4, 3))
        for lib, module in ((tg, ours), (torch, theirs)):
            optimizer = lib.optim.SGD(module.parameters(), lr=0.1)
            for _ in range(5):
                optimizer.zero_grad()
                out = module(lib.tensor(index))
                (out * out * lib.tensor(g)).sum().backward()
                optimizer.step()
        same_state(ours, theirs)
        np.testing.assert_allclose(ours.weight.grad.numpy(), theirs.weight.grad.numpy(), rtol=1e-11, atol=1e-13)

    def test_from_pretrained(self):
        rows = tg.arange(6.0).reshape(3, 2)
        table = nn.Embedding.from_pretrained(rows, padding_idx=1)
        assert not table.weight.requires_grad
        assert nn.Embedding.from_pretrained(rows, freeze=False).weight.requires_grad
        np.testing.assert_array_equal(table(tg.tensor([2, 1])).numpy(), [[4, 5], [2, 3]])
        with pytest.raises(AssertionError, match="2-dimensional"):
            nn.Embedding.from_pretrained(tg.zeros(3))

    def test_errors(self):
        with pytest.raises(AssertionError, match="num_embeddings"):
            nn.Embedding(3, 2, padding_idx=3)
        with pytest.raises(NotImplementedError, match="sparse"):
            nn.Embedding(3, 2, sparse=True)
        with pytest.raises(IndexError, match="out of range"):
            nn.Embedding(3, 2)(tg.tensor([3]))


class TestDropout2d:
    def test_channels_go_together(self):
        x = tg.ones(40, 25, 3, 2, requires_grad=True)
        out = nn.Dropout2d(0.3)(x)
        out.sum().backward()
        channels = out.detach().numpy().reshape(1000, 6)
        assert (channels == channels[:, :1]).all()
        kept = channels[:, 0] != 0
        assert 0.62 < kept.mean() < 0.78
        np.testing.assert_allclose(channels[kept], 1 / 0.7, rtol=1e-6)
        np.testing.assert_array_equal(x.grad.numpy(), out.detach().numpy())

    def test_eval_and_inplace(self, torch):
        x = tg.ones(2, 3, 4, 4)
        assert nn.Dropout2d().eval()(x) is x
        assert repr(nn.Dropout2d(0.2, True)) == repr(torch.nn.Dropout2d(0.2, True))
        assert nn.Dropout2d(1.0, inplace=True)(x) is x
        assert not x.numpy().any()
        with pytest.raises(ValueError, match="between 0 and 1"):
            nn.Dropout2d(1.5)

    def test_signals_warn_as_in_pytorch(self, torch):
        for lib in (tg, torch):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                out = lib.nn.Dropout2d(0.5)(lib.ones(30, 8, 2)).numpy()
            assert len(caught) == 1
            assert (out[..., 0] == out[..., 1]).all()
            assert 0 < out.mean() < 2


def test_datasets_and_transforms_are_imported_when_they_are_used():
    code = """
import sys, tinygrad_edu as tg
lazy = {"tinygrad_edu.datasets", "tinygrad_edu.transforms"}
assert not lazy & set(sys.modules)
tg.datasets.XOR, tg.transforms.Compose
assert lazy <= set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
