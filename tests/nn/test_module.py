"""Modules: registration, state, modes, hooks, scope, copies."""

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(2, 3)
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(2)])
        self.out = nn.Sequential(nn.ReLU(), nn.Linear(3, 1))
        self.register_buffer("seen", tg.zeros(()))
        self.register_buffer("scratch", tg.zeros(2), persistent=False)

    def forward(self, x):
        x = self.fc1(x)
        for layer in self.layers:
            x = layer(x).tanh()
        return self.out(x)


NAMES = [f"{m}.{p}" for m in ("fc1", "layers.0", "layers.1", "out.1") for p in ("weight", "bias")]


def test_parameters_come_in_the_order_of_assignment_under_their_paths():
    net = Net()
    assert [n for n, _ in net.named_parameters()] == NAMES
    assert [n for n, _ in net.named_parameters(prefix="net")] == [f"net.{n}" for n in NAMES]
    assert list(net.named_parameters(recurse=False)) == []
    assert len(list(net.parameters())) == 8
    assert [n for n, _ in net.named_buffers()] == ["seen", "scratch"]
    assert [n for n, _ in net.named_children()] == ["fc1", "layers", "out"]
    assert [n for n, _ in net.named_modules()] == ["", "fc1", "layers", "layers.0", "layers.1", "out", "out.0", "out.1"]


def test_shared_parameters_and_modules_come_once():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    twice = nn.Sequential(net, net)
    assert [n for n, _ in twice.named_parameters()] == ["0.0.weight", "0.0.bias", "0.1.bias"]
    assert len(list(twice.named_parameters(remove_duplicate=False))) == 8
    assert list(twice.children()) == [net]
    assert len(net.state_dict()) == 4


def test_state_dict_is_detached_and_shares_memory():
    net = Net()
    state = net.state_dict()
    assert list(state) == ["seen", *NAMES]
    assert isinstance(state, OrderedDict)
    assert not any(t.requires_grad for t in state.values())
    assert np.shares_memory(state["fc1.weight"].numpy(), net.fc1.weight.detach().numpy())
    assert net.state_dict(keep_vars=True)["fc1.weight"] is net.fc1.weight
    assert next(iter(net.state_dict(prefix="a."))) == "a.seen"


def test_load_state_dict_copies():
    a, b = Net(), Net()
    weight = b.fc1.weight
    result = b.load_state_dict(a.state_dict())
    assert str(result) == "<All keys matched successfully>"
    assert result == ([], [])
    assert b.fc1.weight is weight
    x = tg.randn(4, 2)
    assert a(x).equal(b(x))
    assert not np.shares_memory(a.fc1.weight.detach().numpy(), weight.detach().numpy())


def test_load_state_dict_names_everything_that_is_wrong_one_per_line_and_changes_nothing():
    net = Net()
    before = copy.deepcopy(net.state_dict())
    state = {k: v + 1 for k, v in net.state_dict().items()}
    del state["fc1.bias"], state["layers.1.weight"]
    state["extra"] = tg.zeros(1)
    state["out.1.weight"] = tg.zeros(5, 3)
    state["out.1.bias"] = np.zeros(1)
    with pytest.raises(RuntimeError) as error:
        net.load_state_dict(state)
    lines = str(error.value).split("\n\t")
    assert lines[0] == "Error(s) in loading state_dict for Net:"
    assert lines[1].startswith('missing key: "fc1.bias"')
    assert lines[2].startswith('missing key: "layers.1.weight"')
    assert lines[3].startswith('unexpected key: "extra"')
    assert lines[4].startswith('size mismatch: "out.1.weight" has shape (5, 3)')
    assert lines[5].startswith('not a tensor: "out.1.bias" is ndarray')
    assert len(lines) == 6
    for key, value in net.state_dict().items():
        assert value.equal(before[key])


def test_load_state_dict_not_strict_takes_what_there_is():
    net = Net()
    result = net.load_state_dict({"seen": tg.tensor(7.0), "extra": tg.zeros(1)}, strict=False)
    assert result.missing_keys == NAMES
    assert result.unexpected_keys == ["extra"]
    assert net.seen.item() == 7
    with pytest.raises(RuntimeError, match="size mismatch"):
        net.load_state_dict({"fc1.bias": tg.zeros(1)}, strict=False)
    with pytest.raises(TypeError, match="dict-like"):
        net.load_state_dict([1])


def test_load_state_dict_assign_takes_the_tensors_themselves():
    net = nn.Linear(2, 1, dtype=tg.float64)
    state = {"weight": tg.ones(1, 2), "bias": nn.Parameter(tg.zeros(1))}
    net.load_state_dict(state, assign=True)
    assert net.weight.dtype == tg.float32
    assert isinstance(net.weight, nn.Parameter)
    assert net.bias is state["bias"]


def test_loading_is_seen_by_the_graph():
    net = nn.Linear(2, 1)
    loss = net(tg.ones(3, 2, requires_grad=True)).sum()
    net.load_state_dict(nn.Linear(2, 1).state_dict())
    with pytest.raises(RuntimeError, match="inplace"):
        loss.backward()


def test_attributes():
    net = Net()
    with pytest.raises(AttributeError, match="'Net' object has no attribute 'fc9'"):
        _ = net.fc9
    with pytest.raises(TypeError, match="cannot assign 'int' as module 'fc1'"):
        net.fc1 = 3
    with pytest.raises(TypeError, match="cannot assign 'Tensor' as parameter 'weight'"):
        net.fc1.weight = tg.zeros(3, 2)
    net.seen = tg.ones(())
    assert net.state_dict()["seen"].item() == 1
    with pytest.raises(TypeError, match="buffer 'seen'"):
        net.seen = "x"
    net.fc1.bias = None
    assert net.fc1.bias is None
    assert "fc1.bias" not in net.state_dict()
    net.fc1 = None
    assert [n for n, _ in net.named_children()] == ["layers", "out"]
    del net.out
    assert not hasattr(net, "out")
    assert "layers" in dir(net)


def test_an_attribute_can_change_its_kind():
    net = nn.Module()
    net.w = 1
    net.w = nn.Parameter(tg.zeros(1))
    assert [n for n, _ in net.named_parameters()] == ["w"]
    net.w = nn.Linear(1, 1)
    assert [n for n, _ in net.named_parameters()] == ["w.weight", "w.bias"]
    with pytest.raises(KeyError, match="already exists"):
        net.register_buffer("forward", tg.zeros(1))
    with pytest.raises(KeyError, match="contain a dot"):
        net.register_parameter("a.b", None)
    with pytest.raises(TypeError, match="Module subclass"):
        net.add_module("m", 3)


def test_forgotten_super_init_is_explained():
    class Careless(nn.Module):
        def __init__(self):
            self.fc = nn.Linear(1, 1)

    class Weights(nn.Module):
        def __init__(self):
            self.w = nn.Parameter(tg.zeros(1))

    with pytest.raises(AttributeError, match=r"cannot assign modules before Module.__init__\(\) call"):
        Careless()
    with pytest.raises(AttributeError, match=r"cannot assign parameters before Module.__init__\(\) call"):
        Weights()


def test_missing_forward_is_explained():
    with pytest.raises(NotImplementedError, match='missing the required "forward"'):
        nn.Module()()


def test_train_eval_apply_and_requires_grad():
    net = Net()
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net.train()
    assert all(m.training for m in net.modules())
    with pytest.raises(ValueError, match="boolean"):
        net.train(3)
    order = []
    assert net.apply(lambda m: order.append(type(m).__name__)) is net
    assert order == ["Linear", "Linear", "Linear", "ModuleList", "ReLU", "Linear", "Sequential", "Net"]
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())


def test_zero_grad():
    net = Net()
    net(tg.ones(1, 2)).sum().backward()
    held = net.fc1.weight.grad
    net.zero_grad(set_to_none=False)
    assert net.fc1.weight.grad is held
    assert not held.any()
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_to_and_double_keep_the_parameters():
    net = Net()
    weight = net.fc1.weight
    net(tg.ones(1, 2)).sum().backward()
    assert net.double() is net
    assert net.fc1.weight is weight
    assert weight.dtype == weight.grad.dtype == net.seen.dtype == tg.float64
    assert net(tg.ones(1, 2).double()).dtype == tg.float64
    net(tg.ones(1, 2).double()).sum().backward()
    assert net.to("cpu", tg.float32).fc1.weight.dtype == tg.float32
    assert net.to(tg.zeros(1, dtype=tg.float64)).fc1.weight.dtype == tg.float64
    assert net.float().cpu() is net
    with pytest.raises(TypeError, match="floating"):
        net.to(tg.int64)
    for nowhere in (lambda: net.to("cuda"), net.cuda):
        with pytest.raises(RuntimeError, match="no device 'cuda'"):
            nowhere()


def test_integer_buffers_are_not_cast():
    net = nn.Module()
    net.register_buffer("count", tg.tensor(3))
    assert net.double().count.dtype == tg.int64


def test_copies_are_independent_and_pickles_come_back():
    net = Net()
    x = tg.randn(3, 2)
    expected = net(x)
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin(x).equal(expected)
        assert [n for n, _ in twin.named_parameters()] == NAMES
        assert all(isinstance(p, nn.Parameter) and p.requires_grad for p in twin.parameters())
        with tg.no_grad():
            for p in twin.parameters():
                p.zero_()
        assert net(x).equal(expected)


def test_a_copy_keeps_what_was_shared():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert twin[0].weight is twin[1].weight


def scopes(output):
    return [(n.op.name, n.scope) for n in tg.engine.node.ancestors([output.grad_fn])]


def test_nodes_know_their_modules():
    net = Net()
    found = scopes(net(tg.ones(1, 2)))
    assert {s for op, s in found if op == "linear"} == {
        ("Net", "fc1"),
        ("Net", "layers.0"),
        ("Net", "layers.1"),
        ("Net", "out", "1"),
    }
    assert {s for op, s in found if op == "tanh"} == {("Net",)}
    assert {s for op, s in found if op == "relu"} == {("Net", "out", "0")}
    outside = net(tg.ones(1, 2)) * 2
    assert outside.grad_fn.scope == ()


def test_scope_follows_the_mode_and_the_place():
    class Doubled(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x) + self.inner(x)

    layer = nn.Linear(2, 2)
    assert layer(tg.ones(1, 2)).grad_fn.scope == ("Linear",)
    net = Doubled(layer)
    assert scopes(net(tg.ones(1, 2)))[0][1] == ("Doubled", "inner")
    with tg.no_grad():
        assert not net(tg.ones(1, 2)).requires_grad
    assert net(tg.ones(1, 2)).requires_grad
    again = Doubled(copy.deepcopy(layer))
    assert scopes(again(tg.ones(1, 2)))[0][1] == ("Doubled", "inner")


def test_scope_is_left_when_forward_fails():
    class Fails(nn.Module):
        def forward(self, x):
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Fails()(1)
    assert tg.engine.mode.current.get().scope == ()


def test_parts_of_lists_do_not_rename():
    class Skips(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])

        def forward(self, x):
            for layer in self.layers[1:]:
                x = layer(x)
            return x

    found = scopes(Skips()(tg.ones(1, 2)))
    assert {s for op, s in found if op == "linear"} == {("Skips", "layers.1"), ("Skips", "layers.2")}


def test_sequential_is_a_list():
    a, b, c = nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1)
    net = nn.Sequential(a, b)
    assert net.append(c) is net
    assert len(net) == 3
    assert list(net) == [a, b, c]
    assert net[-1] is c
    assert list(net[1:]) == [b, c]
    assert net.insert(1, nn.Tanh()) is net
    assert [type(m).__name__ for m in net] == ["Linear", "Tanh", "ReLU", "Linear"]
    assert [n for n, _ in net.named_parameters()] == ["0.weight", "0.bias", "3.weight", "3.bias"]
    del net[1]
    assert net.pop(1) is b
    net[0] = nn.Identity()
    assert list(net.state_dict()) == ["1.weight", "1.bias"]
    for wrong in (lambda: net[2], lambda: net[-3]):
        with pytest.raises(IndexError, match="out of range"):
            wrong()
    named = nn.Sequential(OrderedDict(first=a, act=b))
    assert named.act is b
    assert named(tg.ones(3, 1)).shape == (3, 2)


def test_module_list_and_dict():
    layers = nn.ModuleList([nn.Linear(1, 1)])
    layers += [nn.ReLU()]
    layers.extend([nn.Tanh()])
    layers.insert(0, nn.Identity())
    assert [type(m).__name__ for m in layers] == ["Identity", "Linear", "ReLU", "Tanh"]
    longer = layers + [nn.ReLU()]  # noqa: RUF005 - the operator is what is tested
    assert len(longer) == 5
    assert isinstance(layers[1:3], nn.ModuleList)
    with pytest.raises(NotImplementedError):
        layers(1)
    heads = nn.ModuleDict({"a": nn.Linear(1, 1), "b": nn.Tanh()})
    heads["c"] = nn.ReLU()
    assert list(heads) == list(heads.keys()) == ["a", "b", "c"]
    assert "b" in heads
    assert isinstance(heads.pop("b"), nn.Tanh)
    assert [n for n, _ in heads.named_parameters()] == ["a.weight", "a.bias"]
    del heads["a"]
    assert len(heads) == 1
    weights = nn.ParameterList([tg.zeros(2), nn.Parameter(tg.ones(1))])
    weights.append(tg.zeros(3))
    assert [n for n, _ in weights.named_parameters()] == ["0", "1", "2"]
    assert weights[1].item() == 1
    assert len(weights[1:]) == 2


def test_getters():
    net = Net()
    assert net.get_submodule("layers.1") is net.layers[1]
    assert net.get_submodule("") is net
    assert net.get_parameter("out.1.bias") is net.out[1].bias
    norms = nn.Sequential(nn.BatchNorm1d(2))
    assert norms.get_buffer("0.running_mean") is norms[0].running_mean
    misses = (lambda: net.get_submodule("layers.7"), lambda: net.get_parameter("fc1.w"))
    for wrong in (*misses, lambda: norms.get_buffer("0.weight")):
        with pytest.raises(AttributeError, match="has no"):
            wrong()


def test_parameter_is_a_leaf_on_the_same_memory():
    data = tg.zeros(2)
    p = nn.Parameter(data)
    assert p.requires_grad
    assert p.is_leaf
    assert np.shares_memory(p.detach().numpy(), data.numpy())
    assert type(p * 2) is tg.Tensor
    assert not nn.Parameter(data, requires_grad=False).requires_grad
    with pytest.raises(TypeError, match="must be Tensor"):
        nn.Parameter([1.0])
    with pytest.raises(RuntimeError, match="floating"):
        nn.Parameter(tg.zeros(2, dtype=tg.int64))
    assert nn.Parameter(tg.zeros(2, dtype=tg.int64), requires_grad=False).dtype == tg.int64


def test_unflatten_undoes_flatten():
    x = tg.arange(24).reshape(2, 3, 4)
    flat = nn.Flatten()(x)
    assert flat.shape == (2, 12)
    assert nn.Unflatten(1, (3, -1))(flat).equal(x)
    with pytest.raises(RuntimeError, match="multiply up"):
        nn.Unflatten(1, (5, 2))(flat)


def test_gradients_lie_in_memory_as_their_parameters_do():
    """So that view(-1) works, as in PyTorch: the product behind it is transposed."""
    layer = nn.Linear(3, 4)
    x = tg.randn(5, 3)
    layer(x).square().sum().backward()
    assert layer.weight.grad.is_contiguous()
    assert layer.weight.grad.view(-1).shape == (12,)
    layer.zero_grad()
    (layer(x).square().sum() + (layer.weight.T * layer.weight.T).sum()).backward()
    assert layer.weight.grad.is_contiguous()
