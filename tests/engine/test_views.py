"""What is a copy and what is a view, and the versions that writes count."""

from __future__ import annotations

import pytest

import tinygrad_edu as tg

COPIES = {
    "flip": lambda x: x.flip(0),
    "clone": lambda x: x.clone(),
    "gather": lambda x: x.gather(0, tg.tensor([[0, 0], [1, 1]])),
    "gather of 0-d": lambda x: x.sum().gather(0, tg.tensor(0)),
    "index_select": lambda x: x.index_select(0, tg.tensor([0, 1])),
    "a list": lambda x: x[[0, 1]],
    "a mask": lambda x: x[x == x],
    "a 0-d index": lambda x: x[tg.tensor(0), tg.tensor(1)],
    "masked_select": lambda x: x.masked_select(x == x),
    "sum over nothing": lambda x: x.sum().sum(0),
    "max of 0-d": lambda x: x.sum().max(0).values,
    "amax of 0-d": lambda x: x.sum().amax(),
    "cumsum of 0-d": lambda x: x.sum().cumsum(0),
    "cumsum": lambda x: x.cumsum(0),
    "sort": lambda x: x.sort().values,
    "sort of 0-d": lambda x: x.sum().sort().values,
    "cat": lambda x: tg.cat([x]),
    "stack": lambda x: tg.stack([x]),
    "relu": lambda x: (x.abs() + 1).relu(),
    "abs": lambda x: x.abs(),
    "x + 0": lambda x: x + 0,
    "x * 1": lambda x: x * 1,
    "x ** 1": lambda x: x**1,
    "clamp": lambda x: x.clamp(min=-100.0),
    "where": lambda x: tg.where(x == x, x, x),
    "masked_fill": lambda x: x.masked_fill(x != x, 0.0),
    "tril": lambda x: x.tril(5),
    "prod of one": lambda x: x[:1].prod(0),
    "mean of one": lambda x: x[:1].mean(0),
    "logsumexp of one": lambda x: x[:1].logsumexp(0),
    "to another dtype": lambda x: x.double(),
    "to, copied": lambda x: x.to(x.dtype, copy=True),
    "contiguous of a transpose": lambda x: x.T.contiguous(),
    "repeat of a scatter": lambda x: x.scatter_add(0, tg.tensor([[0, 1]]), x),
}  # fmt: skip


@pytest.mark.parametrize("name", COPIES)
@pytest.mark.parametrize("requires_grad", [False, True])
def test_what_pytorch_copies_is_a_copy(name, requires_grad):
    """Writing to the result must not reach the argument."""
    x = tg.tensor([[1.0, -2.0], [3.0, 4.0]], requires_grad=requires_grad)
    before = x.tolist()
    result = COPIES[name](x)
    with tg.no_grad():
        result.fill_(77.0)
    assert x.tolist() == before


@pytest.mark.parametrize("name", ["sum over nothing", "max of 0-d", "cumsum of 0-d", "gather of 0-d", "sort of 0-d"])
def test_reductions_of_0d_are_copies(name):
    x = tg.tensor(5.0)
    f = {
        "sum over nothing": lambda: x.sum(0),
        "max of 0-d": lambda: x.max(0).values,
        "cumsum of 0-d": lambda: x.cumsum(0),
        "gather of 0-d": lambda: x.gather(0, tg.tensor(0)),
        "sort of 0-d": lambda: x.sort().values,
    }[name]
    result = f()
    result.fill_(7.0)
    assert x.item() == 5.0


VIEWS = {
    "reshape": lambda x: x.reshape(4),
    "view": lambda x: x.view(4),
    "flatten": lambda x: x.flatten(),
    "squeeze": lambda x: x.reshape(1, 2, 2).squeeze(),
    "unsqueeze": lambda x: x.unsqueeze(0),
    "permute": lambda x: x.permute(1, 0),
    "transpose": lambda x: x.transpose(0, 1),
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "t": lambda x: x.t(),
    "movedim": lambda x: x.movedim(0, 1),
    "narrow": lambda x: x.narrow(0, 0, 1),
    "a row": lambda x: x[0],
    "an entry": lambda x: x[0, 1],
    "a slice": lambda x: x[:, 1:],
    "None": lambda x: x[None],
    "Ellipsis": lambda x: x[..., 0],
    "split": lambda x: x.split(1)[0],
    "chunk": lambda x: x.chunk(2)[1],
    "unbind": lambda x: x.unbind(1)[0],
    "unbind of a vector": lambda x: x.reshape(4).unbind()[2],
    "iteration": lambda x: next(iter(x)),
    "detach": lambda x: x.detach(),
}  # fmt: skip


@pytest.mark.parametrize("name", VIEWS)
def test_views_share_memory_and_version(name, torch):
    found = []
    for m in (tg, torch):
        x = m.tensor([[1.0, -2.0], [3.0, 4.0]])
        v = VIEWS[name](x)
        start = x._version
        v.add_(10)
        x.mul_(2)
        found.append((x.tolist(), v.tolist(), x._version - start, v._version == x._version))
    assert found[0] == found[1]


def test_versions_count_like_pytorch(torch):
    found = []
    for m in (tg, torch):
        x = m.zeros(3)
        counts = [x._version]
        for step in (
            lambda x: x.add_(1), lambda x: x.__setitem__(0, 2.0), lambda x: x[1:].mul_(2), lambda x: x.fill_(1),
            lambda x: x.copy_(x * 1), lambda x: x + 1, lambda x: x.clone().add_(1), lambda x: x.zero_(),
            lambda x: x.__iadd__(1), lambda x: x.detach().add_(1), lambda x: x.masked_fill_(x == 0, 2.0),
        ):  # fmt: skip
            step(x)
            counts.append(x._version)
        found.append(counts)
    assert found[0] == found[1]
