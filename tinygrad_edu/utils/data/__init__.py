"""Data sets, samplers and the loader that makes batches of them, spelled like `torch.utils.data`."""

from tinygrad_edu.utils.data.collate import default_collate, default_convert
from tinygrad_edu.utils.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)
from tinygrad_edu.utils.data.loader import DataLoader, get_worker_info
from tinygrad_edu.utils.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
