"""An operation of one's own: what the kit says of it, and that the engine is left as it was."""

from demos import swish
from tinygrad_edu.engine.primitive import registry


def test_checked_graded_drawn_and_recorded(ran):
    done = ran("my_own_op", data=False)
    assert done.code == 0
    assert len(done.bars) == 2
    assert "the gradient of swish is wrong for beta" in done.numbers["diagnosis"]
    assert "was a sign flipped?" in done.numbers["diagnosis"]
    assert 0 < done.numbers["at_zero"]["score"] < done.numbers["by_differences"]["score"] < 1
    assert "registry['swish'](x, beta)" in done.numbers["source"]
    assert "dC/dbeta = g * x * z * (1 - σ(beta * x))" in done.page
    assert "swish" in (done.out / "my_own_op.svg").read_text(encoding="utf-8")


def test_the_engine_is_left_as_it_was(ran):
    ran("my_own_op", data=False)
    assert "swish" not in registry


def test_the_tests_fail_with_the_wrong_slope():
    try:
        right, wrong = swish.define(), swish.flipped()
        swish.at_zero(wrong)
        swish.by_differences(right)
        assert not passes(swish.by_differences, wrong)
    finally:
        registry.pop("swish", None)


def passes(test, op):
    try:
        test(op)
    except AssertionError:
        return False
    return True
