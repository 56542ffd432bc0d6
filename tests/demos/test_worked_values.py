"""The worked values: every number of the table, what is read by the engine, and backpropagation as matrices."""

import numpy as np

import tinygrad_edu as tg
from demos import worked_values
from demos.report import Report
from tinygrad_edu import viz


def test_every_value_to_nine_digits(ran):
    found = ran("worked_values", data=False)
    assert found.code == 0
    assert len(found.numbers) == len(worked_values.TABLE) + 1
    for name, (exact, _, _) in worked_values.TABLE.items():
        np.testing.assert_allclose(found.numbers[name], np.array(exact.split(), float), rtol=1e-9, atol=0, err_msg=name)


def test_the_jacobian_is_that_of_the_closed_form(ran):
    found = ran("worked_values", data=False).numbers
    p = np.array(found["softmax of z = (1, 2, 3)"])
    rows = [found[f"Jacobian of softmax, row {k}"] for k in (1, 2, 3)]
    np.testing.assert_allclose(rows, np.diag(p) - np.outer(p, p), rtol=1e-12)


def test_where_the_report_slipped_the_engine_reads_the_rule(ran):
    assert ran("worked_values", data=False).numbers["readings"] == [
        "lam * w / m + (ŷ - y) * x / m",
        "-g * y - exp(log_softmax(z)) * sum(-g * y)",
        "(1 - y) / (1 - a) - y / a",
        "y / a ** 2 + (1 - y) / (1 - a) ** 2",
    ]


def test_a_wrong_slope_does_not_pass_as_backpropagation():
    assert worked_values.by_hand(tg.sigmoid, lambda a: a * (1 - a)) < 1e-14
    assert worked_values.by_hand(tg.sigmoid, lambda a: a) > 1e-3


def test_a_wrong_digit_is_seen(tmp_path):
    report = Report("any", viz.Page("title"), tmp_path)
    for exact in ("2.302585093", "2.30258510", "0"):
        report.compare({"a": 2.302585093}, {"a": (exact, "", "")})
    assert [bar["met"] for bar in report.bars] == [True, False, False]
