"""The three small sets of black and white pictures of a course in computer vision."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tinygrad_edu.datasets.base import Rows
from tinygrad_edu.datasets.drawn import DETECTION, LINE, RANDOM
from tinygrad_edu.datasets.places import Known, first_with, known_bytes


class CIS581(Rows):
    """64 black and white pictures of the fourth assignment of CIS 581 (University of Pennsylvania), and their labels.

    kind -- "random":    4 x 4, bits without a rule, 11 of the 64 labelled 1
            "line":      16 x 16, a vertical bar and a square; label 1 when the square is left of the bar
            "detection": 16 x 16, a diamond (0) or a square (1), and its half width r in 1..7
    root -- the folder that has `cis581-p4` in it; else the one the environment variable `TINYGRAD_EDU_DATA` names;
            else the first default place that has it (see `datasets.places`)

    Item i is (image, label), with "detection" (image, label, width): a float32 Tensor (1, H, W) of 0 and 1, and ints.
    `images` (64, 1, H, W), `targets` and (with "detection", else None) `widths` (64,) int64 hold all of them.

    `RandomImages`, `LineImages` and `DetectionImages` draw more of the same, without any file.

    Raises ValueError for another kind, and for files that are damaged or other ones; RuntimeError where they are
    missing.
    """

    folder = "cis581-p4"
    kinds: ClassVar[dict[str, tuple[str, str]]] = {"random": RANDOM, "line": LINE, "detection": DETECTION}
    resources: ClassVar[dict[str, Known]] = {
        "random_imgs": Known(8272, "a671e6e9e57f89e41d768a4c2da6038a3706383467da267d607afc3583fd4a12"),
        "random_labs": Known(592, "420a533486ac6e58964c2c09f4e2d6531174e5f3d8f3e61d40ac9c15e3632cf7"),
        "line_imgs": Known(131152, "9d8d09f61820711abc2a0db5cb5d4f4d5a0424c269d60949bacbc29dbc4c5a05"),
        "line_labs": Known(592, "2b65647ee1af1e154539d4b25c8146b9040ac15ee520613e6598d713855b12a2"),
        "detection_imgs": Known(131152, "a750b95934a620757ff4399f01012ea089feec4b8df8530bd1e1390c54cbccfd"),
        "detection_labs": Known(592, "8d32857fd713faa01397ed9b867d34d1a21d441c76e5c75f378920184ad493af"),
        "detection_width": Known(592, "351e417718a42d70a8bbb68b178df19e245bcfef722d6bfc296df80cebb43b20"),
    }

    def __init__(
        self,
        kind: str,
        root: str | os.PathLike[str] | None = None,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        if kind not in self.kinds:
            raise ValueError(f"CIS581: kind must be one of {', '.join(self.kinds)}, not {kind!r}")
        self.kind = kind
        self.classes = self.kinds[kind]
        names = [name for name in self.resources if name.startswith(f"{kind}_")]
        self.location = first_with(root, self.folder, [f"{name}.npy" for name in names], f"CIS581({kind!r})")
        images, *numbers = (_array(self.location / f"{name}.npy", self.resources[name]) for name in names)
        super().__init__(transform, images[:, None].astype(np.float32), *(n.astype(np.int64) for n in numbers))
        self.images, self.targets = self.tensors()[:2]
        self.widths = self.tensors()[2] if kind == "detection" else None

    def extra_repr(self) -> list[str]:
        """Which of the three it is, and where it comes from."""
        return [f"Kind: {self.kind}", f"Location: {self.location}"]


def _array(path: Path, known: Known) -> np.ndarray:
    return np.load(io.BytesIO(known_bytes(path, known)), allow_pickle=False)
