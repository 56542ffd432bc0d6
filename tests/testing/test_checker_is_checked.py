"""The checker is checked: with any of its parts broken on purpose, its tests fail."""

from __future__ import annotations

import numpy as np
import wrong_operations as wrong

from tinygrad_edu.testing import GradientError, cases, real, tied
from tinygrad_edu.testing.cases import Case, flat
from tinygrad_edu.testing.checking import proved

MUST_FAIL = (
    (wrong.ForgetsG, [real((2, 3))]),
    (wrong.Negative, [real((3,))]),
    (wrong.SlightlyOff, [real((3,))]),
    (wrong.LastEntryWrong, [real((3,))]),
    (wrong.NaNSomewhere, [real((3,))]),
    (wrong.ReversesG, [real((3,))]),
    (wrong.ForgetsTheSum, [real((4, 3)), real((3,))]),
    (wrong.TakesAllAtTies, [tied((3, 4))]),
)


def fails(op, arguments, names=()) -> bool:
    """Whether some case notices that an operation is wrong."""
    drawn = cases(op, *arguments)
    try:
        for seed in range(10):
            proved(drawn.sample((seed, 5)), names)
    except GradientError:
        return True
    return False


def missed() -> set[str]:
    """The wrong operations that no case notices."""
    return {op.__name__ for op, arguments in MUST_FAIL if not fails(op, arguments)}


def test_as_it_is_nothing_is_missed():
    assert missed() == set()


def use(monkeypatch, agree):
    """Another comparison, wherever it is used."""
    from tinygrad_edu.testing import conduct, laws, oracles, wrong

    for module in (conduct, laws, oracles, wrong):
        monkeypatch.setattr(module, "agree", agree)


def right(found, expected, tolerance):
    with np.errstate(invalid="ignore"):
        return np.abs(found - expected) <= tolerance


def test_comparing_the_forward_instead_of_the_gradient_is_noticed(monkeypatch):
    """What is compared with the slopes of the forward is computed from the forward: the rule is never asked."""

    def from_the_forward(self, us, xs=None):
        return self.split(self.slopes.pull(flat(us))[0])

    monkeypatch.setattr(Case, "vjp", from_the_forward)
    assert "Negative" in {op.__name__ for op, arguments in MUST_FAIL if not fails(op, arguments, ["gradient"])}
    assert fails(wrong.Negative, [real((3,))], ["adjoint"]), "the recorded gradient still comes from the rule"


def test_an_upstream_of_ones_is_noticed(monkeypatch):
    monkeypatch.setattr(Case, "us", lambda self, k=0: [np.ones_like(o) for o in self.outputs])
    assert "ReversesG" in missed()


def test_checking_one_entry_only_is_noticed(monkeypatch):
    def first_only(found, expected, tolerance):
        good = np.ones(np.broadcast_shapes(np.shape(found), np.shape(expected)), bool)
        if good.size:
            good.flat[0] = np.broadcast_to(right(found, expected, tolerance), good.shape).flat[0]
        return good

    use(monkeypatch, first_only)
    assert "LastEntryWrong" in missed()


def test_a_tolerance_scaled_by_the_gradient_is_noticed(monkeypatch):
    use(monkeypatch, lambda found, expected, tolerance: right(found, expected, tolerance + 1e-3 * np.abs(found)))
    assert "SlightlyOff" in missed()


def test_nan_equal_to_anything_is_noticed(monkeypatch):
    use(monkeypatch, lambda found, expected, tolerance: right(found, expected, tolerance) | np.isnan(found))
    assert "NaNSomewhere" in missed()
