"""The worked 2-2-2 example in matrix form and with one variable for each number, and its exact figures."""

import numpy as np

import tinygrad_edu as tg

EXACT = {
    "z1": [0.3775, 0.3925],
    "a1": [0.5932699921, 0.5968843783],
    "z2": [1.105905967, 1.224921404],
    "a2": [0.7513650696, 0.7729284653],
    "C": 0.8252642659,
    "dC/da2": [1.984216153, -0.6184019980],
    "dC/dz2": [0.3706825348, -0.1085357673],
    "dC/dW2": [[0.2199148245, 0.2212546143], [-0.06439101383, -0.06478330401]],
    "dC/db2": 0.2621467674,
    "dC/da1": [0.09400513024, 0.1071124686],
    "dC/dz1": [0.02268350454, 0.0257726971],
    "dC/dW1": [[0.001134175227, 0.002268350454], [0.001288634855, 0.002577269710]],
    "dC/db1": 0.04845620164,
    "dC/dx": [0.009845699956, 0.01226851004],
}
"""Float64, to ten digits."""


def matrix_form():
    """(loss, leaves by name, computed values by name); the biases are one number for both units of a layer."""
    kw = {"dtype": tg.float64, "requires_grad": True}
    x = tg.tensor([0.05, 0.10], **kw)
    W1 = tg.tensor([[0.15, 0.20], [0.25, 0.30]], **kw)
    b1 = tg.tensor(0.35, **kw)
    W2 = tg.tensor([[0.40, 0.45], [0.50, 0.55]], **kw)
    b2 = tg.tensor(0.60, **kw)
    t = tg.tensor([0.01, 0.99], dtype=tg.float64)
    z1 = W1 @ x + b1
    a1 = tg.sigmoid(z1)
    z2 = W2 @ a1 + b2
    a2 = tg.sigmoid(z2)
    C = -(t * tg.log(a2) + (1 - t) * tg.log(1 - a2)).sum() / 2
    return C, {"x": x, "W1": W1, "b1": b1, "W2": W2, "b2": b2}, {"z1": z1, "a1": a1, "z2": z2, "a2": a2}


def scalar_form():
    """(loss, leaves by name): w1 to w8 as single numbers."""
    kw = {"dtype": tg.float64, "requires_grad": True}
    x1, x2 = tg.tensor(0.05, **kw), tg.tensor(0.10, **kw)
    w1, w2, w3, w4 = (tg.tensor(v, **kw) for v in (0.15, 0.20, 0.25, 0.30))
    b1, b2 = tg.tensor(0.35, **kw), tg.tensor(0.60, **kw)
    w5, w6, w7, w8 = (tg.tensor(v, **kw) for v in (0.40, 0.45, 0.50, 0.55))
    t1, t2 = 0.01, 0.99
    z1 = w1 * x1 + w2 * x2 + b1
    z2 = w3 * x1 + w4 * x2 + b1
    h1 = tg.sigmoid(z1)
    h2 = tg.sigmoid(z2)
    z3 = w5 * h1 + w6 * h2 + b2
    z4 = w7 * h1 + w8 * h2 + b2
    o1 = tg.sigmoid(z3)
    o2 = tg.sigmoid(z4)
    C = -(t1 * tg.log(o1) + (1 - t1) * tg.log(1 - o1) + t2 * tg.log(o2) + (1 - t2) * tg.log(1 - o2)) / 2
    leaves = {"x1": x1, "x2": x2, "w1": w1, "w2": w2, "w3": w3, "w4": w4, "b1": b1}
    return C, leaves | {"w5": w5, "w6": w6, "w7": w7, "w8": w8, "b2": b2}


def scalars() -> dict[str, float]:
    """The exact figures under the names of the scalar form."""
    pairs = {"z1": ("z1", "z2"), "a1": ("h1", "h2"), "z2": ("z3", "z4"), "a2": ("o1", "o2"), "x": ("x1", "x2")}
    pairs |= {"W1": ("w1", "w2", "w3", "w4"), "W2": ("w5", "w6", "w7", "w8"), "b1": ("b1",), "b2": ("b2",)}
    found = {"C": EXACT["C"]}
    for name, figures in EXACT.items():
        owner = name.removeprefix("dC/d")
        for scalar, figure in zip(pairs.get(owner, ()), np.ravel(figures), strict=False):
            found[name.replace(owner, scalar)] = float(figure)
    return found
