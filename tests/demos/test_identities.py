"""The identities: as the engine reads them, and in numbers."""

import pytest

import tinygrad_edu as tg
from demos import identities


def test_the_engine_reads_the_identities(ran):
    found = ran("identities", data=False)
    assert found.code == 0
    assert list(found.numbers["readings"].values()) == [
        "ŷ * (1 - ŷ)",
        "ŷ - y",
        "2 * (ŷ - y) * ŷ * (1 - ŷ)",
        "(ŷ - y) * ŷ * (1 - ŷ)",
    ]
    assert "((1 - y) * 1 / (1 - ŷ) - y * 1 / ŷ) * ŷ * (1 - ŷ)" in found.page


def test_what_overflows_in_the_report_does_not_here(ran):
    assert ran("identities", data=False).numbers["slope at 710"] == ["nan", 0.0]


@pytest.mark.parametrize("name", identities.IDENTITIES)
def test_function_of_symbols_and_of_tensors_are_the_same(name):
    f, on_tensors, identity = identities.IDENTITIES[name]
    z = tg.tensor(0.7, dtype=tg.float64, requires_grad=True)
    y = tg.tensor(0.2, dtype=tg.float64)
    on_tensors(z, y).backward()
    symbols = tg.explain.symbol("z", value=0.7), tg.explain.symbol("y", value=0.2)
    assert f(*symbols[: f.__code__.co_argcount]).value == pytest.approx(on_tensors(z, y).item(), rel=1e-6)
    p = tg.sigmoid(z).item()
    assert z.grad.item() == pytest.approx(identity(p, 0.2), rel=1e-12)
