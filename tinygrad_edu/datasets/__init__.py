"""Data sets as `utils.data.Dataset`s: items are (image, label).

MNIST, FashionMNIST                          -- grey pictures 28 x 28, read from a folder or downloaded once
CIFAR10Subset, CIS581                        -- read from a folder
Digits                                       -- scikit-learn's, always there with it
LineImages, DetectionImages, RandomImages    -- pictures drawn by rule, any number of them
Moons, Spirals, XOR                          -- points in the plane
"""

from tinygrad_edu.datasets.cifar import CIFAR10Subset
from tinygrad_edu.datasets.cis581 import CIS581
from tinygrad_edu.datasets.digits import Digits
from tinygrad_edu.datasets.drawn import DetectionImages, LineImages, RandomImages
from tinygrad_edu.datasets.idx import read_idx
from tinygrad_edu.datasets.mnist import MNIST, FashionMNIST
from tinygrad_edu.datasets.points import XOR, Moons, Spirals

__all__ = [
    "CIS581",
    "MNIST",
    "XOR",
    "CIFAR10Subset",
    "DetectionImages",
    "Digits",
    "FashionMNIST",
    "LineImages",
    "Moons",
    "RandomImages",
    "Spirals",
    "read_idx",
]
