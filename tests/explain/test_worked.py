"""The worked derivation: the figures of the 2-2-2 example, and a derivation for any graph."""

import numpy as np
import pytest
from net_2_2_2 import EXACT, matrix_form, scalar_form, scalars

import tinygrad_edu as tg
from tinygrad_edu import explain
from tinygrad_edu.engine.replay import gradients


def close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-9)


def test_the_engine_gives_the_figures_of_the_worked_example():
    loss, leaves, computed = matrix_form()
    for t in computed.values():
        t.retain_grad()
    loss.backward()
    assert abs(loss.item() - EXACT["C"]) < 1e-9
    for name, t in computed.items():
        close(t.detach().numpy(), EXACT[name])
    for name, t in (leaves | computed).items():
        close(t.grad.numpy(), EXACT[f"dC/d{name}"])
    loss, leaves = scalar_form()
    loss.backward()
    for name, t in leaves.items():
        close(t.grad.numpy(), scalars()[f"dC/d{name}"])


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_steps_give_the_figures_in_matrix_form(when):
    loss, *_ = matrix_form()
    if when == "after":
        loss.backward()
    worked = explain.worked(loss)
    for name, figures in EXACT.items():
        close(worked[name].value, figures)


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_steps_give_the_figures_in_scalar_form(when):
    loss, leaves = scalar_form()
    if when == "after":
        loss.backward()
    worked = explain.worked(loss, names=leaves)
    assert len(scalars()) == 1 + 8 + 8 + 12
    for name, figure in scalars().items():
        close(worked[name].value, figure)


def test_the_derivation_as_it_is_printed():
    loss, leaves = scalar_form()
    lines = str(explain.worked(loss, names=leaves)).splitlines()
    for line in (
        "given",
        "  w1 = 0.15",
        "forward",
        "  z1 = w1 * x1 + w2 * x2 + b1 = 0.15 * 0.05 + 0.2 * 0.1 + 0.35 = 0.3775",
        "  h1 = σ(z1) = σ(0.3775) = 0.5933",
        "  C = -(0.01 * log(o1) + 0.99 * log(1 - o1) + 0.99 * log(o2) + 0.01 * log(1 - o2)) / 2",
        "    = 0.8253",
        "backward",
        "  dC/dC = 1",
        "  dC/do1 = 0.495 / (1 - o1) - 0.005 / o1 = 0.495 / (1 - 0.7514) - 0.005 / 0.7514 = 1.984",
        "  dC/dz4 = dC/do2 * o2 * (1 - o2) = (-0.6184) * 0.7729 * (1 - 0.7729) = -0.1085",
        "  dC/dw5 = dC/dz3 * h1 = 0.3707 * 0.5933 = 0.2199",
        "  dC/dh1 = dC/dz4 * w7 + dC/dz3 * w5 = (-0.1085) * 0.5 + 0.3707 * 0.4 = 0.09401",
        "  dC/db1 = dC/dz2 + dC/dz1 = 0.02577 + 0.02268 = 0.04846",
    ):
        assert line in lines
    order = [line.split(" = ")[0].strip() for line in lines]
    assert order.index("dC/dC") < order.index("dC/dz3") < order.index("dC/dw5") < order.index("dC/dh1")


def test_the_derivation_of_matrices_as_it_is_printed():
    loss, *_ = matrix_form()
    text = str(explain.worked(loss))
    for line in (
        "  z1 = W1 @ x + b1 = [[0.15, 0.2], [0.25, 0.3]] @ [0.05, 0.1] + 0.35 = [0.3775, 0.3925]\n",
        "  C = -sum(t * log(a2) + c1 * log(1 - a2)) / 2\n",
        "  dC/dW2 = dC/dz2 @ a1ᵀ\n"
        "         = [0.3707, -0.1085] @ [0.5933, 0.5969]ᵀ\n"
        "         = [[0.2199, 0.2213],\n"
        "            [-0.06439, -0.06478]]\n",
        "  dC/db2 = sum(dC/dz2) = sum([0.3707, -0.1085]) = 0.2621   (summed over axis 0, which broadcasting",
        "  dC/dx = W1ᵀ @ dC/dz1 = [[0.15, 0.2], [0.25, 0.3]]ᵀ @ [0.02268, 0.02577] = [0.009846, 0.01227]\n",
    ):
        assert line in text


def test_latex_has_a_line_for_every_step():
    loss, *_ = matrix_form()
    worked = explain.worked(loss)
    lines = worked.latex().splitlines()
    assert lines[0] == r"\begin{align*}"
    assert lines[-1] == r"\end{align*}"
    assert len(lines) == len(worked.steps) + 2
    assert all(line.endswith(r" \\") for line in lines[1:-2])
    assert worked.latex().count("{") == worked.latex().count("}")
    assert worked["a1"].latex.startswith(r"a_{1} &= \sigma(z_{1}) = \sigma\left(\begin{bmatrix} 0.3775 \\ 0.3925 \end")
    assert r"\frac{\partial C}{\partial W_{1}} &= \frac{\partial C}{\partial z_{1}}\,x^{\top} =" in worked.latex()


def test_steps_are_data():
    loss, *_ = matrix_form()
    step = explain.worked(loss)["dC/dz1"]
    assert (step.kind, step.formula, step.note) == ("backward", "dC/da1 * a1 * (1 - a1)", "")
    assert step.numbers == "[0.09401, 0.1071] * [0.5933, 0.5969] * (1 - [0.5933, 0.5969])"
    assert step.expression.text() == step.formula
    given = explain.worked(loss)["t"]
    assert (given.kind, given.formula, given.expression) == ("given", "", None)
    with pytest.raises(KeyError, match="no step is called 'dC/dt'"):
        explain.worked(loss)["dC/dt"]


def test_digits():
    loss, *_ = matrix_form()
    assert "= [0.5932699921, 0.5968843783]" in str(explain.worked(loss, digits=10))


def graphs():
    """Graphs of every kind, as functions that make them."""

    def mean_square(x, w):
        b = tg.zeros(2, requires_grad=True)
        return ((tg.tanh(x @ w + b) - 1) ** 2).mean()

    def reuse(x, w):
        h = x @ w
        h = h * h + h
        h = tg.relu(h - 1) * h[0]
        return h.sum() + w.mean()

    def softmax_loss(x, w):
        return -tg.log_softmax(x @ w, dim=1)[:, 1].mean()

    def parts(x, w):
        left, right = (x @ w).split(1, dim=1)
        return (left * tg.exp(right)).sum() / tg.cat([left, right]).norm()

    def pieces_unused(x, w):
        _, right = (x @ w).split(1, dim=1)
        return (right**2).sum()

    def extremes(x, w):
        z = x @ w
        return z.max() + z.amax(dim=0).sum() - tg.where(z > 0, z, -z).min()

    def inplace(x, w):
        h = x @ w
        h += 1
        h[0] = 3 * h[1]
        return (h * h).sum()

    def divided(x, w):
        q = x.sum() / w
        return (q * q / (q + 1)).mean()

    return [mean_square, reuse, softmax_loss, parts, pieces_unused, extremes, inplace, divided]


@pytest.mark.parametrize("dtype", [tg.float64, tg.float32])
@pytest.mark.parametrize("graph", graphs(), ids=lambda f: f.__name__)
def test_any_graph_is_worked_out_with_the_numbers_of_the_engine(graph, dtype):
    x = tg.tensor([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]], dtype=dtype, requires_grad=True)
    w = tg.tensor([[0.1, -0.2], [0.4, 0.3], [-0.5, 0.6]], dtype=dtype, requires_grad=True)
    loss = graph(x, w)
    worked = explain.worked(loss, names={"loss": loss})
    known = gradients(loss._edge)
    assert worked["loss"].value == loss.item()
    for name, leaf in {"x": x, "w": w}.items():
        step = worked[f"dloss/d{name}"]
        assert step.value.dtype == dtype
        tolerance = 1e-12 if dtype == tg.float64 else 1e-5
        np.testing.assert_allclose(step.value, known[leaf._edge], rtol=tolerance, atol=tolerance)
    assert len({step.name for step in worked.steps}) == len(worked.steps)
    assert str(worked)
    assert worked.latex().count("{") == worked.latex().count("}")


def test_a_value_used_again_and_again_is_numbered():
    h = tg.tensor(0.5, requires_grad=True)
    for _ in range(3):
        h = tg.sigmoid(2 * h)
    worked = explain.worked(h)
    assert [s.name for s in worked.steps if s.kind != "backward"] == ["h_1", "h_2", "h_3", "h"]
    assert worked["h_2"].formula == "σ(2 * h_1)"
    assert worked["dh/dh_2"].formula == "2 * dh/dh_3 * h_3 * (1 - h_3)"


def test_names_of_unnamed_values():
    """Used twice, or written in by its own derivative: it gets a line; else it is written out where it is used."""
    w = tg.tensor(0.5, requires_grad=True)

    def squares(values):
        return values[0] * 3 + (values[1] - 1)

    loss = tg.exp(squares([w * w, w + 2])) * 2
    worked = explain.worked(loss)
    assert [s.name for s in worked.steps] == ["w", "z1", "loss", "dloss/dloss", "dloss/dz1", "dloss/dw"]
    assert worked["z1"].formula == "exp(w * w * 3 + w + 2 - 1)"
    assert worked["dloss/dw"].formula == "dloss/dz1 * z1 * (1 + 6 * w)"


def test_long_lines_are_cut():
    x = tg.tensor(1.0, requires_grad=True)
    loss = sum((x * k for k in range(1, 40)), x)
    worked = explain.worked(loss, longest=10)
    assert worked["dloss/dx"].value == 1 + sum(range(1, 40))
    assert max(s.formula.count("+") + s.formula.count("*") for s in worked.steps if s.kind == "forward") <= 10


def test_names_come_from_locals_or_a_module():
    a, b = (tg.tensor(v, requires_grad=True) for v in (2.0, 3.0))
    c = tg.tensor(4.0) * a * b
    assert explain.worked(c)["dc/dw1"].value == 12
    assert explain.worked(c, names=locals())["dc/da"].value == 12
    assert explain.worked(c, names={a: "first"})["dc/dfirst"].value == 12

    class Holder:
        def named_parameters(self):
            return iter([("layer.weight", a)])

    assert explain.worked(c, names=Holder())["dc/dlayer.weight"].value == 12
    with pytest.raises(TypeError, match="names must be a dict of tensors by name"):
        explain.worked(c, names=["a"])


def test_large_arrays_are_summed_up_by_shape_and_norm():
    x = tg.ones(50, 20)
    w = tg.full((20, 3), 0.5, requires_grad=True)
    loss = (x @ w).mean()
    text = str(explain.worked(loss))
    assert "  x = <50 x 20, norm 31.62>   (constant)\n" in text
    assert "  loss = mean(x @ w) = 10\n" in text
    assert "  dloss/dw = xᵀ @ expand(0.006667, (x @ w).shape) = <20 x 3, norm 2.582>" in text


def test_a_changed_leaf_is_refused_by_name_and_line():
    loss, leaves, _ = matrix_form()
    loss.backward()
    W1 = leaves["W1"]
    with tg.no_grad():
        W1 -= 0.5 * W1.grad
    with pytest.raises(RuntimeError, match=r"'W1' \(shape \(2, 2\)\).*changed in place.*W1 -= 0.5 \* W1.grad"):
        explain.worked(loss)


def test_a_changed_constant_is_refused():
    w = tg.tensor([1.0, 2.0], requires_grad=True)
    t = tg.tensor([3.0, 4.0])
    loss = (w * t).sum()
    t.mul_(2)
    with pytest.raises(RuntimeError, match=r"'t'.*t.mul_\(2\)"):
        explain.worked(loss)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: tg.ones(2, requires_grad=True) * 2, RuntimeError, r"starts from a single number.*shape \(2,\)"),
        (lambda: tg.ones(1) * 2, RuntimeError, "nothing to work out"),
        (lambda: tg.ones(1, requires_grad=True), RuntimeError, "nothing to work out"),
        (lambda: 2.0, TypeError, "takes a tensor, not float"),
    ],
)
def test_what_cannot_be_worked_out(make, error, match):
    with pytest.raises(error, match=match):
        explain.worked(make())


def test_working_out_changes_nothing():
    loss, leaves, _ = matrix_form()
    seen = []
    leaves["x"].register_hook(seen.append)
    explain.worked(loss)
    assert not seen
    assert all(leaf.grad is None for leaf in leaves.values())
    loss.backward()
    close(leaves["x"].grad.numpy(), EXACT["dC/dx"])


def test_a_long_graph_is_worked_out_without_recursion():
    x = tg.tensor(1.0, requires_grad=True)
    y = x
    for _ in range(3000):
        y = y + 1.0
    worked = explain.worked(y)
    assert worked["y"].value == 3001
    assert worked["dy/dx"].value == 1
