"""Changes to images before a net sees them, spelled like `torchvision.transforms`.

A NumPy array is a picture as it is stored: (H, W), (H, W, C) or a batch (N, H, W, C).  A Tensor is what nets take:
(H, W), (C, H, W) or a batch (N, C, H, W).  `ToTensor` leads from one to the other; every other transform takes both,
and gives back what it was given: an array for an array, a Tensor for a Tensor, of the same dtype.

Of a batch every image is changed on its own, by its own random numbers (torchvision changes all of a batch alike).
The random numbers come from the argument `generator` -- a Generator, or an int to start one from -- or else from the
generator that `manual_seed` seeds.  Several loader threads take them in no fixed order: what must be repeatable to
the bit wants `num_workers` 0 or 1.

>>> import numpy as np
>>> prepare = Compose([ToTensor(), Normalize((0.5,), (0.5,))])
>>> prepare(np.full((28, 28), 255, np.uint8)).shape
Size([1, 28, 28])
"""

from tinygrad_edu.transforms.conversion import Compose, Lambda, Normalize, ToTensor
from tinygrad_edu.transforms.geometry import RandomCrop, RandomHorizontalFlip, RandomRotation, RandomShift

__all__ = [
    "Compose",
    "Lambda",
    "Normalize",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomRotation",
    "RandomShift",
    "ToTensor",
]
