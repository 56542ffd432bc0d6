"""Data sets, samplers, collation."""

from collections import Counter, namedtuple

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.utils import data

Pair = namedtuple("Pair", ("x", "y"))


class Squares(data.Dataset):
    def __init__(self, n):
        self.n = n

    def __getitem__(self, i):
        if not 0 <= i < self.n:
            raise IndexError(i)
        return tg.tensor(float(i)), i * i

    def __len__(self):
        return self.n


def test_tensor_dataset():
    rows = data.TensorDataset(tg.arange(6).reshape(3, 2), tg.tensor([7, 8, 9]))
    assert len(rows) == 3
    x, y = rows[-1]
    assert (x.tolist(), y.item()) == ([4, 5], 9)
    assert rows[0:2][1].tolist() == [7, 8]
    with pytest.raises(AssertionError, match="Size mismatch"):
        data.TensorDataset(tg.zeros(3), tg.zeros(4))
    with pytest.raises(AssertionError, match="Size mismatch"):
        data.TensorDataset(tg.tensor(1.0))
    with pytest.raises(TypeError, match="must be Tensor"):
        data.TensorDataset(np.zeros(3))


def test_subset_concat_and_chain():
    part = data.Subset(Squares(10), [2, 4, 6])
    assert [part[i][1] for i in range(len(part))] == [4, 16, 36]
    both = part + Squares(3)
    assert len(both) == 6
    assert [both[i][1] for i in range(-6, 0)] == [4, 16, 36, 0, 1, 4]
    with pytest.raises(ValueError, match="out of range"):
        both[6]
    with pytest.raises(AssertionError, match="empty"):
        data.ConcatDataset([])

    class Count(data.IterableDataset):
        def __iter__(self):
            return iter(range(3))

    assert list(Count() + Count()) == [0, 1, 2, 0, 1, 2]
    with pytest.raises(AssertionError, match="ChainDataset"):
        data.ConcatDataset([Count()])
    with pytest.raises(NotImplementedError):
        data.Dataset()[0]


def test_random_split():
    a, b = data.random_split(Squares(10), [7, 3], generator=tg.Generator().manual_seed(1))
    assert (len(a), len(b)) == (7, 3)
    assert sorted(a.indices + b.indices) == list(range(10))
    again = data.random_split(Squares(10), [7, 3], generator=tg.Generator().manual_seed(1))
    assert [p.indices for p in again] == [a.indices, b.indices]
    assert [len(p) for p in data.random_split(range(11), [0.5, 0.25, 0.25])] == [6, 3, 2]
    with pytest.raises(ValueError, match="Sum of input lengths"):
        data.random_split(range(10), [7, 4])
    with pytest.raises(ValueError, match="not between 0 and 1"):
        data.random_split(range(10), [1.5, -0.5])
    with pytest.warns(UserWarning, match="is 0"):
        data.random_split(range(1), [0.5, 0.5])


def test_random_sampler():
    sampler = data.RandomSampler(range(20))
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second
    tg.manual_seed(0)
    a = list(sampler)
    tg.manual_seed(0)
    assert list(sampler) == a
    generator = tg.Generator().manual_seed(2)
    one, two = (
        list(data.RandomSampler(range(20), generator=generator)),
        list(data.RandomSampler(range(20), generator=generator)),
    )
    assert one != two
    assert len(list(data.RandomSampler(range(5), num_samples=12))) == 12
    assert Counter(list(data.RandomSampler(range(5), num_samples=10))) == dict.fromkeys(range(5), 2)
    drawn = list(data.RandomSampler(range(3), replacement=True, num_samples=300))
    assert set(drawn) == {0, 1, 2}
    with pytest.raises(ValueError, match="positive integer"):
        data.RandomSampler(range(3), num_samples=0)
    with pytest.raises(TypeError, match="boolean"):
        data.RandomSampler(range(3), replacement=1)


def test_weighted_and_subset_samplers():
    drawn = Counter(data.WeightedRandomSampler([0.0, 1.0, 3.0], 4000))
    assert 0 not in drawn
    assert drawn[2] / drawn[1] == pytest.approx(3, rel=0.15)
    assert sorted(data.WeightedRandomSampler([1.0, 1.0, 3.0], 3, replacement=False)) == [0, 1, 2]
    assert sorted(data.SubsetRandomSampler([3, 5, 8])) == [3, 5, 8]
    assert len(data.SubsetRandomSampler([3, 5, 8])) == 3
    with pytest.raises(ValueError, match="num_samples"):
        data.WeightedRandomSampler([1.0], -1)
    with pytest.raises(ValueError, match="1d"):
        data.WeightedRandomSampler([[1.0]], 1)


def test_batch_sampler():
    assert list(data.BatchSampler(data.SequentialSampler(range(5)), 2, True)) == [[0, 1], [2, 3]]
    assert len(data.BatchSampler(range(5), 2, True)) == 2
    assert len(data.BatchSampler(range(5), 2, False)) == 3
    with pytest.raises(ValueError, match="batch_size"):
        data.BatchSampler(range(5), 0, True)
    with pytest.raises(ValueError, match="drop_last"):
        data.BatchSampler(range(5), 2, 1)


def test_collate_of_everything():
    sample = {
        "t": tg.ones(2),
        "a": np.arange(3.0),
        "n": np.float32(1.5),
        "i": 3,
        "f": 0.5,
        "b": True,
        "s": "x",
        "p": Pair(1, (2.0, tg.zeros(()))),
        "l": [1, 2],
    }
    out = data.default_collate([sample, sample])
    assert out["t"].shape == (2, 2)
    assert (out["a"].shape, out["a"].dtype) == ((2, 3), tg.float64)
    assert (out["n"].tolist(), out["n"].dtype) == ([1.5, 1.5], tg.float32)
    assert out["i"].dtype == tg.int64
    assert out["f"].dtype == tg.float64
    assert out["b"].dtype == tg.bool
    assert out["s"] == ["x", "x"]
    assert isinstance(out["p"], Pair)
    assert isinstance(out["p"].y, list)
    assert out["p"].y[1].shape == (2,)
    assert [t.tolist() for t in out["l"]] == [[1, 1], [2, 2]]


def test_what_cannot_be_collated():
    with pytest.raises(RuntimeError, match="equal size"):
        data.default_collate([[1, 2], [1]])
    with pytest.raises(RuntimeError, match="equal size"):
        data.default_collate([tg.zeros(2), tg.zeros(3)])
    with pytest.raises(TypeError, match="found object"):
        data.default_collate([object()])


def test_convert():
    out = data.default_convert({"a": np.zeros(2), "s": "x", "l": (np.ones(1), None), "p": Pair(np.zeros(1), 2)})
    assert out["a"].shape == (2,)
    assert out["s"] == "x"
    assert out["l"][0].tolist() == [1]
    assert out["p"].x.tolist() == [0]


def test_collate_beside_pytorch(torch):
    def show(value):
        if isinstance(value, dict):
            return {k: show(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value).__name__, [show(v) for v in value]
        return (str(value.dtype).removeprefix("torch."), value.tolist()) if hasattr(value, "dtype") else value

    def batch(lib):
        return [(lib.tensor([1.0, i]), {"y": i, "z": [float(i), "s"]}, np.arange(2) * i, Pair(i, 2)) for i in range(3)]

    ours, theirs = show(data.default_collate(batch(tg))), show(torch.utils.data.default_collate(batch(torch)))
    assert ours == theirs
