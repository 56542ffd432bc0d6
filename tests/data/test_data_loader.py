"""DataLoader: batches, order, the fast path, threads, errors, and what PyTorch's does."""

import inspect
import threading
import time

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.utils import data
from tinygrad_edu.utils.data import DataLoader


def rows(n=10):
    return data.TensorDataset(tg.arange(2 * n).reshape(n, 2).float(), tg.arange(n))


class Plain(data.Dataset):
    """The same rows without the fast path."""

    def __init__(self, inner):
        self.inner = inner

    def __getitem__(self, i):
        return self.inner[i]

    def __len__(self):
        return len(self.inner)


class Stream(data.IterableDataset):
    def __init__(self, n=7):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))


def shown(loader):
    return [[t.tolist() for t in batch] for batch in loader]


def test_batches_in_order():
    loader = DataLoader(rows(5), batch_size=2)
    assert shown(loader) == [
        [[[0, 1], [2, 3]], [0, 1]],
        [[[4, 5], [6, 7]], [2, 3]],
        [[[8, 9]], [4]],
    ]
    assert len(loader) == 3
    assert shown(loader) == shown(loader)
    assert len(DataLoader(rows(5), 2, drop_last=True)) == len(list(DataLoader(rows(5), 2, drop_last=True))) == 2


@pytest.mark.parametrize("options", [
    {}, {"batch_size": 3}, {"batch_size": 3, "shuffle": True}, {"batch_size": 4, "drop_last": True},
    {"sampler": [3, 1, 1, -1], "batch_size": 3}, {"batch_sampler": [[0, 5], [2]]},
    {"sampler": data.SubsetRandomSampler([1, 2, 3], generator=None), "batch_size": 2},
])  # fmt: skip
@pytest.mark.parametrize("subset", [False, True])
@pytest.mark.parametrize("workers", [0, 3])
def test_the_fast_path_and_threads_give_the_same_batches(options, subset, workers):
    found = []
    for wrap, count in ((lambda d: d, workers), (Plain, 0)):
        tg.manual_seed(4)
        dataset = wrap(rows())
        if subset:
            dataset = data.Subset(data.Subset(dataset, [9, 8, 7, 6, 5, 4, 3]), [6, 0, 1, 2, 3, 4])
        found.append(shown(DataLoader(dataset, num_workers=count, **options)))
    assert found[0] == found[1]


def test_batches_do_not_share_memory_with_the_data():
    dataset = rows()
    for x, _ in DataLoader(dataset, batch_size=4):
        x.zero_()
    assert dataset.tensors[0].sum().item() == 190


def test_the_fast_path_is_left_for_a_getitem_of_ones_own():
    class Noisy(data.TensorDataset):
        def __getitem__(self, i):
            x, y = super().__getitem__(i)
            return x + 100, y

    ((x, _),) = DataLoader(Noisy(tg.zeros(2, 1), tg.zeros(2)), batch_size=2)
    assert x.tolist() == [[100], [100]]


def test_gradients_flow_through_batches():
    w = tg.ones(4, requires_grad=True)
    for (x,) in DataLoader(data.TensorDataset(w), batch_size=3):
        (x * x).sum().backward()
    assert w.grad.tolist() == [2, 2, 2, 2]


def test_shuffling_follows_the_seed():
    loader = DataLoader(rows(), batch_size=3, shuffle=True)
    tg.manual_seed(1)
    first, second = shown(loader), shown(loader)
    tg.manual_seed(1)
    assert shown(loader) == first
    assert first != second
    assert sorted(y for _, ys in first for y in ys) == list(range(10))
    by_generator = [shown(DataLoader(rows(), shuffle=True, generator=tg.Generator().manual_seed(3))) for _ in range(2)]
    assert by_generator[0] == by_generator[1]


def test_collate_fn_and_single_samples():
    loader = DataLoader(rows(4), batch_size=2, collate_fn=lambda samples: [y.item() for _, y in samples])
    assert list(loader) == [[0, 1], [2, 3]]
    single = DataLoader(rows(3), batch_size=None)
    assert [y.item() for _, y in single] == [0, 1, 2]
    assert len(single) == 3


@pytest.mark.parametrize("workers", [0, 2])
def test_streams(workers):
    assert [b.tolist() for b in DataLoader(Stream(), batch_size=3, num_workers=workers)] == [[0, 1, 2], [3, 4, 5], [6]]
    kept = DataLoader(Stream(), batch_size=3, drop_last=True, num_workers=workers)
    assert [b.tolist() for b in kept] == [[0, 1, 2], [3, 4, 5]]
    assert list(DataLoader(Stream(), batch_size=None, num_workers=workers)) == list(range(7))
    with pytest.raises(TypeError):
        len(DataLoader(Stream()))


def test_getitems_fetches_a_batch_at_once():
    class Bulk(Plain):
        def __getitems__(self, indices):
            return [(i, i * 10) for i in indices]

    assert shown(DataLoader(Bulk(rows(4)), batch_size=2)) == [[[0, 1], [0, 10]], [[2, 3], [20, 30]]]


class Waiting(Plain):
    """Even items take longer than odd ones, and all remember their thread."""

    def __getitem__(self, i):
        time.sleep(0.01 if i % 2 == 0 else 0)
        self.__dict__.setdefault("threads", set()).add(threading.current_thread().name)
        return self.inner[i]


def test_threads_keep_the_order_and_do_the_work():
    dataset = Waiting(rows(16))
    loader = DataLoader(dataset, batch_size=1, num_workers=4)
    assert [y.item() for _, y in loader] == list(range(16))
    assert all(name.startswith("DataLoader") for name in dataset.threads)
    assert len(dataset.threads) > 1


@pytest.mark.parametrize("workers", [0, 3])
def test_an_error_of_a_worker_is_raised_in_its_turn(workers):
    class Broken(Plain):
        def __getitem__(self, i):
            if i == 5:
                raise KeyError("item 5 is broken")
            return self.inner[i]

    iterator = iter(DataLoader(Broken(rows()), num_workers=workers))
    assert [next(iterator)[1].item() for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(KeyError, match="item 5 is broken"):
        next(iterator)


def test_a_loop_can_be_left():
    iterator = iter(DataLoader(Waiting(rows(100)), num_workers=2))
    next(iterator)
    iterator.close()
    deadline = time.monotonic() + 5
    while (
        left := [t for t in threading.enumerate() if t.name.startswith("DataLoader")]
    ) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not left


def test_workers_know_who_they_are():
    seen, started = set(), []

    class Asks(Plain):
        def __getitem__(self, i):
            info = data.get_worker_info()
            seen.add((info.id, info.num_workers, info.dataset is self))
            time.sleep(0.005)
            return self.inner[i]

    list(DataLoader(Asks(rows(12)), num_workers=2, worker_init_fn=started.append))
    assert sorted(started) == [0, 1]
    assert seen == {(0, 2, True), (1, 2, True)}
    assert data.get_worker_info() is None


def test_an_error_in_worker_init_is_raised():
    def fail(worker):
        raise OSError("no such camera")

    with pytest.raises(OSError, match="camera"):
        next(iter(DataLoader(rows(), num_workers=1, worker_init_fn=fail)))


def test_timeout():
    event = threading.Event()

    class Stuck(Plain):
        def __getitem__(self, i):
            event.wait(10)
            return self.inner[i]

    class Late(Plain):
        def __getitem__(self, i):
            raise TimeoutError("the disk does not answer")

    with pytest.raises(TimeoutError, match="disk"):
        next(iter(DataLoader(Late(rows()), num_workers=1, timeout=5)))
    try:
        with pytest.raises(RuntimeError, match=r"timed out after 0\.05"):
            next(iter(DataLoader(Stuck(rows()), num_workers=1, timeout=0.05)))
    finally:
        event.set()


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("make", [rows, lambda: Plain(rows())])
def test_batches_are_inputs_of_a_program(make, workers):
    w = tg.ones(2, requires_grad=True)
    batches = iter(DataLoader(make(), batch_size=4, shuffle=True, num_workers=workers))
    with tg.record() as program:
        x, _ = next(batches)
        loss = (x @ w).sum()
        loss.backward()
    assert {line.op for line in program.instructions} <= {"matmul", "reshape", "sum", "expand", "mT", "mul", "copy"}
    other = next(batches)[0]
    assert program.run(x=other).loss == pytest.approx((other @ w).sum().item())


ERRORS = {
    "negative workers": {"num_workers": -1},
    "negative timeout": {"timeout": -1},
    "prefetch without workers": {"prefetch_factor": 2},
    "prefetch": {"prefetch_factor": -2, "num_workers": 1},
    "persistent": {"persistent_workers": True},
    "sampler and shuffle": {"sampler": [0], "shuffle": True},
    "batch_sampler and batch_size": {"batch_sampler": [[0]], "batch_size": 2},
    "batch_sampler and drop_last": {"batch_sampler": [[0]], "drop_last": True},
    "drop_last of singles": {"batch_size": None, "drop_last": True},
    "batch size": {"batch_size": 0},
    "context": {"multiprocessing_context": "fork"},
}


def test_what_is_no_data_set_is_refused():
    with pytest.raises(TypeError, match=r"DataLoader needs a data set: .* not int"):
        DataLoader(5)


@pytest.mark.parametrize("what", ERRORS)
def test_contradictions_are_refused_as_in_pytorch(torch, what):
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - whatever PyTorch raises
        torch.utils.data.DataLoader([1, 2], **ERRORS[what])
    with pytest.raises(theirs.type) as ours:
        DataLoader([1, 2], **ERRORS[what])
    assert len(str(ours.value)) > 20


@pytest.mark.parametrize("options", [{"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}, {"batch_size": -1}])
def test_streams_have_their_own_order(options):
    with pytest.raises(ValueError, match=r"IterableDataset|batch_size"):
        DataLoader(Stream(), **options)


def test_constructors_take_the_same_arguments(torch):
    names = ["DataLoader", "RandomSampler", "WeightedRandomSampler", "BatchSampler", "Subset", "ConcatDataset",
             "SubsetRandomSampler", "TensorDataset"]  # fmt: skip
    for name in names:
        ours, theirs = (inspect.signature(getattr(m, name)).parameters for m in (data, torch.utils.data))
        assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()], name


def test_batches_beside_pytorch(torch):
    x, y = np.random.normal(size=(11, 3)), np.arange(11)
    for options in ({"batch_size": 4}, {"batch_size": 4, "drop_last": True}, {"batch_sampler": [[3, 1], [0]]}):
        batches = []
        for lib in (tg, torch):
            dataset = lib.utils.data.TensorDataset(lib.tensor(x), lib.tensor(y))
            batches.append([[t.numpy() for t in b] for b in lib.utils.data.DataLoader(dataset, **options)])
        assert len(batches[0]) == len(batches[1])
        for ours, theirs in zip(*batches, strict=True):
            for a, b in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(a, b)
                assert a.dtype == b.dtype
