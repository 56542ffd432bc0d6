"""One way to draw: a strategy is a function of choices, and hypothesis or a seeded generator makes the choices.

@strategy
def vectors(choices, longest):
    return choices.array([0.0, 1.0, -1.0], (choices.integer(0, longest),))

vectors(3).sample(seed=1)     # a seeded example: nothing but NumPy
vectors(3).strategy()         # a hypothesis strategy: its failures shrink
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

import numpy as np

T = TypeVar("T")
U = TypeVar("U")
P = ParamSpec("P")

TRIES = 1000


class Choices(Protocol):
    """What strategies are made of.  The first option, and the number nearest to 0, is what failures shrink to."""

    def integer(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        ...

    def pick(self, options: Sequence[T]) -> T:
        """One of several."""
        ...

    def order(self, count: int) -> list[int]:
        """The numbers below count in some order."""
        ...

    def array(self, options: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray:
        """An array whose entries are among the options."""
        ...

    def boolean(self) -> bool:
        """False or true."""
        ...

    def draw(self, strategy: Strategy[T] | T) -> T:
        """A value of another strategy; anything else is given back."""
        ...


class Seeded:
    """Choices made by a NumPy generator: the same seed, the same choices."""

    def __init__(self, seed: Any) -> None:
        self.rng = np.random.default_rng(seed)

    def integer(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high, endpoint=True))

    def pick(self, options: Sequence[T]) -> T:
        return options[self.integer(0, len(options) - 1)]

    def order(self, count: int) -> list[int]:
        return self.rng.permutation(count).tolist()

    def array(self, options: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray:
        known = np.asarray(options)
        if 0 in shape:
            return known[:0].reshape(shape)
        return np.asarray(known[self.rng.integers(0, len(known), size=shape)])

    def boolean(self) -> bool:
        return self.integer(0, 1) == 1

    def draw(self, strategy: Any) -> Any:
        return strategy.build(self) if isinstance(strategy, Strategy) else strategy


class Shrinking:
    """Choices made by hypothesis, through the `draw` of a composite strategy."""

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        from hypothesis import strategies
        from hypothesis.extra import numpy

        self._draw, self._st, self._numpy = draw, strategies, numpy

    def integer(self, low: int, high: int) -> int:
        return self._draw(self._st.integers(low, high))

    def pick(self, options: Sequence[T]) -> T:
        return self._draw(self._st.sampled_from(options))

    def order(self, count: int) -> list[int]:
        return self._draw(self._st.permutations(range(count)))

    def array(self, options: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray:
        dtype = np.asarray(options).dtype
        found = self._st.sampled_from(np.asarray(options).tolist())
        return self._draw(self._numpy.arrays(dtype, shape, elements=found, fill=self._st.nothing()))

    def boolean(self) -> bool:
        return self._draw(self._st.booleans())

    def draw(self, strategy: Any) -> Any:
        return strategy.build(self) if isinstance(strategy, Strategy) else strategy


class Strategy(Generic[T]):
    """A way to draw values: from a seed with `sample`, or as a hypothesis strategy with `strategy`."""

    def __init__(self, build: Callable[[Choices], T], name: str = "strategy") -> None:
        self.build = build
        self.name = name

    def __repr__(self) -> str:
        return self.name

    def sample(self, seed: Any = 0) -> T:
        """The value that belongs to a seed (anything `numpy.random.default_rng` takes)."""
        return self.build(Seeded(seed))

    def strategy(self) -> Any:
        """The same as a hypothesis strategy; hypothesis must be installed."""
        return _composite()(self.build)

    def map(self, f: Callable[[T], U]) -> Strategy[U]:
        """f of each value."""
        return Strategy(lambda choices: f(self.build(choices)), f"{self.name}.map(...)")

    def filter(self, holds: Callable[[T], bool]) -> Strategy[T]:
        """Only values for which `holds` is true; they must not be rare."""

        def build(choices: Choices) -> T:
            for _ in range(TRIES):
                value = self.build(choices)
                if holds(value):
                    return value
            raise ValueError(f"none of {TRIES} values of {self.name} passed the filter: draw them in another way")

        return Strategy(build, f"{self.name}.filter(...)")


@functools.cache
def _composite() -> Any:
    from hypothesis import strategies

    @strategies.composite
    def drawn(draw: Any, build: Any) -> Any:
        return build(Shrinking(draw))

    return drawn


def strategy(build: Callable[..., T]) -> Callable[..., Strategy[T]]:
    """Make `build(choices, *settings)` a function of the settings alone, that gives a strategy."""

    @functools.wraps(build)
    def made(*args: Any, **settings: Any) -> Strategy[T]:
        given = [*map(repr, args), *(f"{name}={value!r}" for name, value in settings.items())]
        return Strategy(lambda choices: build(choices, *args, **settings), f"{build.__name__}({', '.join(given)})")

    return made


def hypothesis_is_installed() -> bool:
    """Whether cases can be shrunk."""
    return importlib.util.find_spec("hypothesis") is not None
