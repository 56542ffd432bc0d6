"""The 2-2-2 network worked out on paper, ten digits each: every form of the recorded step gives them."""

from __future__ import annotations

import numpy as np
import pytest
from agreement import exec_source, put_back, written

import tinygrad_edu as tg

TABLE = {
    "z1": [0.3775, 0.3925],
    "a1": [0.5932699921, 0.5968843783],
    "z2": [1.105905967, 1.224921404],
    "a2": [0.7513650696, 0.7729284653],
    "C": 0.8252642659,
    "da2": [1.984216153, -0.6184019980],
    "dz2": [0.3706825348, -0.1085357673],
    "dW2": [[0.2199148245, 0.2212546143], [-0.06439101383, -0.06478330401]],
    "db2": [0.3706825348, -0.1085357673],
    "da1": [0.09400513024, 0.1071124686],
    "dz1": [0.02268350454, 0.0257726971],
    "dW1": [[0.001134175227, 0.002268350454], [0.001288634855, 0.002577269710]],
    "db1": [0.02268350454, 0.0257726971],
    "dx": [0.009845699956, 0.01226851004],
}
STEPPED = {
    "W1": [[0.1494329124, 0.1988658248], [0.2493556826, 0.2987113651]],
    "W2": [[0.2900425878, 0.3393726928], [0.5321955069, 0.5823916520]],
}


class Worked:
    """The recorded step, with the tensors it is about."""

    def __init__(self) -> None:
        def leaf(numbers):
            return tg.tensor(numbers, dtype=tg.float64, requires_grad=True)

        x = leaf([0.05, 0.10])
        W1, b1 = leaf([[0.15, 0.20], [0.25, 0.30]]), leaf([0.35, 0.35])
        W2, b2 = leaf([[0.40, 0.45], [0.50, 0.55]]), leaf([0.60, 0.60])
        t = tg.tensor([0.01, 0.99], dtype=tg.float64)
        lr = tg.tensor(0.5, dtype=tg.float64)
        self.start = {"W1": W1.numpy(force=True).copy(), "W2": W2.numpy(force=True).copy()}
        with tg.record() as program:
            z1 = W1 @ x + b1
            a1 = tg.sigmoid(z1)
            z2 = W2 @ a1 + b2
            a2 = tg.sigmoid(z2)
            a2.retain_grad()
            a1.retain_grad()
            C = -(t * tg.log(a2) + (1 - t) * tg.log(1 - a2)).mean()
            C.backward()
            with tg.no_grad():
                W1 -= lr * W1.grad
                W2 -= lr * W2.grad
        self.program = program
        self.eager = {"z1": z1, "a1": a1, "z2": z2, "a2": a2, "C": C, "dx": x.grad, "da1": a1.grad, "da2": a2.grad}
        self.eager |= {"dW1": W1.grad, "dW2": W2.grad, "db1": b1.grad, "db2": b2.grad, "W1": W1, "W2": W2}


@pytest.fixture(scope="module")
def worked():
    return Worked()


def assert_table(values, expected):
    for name, number in expected.items():
        np.testing.assert_allclose(values[name], number, rtol=1e-9, atol=0, err_msg=name)


def test_backward(worked):
    values = {name: tensor.numpy(force=True) for name, tensor in worked.eager.items()}
    known = {name: number for name, number in TABLE.items() if name in values}
    assert len(known) == len(TABLE) - 2
    assert_table(values, {**known, **STEPPED})


@pytest.mark.parametrize("form", ["run", "source", "compiled"])
def test_every_form_of_the_program(worked, form):
    program = worked.program
    put_back(program, worked.start)
    if form == "run":
        values = program.run()
    elif form == "compiled":
        values = program.compile()()
    else:
        values = exec_source(program)(**{i.name: i.value() for i in program.inputs})
    assert_table(values, TABLE)
    assert_table(written(program), STEPPED)


def test_from_graph(worked):
    program = worked.program
    put_back(program, worked.start)
    x, W1, b1, W2, b2, t = (tg.from_numpy(program.input(n).array) for n in ("x", "W1", "b1", "W2", "b2", "t"))
    for leaf in (x, W1, b1, W2, b2):
        leaf.requires_grad_()
    z1 = W1 @ x + b1
    a1 = tg.sigmoid(z1)
    z2 = W2 @ a1 + b2
    a2 = tg.sigmoid(z2)
    C = -(t * tg.log(a2) + (1 - t) * tg.log(1 - a2)).mean()
    assert_table(tg.Program.from_graph(C).run(), TABLE)
    C.backward()
    assert_table(tg.Program.from_graph(C).run(), TABLE)


def test_second_step_goes_on(worked):
    """Replays train: the parameters are the memory the program is bound to."""
    put_back(worked.program, worked.start)
    first = worked.program.run()
    assert worked.program.run().C < first.C
