"""`DataLoader`: batches of a data set, in order or shuffled, made here or ahead of time by threads."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinygrad_edu.engine.mode import current, switched
from tinygrad_edu.functions.randomness import Generator
from tinygrad_edu.utils.data.collate import default_collate, default_convert
from tinygrad_edu.utils.data.dataset import IterableDataset, gather
from tinygrad_edu.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler

if TYPE_CHECKING:
    from concurrent.futures import Future

_END = object()
_worker = threading.local()


@dataclass(frozen=True)
class WorkerInfo:
    """Which worker thread this is: id, out of num_workers, of which data set."""

    id: int
    num_workers: int
    dataset: Any


def get_worker_info() -> WorkerInfo | None:
    """Which worker thread of a DataLoader is running this; None in any other thread."""
    return getattr(_worker, "info", None)


class DataLoader:
    """Iterate over batches of a data set; each `for` starts anew, in another order when shuffled.

    batch_size, shuffle, drop_last  -- or a `sampler` of indices, or a `batch_sampler` of lists of indices
    batch_size=None                 -- single samples, not batched
    collate_fn                      -- makes a batch of a list of samples
    num_workers                     -- threads that prepare batches ahead: the same batches in the same order; an error
                                       in a worker is raised here.  A data set that streams is read by one thread.
    timeout                         -- seconds to wait for a batch of a worker, then RuntimeError; 0: for ever
    generator                       -- where the random order comes from

    Raises ValueError for arguments that contradict each other.

    >>> import tinygrad_edu as tg
    >>> data = tg.utils.data.TensorDataset(tg.arange(5))
    >>> [x.tolist() for x, in tg.utils.data.DataLoader(data, batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_workers(num_workers, timeout, multiprocessing_context, prefetch_factor, persistent_workers)
        streams = isinstance(dataset, IterableDataset)
        if not streams and not hasattr(dataset, "__getitem__"):
            raise TypeError(
                f"DataLoader needs a data set: an object with __getitem__ and __len__, such as a TensorDataset or a "
                f"list of samples, not {type(dataset).__name__}"
            )
        _check_sampling(streams, batch_size, shuffle, sampler, batch_sampler, drop_last)
        if batch_sampler is not None:
            batch_size, drop_last = None, False
        elif not streams and sampler is None:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        batched = batch_sampler is not None or batch_size is not None
        if batch_size is not None and not streams:
            batch_sampler = BatchSampler(sampler or (), batch_size, drop_last)
        elif batch_size is not None:
            BatchSampler((), batch_size, drop_last)
        self.dataset, self.batch_size, self.drop_last = dataset, batch_size, drop_last
        self.sampler, self.batch_sampler, self.generator = sampler, batch_sampler, generator
        self.num_workers, self.timeout, self.worker_init_fn = num_workers, timeout, worker_init_fn
        self.pin_memory, self.persistent_workers = pin_memory, persistent_workers
        self.prefetch_factor = prefetch_factor or (2 if num_workers else None)
        self.collate_fn = collate_fn or (default_collate if batched else default_convert)

    def __len__(self) -> int:
        if isinstance(self.dataset, IterableDataset):
            count = len(self.dataset)  # type: ignore[arg-type]
            if self.batch_size is None:
                return count
            return count // self.batch_size if self.drop_last else -(-count // self.batch_size)
        return len(self.batch_sampler if self.batch_sampler is not None else self.sampler)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        return _ahead(self) if self.num_workers else _here(self)

    def _requests(self) -> Iterator[Any]:
        """What each batch is made of: indices, one index, or (of a stream) the samples themselves."""
        if not isinstance(self.dataset, IterableDataset):
            return iter(self.batch_sampler if self.batch_sampler is not None else self.sampler or ())
        if self.batch_size is None:
            return iter(self.dataset)
        return iter(BatchSampler(self.dataset, self.batch_size, self.drop_last))

    def _batch(self, request: Any) -> Any:
        """Fetch what was asked for, and collate it."""
        if isinstance(self.dataset, IterableDataset):
            return self.collate_fn(request)
        if self.batch_sampler is None:
            return self.collate_fn(self.dataset[request])
        if self.collate_fn is default_collate:
            whole = gather(self.dataset, request)
            if whole is not None:
                return whole
        if hasattr(self.dataset, "__getitems__"):
            return self.collate_fn(self.dataset.__getitems__(request))
        return self.collate_fn([self.dataset[i] for i in request])


def _unrecorded(function: Callable[..., Any], *args: Any) -> Any:
    """A batch is an input of a program being recorded, not a part of it."""
    if current.get().recorder is None:
        return function(*args)
    with switched(recorder=None):
        return function(*args)


def _here(loader: DataLoader) -> Iterator[Any]:
    """Batches made when they are asked for."""
    requests = _unrecorded(loader._requests)
    while (request := _unrecorded(next, requests, _END)) is not _END:
        yield _unrecorded(loader._batch, request)


class _Pool:
    """Threads that know which worker they are."""

    def __init__(self, loader: DataLoader, count: int) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self.loader = loader
        self.count = count
        self.numbers = itertools.count()
        self.executor = ThreadPoolExecutor(count, thread_name_prefix="DataLoader")

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Let a thread call the function."""
        return self.executor.submit(self._work, function, *args)

    def _work(self, function: Callable[..., Any], *args: Any) -> Any:
        if get_worker_info() is None:
            info = WorkerInfo(next(self.numbers), self.count, self.loader.dataset)
            if self.loader.worker_init_fn is not None:
                self.loader.worker_init_fn(info.id)
            _worker.info = info
        return function(*args)

    def result(self, future: Future[Any]) -> Any:
        """Wait for a batch; an error of the worker is raised here."""
        try:
            return future.result(self.loader.timeout or None)
        except TimeoutError as error:
            if future.done():
                raise
            raise RuntimeError(f"DataLoader timed out after {self.loader.timeout} seconds") from error


def _ahead(loader: DataLoader) -> Iterator[Any]:
    """Batches made by threads, in the order they were asked for."""
    streams = isinstance(loader.dataset, IterableDataset)
    pool = _Pool(loader, 1 if streams else loader.num_workers)
    waiting: deque[Future[Any]] = deque()
    requests = iter(()) if streams else _unrecorded(loader._requests)
    stream: list[Iterator[Any]] = []

    def read() -> Any:
        """The next batch of a stream; its single thread keeps the order."""
        if not stream:
            stream.append(loader._requests())
        request = next(stream[0], _END)
        return _END if request is _END else loader._batch(request)

    def ask() -> None:
        """Order one more batch, if there is one."""
        if streams:
            waiting.append(pool.submit(read))
        elif (request := _unrecorded(next, requests, _END)) is not _END:
            waiting.append(pool.submit(loader._batch, request))

    try:
        for _ in range(pool.count * (loader.prefetch_factor or 2)):
            ask()
        while waiting:
            batch = pool.result(waiting.popleft())
            if batch is _END:
                return
            ask()
            yield batch
    finally:
        pool.executor.shutdown(wait=False, cancel_futures=True)


def _check_workers(num_workers: int, timeout: float, context: Any, prefetch: int | None, persistent: bool) -> None:
    if num_workers < 0:
        raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable prefetching.")
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if context is not None:
        raise ValueError("multiprocessing_context is not supported: workers are threads of this process")
    if num_workers == 0 and prefetch is not None:
        raise ValueError("prefetch_factor option could only be specified when num_workers > 0")
    if prefetch is not None and prefetch < 1:
        raise ValueError("prefetch_factor option should be positive")
    if persistent and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_sampling(
    streams: bool,
    batch_size: int | None,
    shuffle: bool | None,
    sampler: Any,
    batch_sampler: Any,
    drop_last: bool,
) -> None:
    if streams and (shuffle or sampler is not None or batch_sampler is not None):
        raise ValueError(
            "DataLoader with IterableDataset: expected unspecified shuffle, sampler and batch_sampler options: a "
            "stream comes in its own order"
        )
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
        raise ValueError("batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last")
    if batch_size is None and drop_last:
        raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
