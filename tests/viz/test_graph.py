"""Drawings, as text: what is in them, what they leave alone, and what they do with too much."""

import re
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import viz
from tinygrad_edu.engine.mode import switched

GOLDEN = Path(__file__).parent / "golden"

SCALARS = """
a = tg.tensor(3.0, requires_grad=True)
b = tg.tensor(-2.0, dtype=tg.float64, requires_grad=True)
c = a.double() * b + 1
loss = tg.sigmoid(c + c)
"""

LAYERS = """
w = tg.tensor([[0.5, 1.0]], requires_grad=True)
x = tg.tensor([[2.0], [4.0]])
with switched(scope=("net",)):
    with switched(scope=("net", "linear")):
        z = w @ x
    y = tg.relu(z)
loss = y.mean()
loss.backward()
"""


def run(code, **names):
    """Run code as if from a file named example.py, and return its variables."""
    scope = {"tg": tg, "np": np, "switched": switched, **names}
    exec(compile(code, "example.py", "exec"), scope)
    return scope


def source(tensor, **options):
    return viz.graph(tensor, **options).source


def label(text, node):
    """The text of a node's label, without its mark-up, the pieces separated by blanks."""
    (found,) = re.findall(rf"^\t+{node} \[label=<(.*?)> color", text, re.MULTILINE)
    return " ".join(re.sub(r"<[^>]*>", " ", found).split())


def arrows(text):
    return re.findall(r"^\t(\w+ -> \w+)", text, re.MULTILINE)


@pytest.mark.parametrize(("name", "code"), [("scalars", SCALARS), ("layers", LAYERS)])
def test_the_text_of_a_drawing(name, code):
    assert source(run(code)["loss"]) == (GOLDEN / f"{name}.dot").read_text(encoding="utf-8")


def test_the_same_text_in_every_run():
    assert source(run(SCALARS)["loss"]) == source(run(SCALARS)["loss"])


def test_an_operand_used_twice_has_two_arrows():
    text = source(run("a = tg.tensor(1.0, requires_grad=True); b = a + a")["b"])
    assert arrows(text) == ["leaf1 -> op1", "leaf1 -> op1", "op1 -> value1"]


def test_arrows_come_in_the_order_of_the_operands():
    made = "a = tg.tensor(1.0, requires_grad=True); b = tg.tensor(2.0, requires_grad=True); "
    assert arrows(source(run(made + "c = a - b")["c"]))[:2] == ["leaf1 -> op1", "leaf2 -> op1"]
    text = source(run(made + "d = a * 1; c = b - d")["c"])
    assert arrows(text)[-3:-1] == ["leaf2 -> op2", "value1 -> op2"]
    assert label(text, "leaf2").startswith("b")


def test_names_shapes_values_and_gradients_are_in_the_nodes():
    text = source(run(LAYERS)["loss"])
    assert label(text, "leaf1") == "w float32 (1, 2) 0.5 1 grad 2 4"
    assert label(text, "const1") == "x float32 (2, 1) 2 4"
    assert label(text, "value1") == "z float32 (1, 1) 5 grad 1"
    assert label(text, "op2") == "relu"


def test_interior_gradients_are_those_of_autograd():
    code = """
x = tg.tensor([0.3, -0.7], dtype=tg.float64, requires_grad=True)
h = tg.tanh(x)
loss = (h * h * h).sum()
"""
    names = run(code)
    h, loss = names["h"], names["loss"]
    text = source(loss)
    (expected,) = tg.autograd.grad(loss, [h])
    shown = label(text, "value1").split("grad ")[1].split()
    assert [float(v) for v in shown] == pytest.approx(expected.tolist(), rel=1e-3)


def test_before_and_after_backward_the_drawing_is_the_same():
    names = run(SCALARS)
    before = source(names["loss"])
    names["loss"].backward()
    assert source(names["loss"]) == before


def test_an_accumulated_gradient_is_what_a_leaf_shows():
    names = run("a = tg.tensor(2.0, requires_grad=True); b = a * a; b.backward(); b = a * a; b.backward()")
    assert label(source(names["b"]), "leaf1") == "a float32 () 2 grad 8"


def test_drawing_frees_nothing_and_calls_no_hook():
    names = run(SCALARS)
    loss, c = names["loss"], names["c"]
    called = []
    c.register_hook(called.append)
    c.retain_grad()
    source(loss)
    assert not called
    assert c.grad is None
    assert names["a"].grad is None
    loss.backward()
    assert len(called) == 1
    source(loss)
    assert len(called) == 1
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_a_leaf_changed_since_is_said():
    names = run("w = tg.tensor(2.0, requires_grad=True); loss = w * w; loss.backward()")
    with tg.no_grad():
        names["w"].sub_(1.0)
    text = source(names["loss"])
    assert "Values and gradients are not shown" in text
    assert label(text, "leaf1") == "w float32 () grad 4"
    assert label(text, "value1") == "loss float32 ()"


def test_without_values_and_gradients_only_names_and_shapes():
    text = source(run(SCALARS)["loss"], values=False, gradients=False)
    assert label(text, "leaf1") == "a float32 ()"
    assert "grad" not in text.replace("graph", "")


def test_large_arrays_show_their_shape_only():
    names = run("w = tg.ones(30, 4, requires_grad=True); y = w * 2; loss = y.sum()")
    assert label(source(names["loss"]), "leaf1") == "w float32 (30, 4)"


def test_params_name_and_colour_the_parameters():
    names = run(SCALARS)
    text = source(names["loss"], params={"layer.weight": names["a"]}, names={"bias": names["b"], "n": 3})
    assert label(text, "leaf1").startswith("layer.weight")
    assert label(text, "leaf2").startswith("bias")
    assert re.search(r"leaf1 .*style=\"filled,bold\"", text)
    assert not re.search(r"leaf2 .*style=\"filled,bold\"", text)


def test_a_name_goes_to_the_last_step_of_a_composite_only():
    text = source(run("x = tg.tensor([1.0, 3.0], requires_grad=True); m = tg.outer(x, x)")["m"])
    assert not any(label(text, f"value{n}").startswith("m") for n in (1, 2))
    assert label(text, "value3").startswith("m")


def test_local_derivatives_can_stand_on_the_arrows():
    made = "a = tg.tensor(2.0, requires_grad=True); x = tg.tensor(4.0); "
    text = source(run(made + "b = a * x; c = tg.sigmoid(b); d = (c + 1) * a")["d"], derivatives=True)
    found = re.findall(r"^\t(\w+ -> \w+) \[label=.*>(dC/.*)</FONT>", text, re.MULTILINE)
    assert found == [
        ("leaf1 -> op1", "dC/da = g * x"),
        ("value1 -> op2", "dC/db = g * c * (1 - c)"),
        ("value2 -> op3", "dC/dc = g"),
        ("value3 -> op4", "dC/d① = g * a"),
        ("leaf1 -> op4", "dC/da = g * ①"),
    ]
    again = source(run(made + "a = tg.exp(a); a = tg.exp(a)")["a"], derivatives=True)
    assert re.findall("(dC/.*)</FONT>", again) == ["dC/da = g * out"] * 2


def test_unnamed_results_can_be_left_out():
    text = source(run(LAYERS.replace("y.mean()", "(y + y).mean()"))["loss"], unnamed=False)
    assert arrows(text)[-4:] == ["value2 -> op3", "value2 -> op3", "op3 -> op4", "op4 -> value4"]


def test_a_view_is_joined_to_its_base_by_dots():
    names = run("x = tg.tensor([[1.0, 2.0]], requires_grad=True); y = x.reshape(2) * 2; z = y.sum()")
    dotted = re.findall(r"^\t(\w+ -> \w+) \[style=dotted\]", source(names["z"]), re.MULTILINE)
    assert dotted == ["leaf1 -> op1", "op1 -> value1"]


def test_a_node_of_several_outputs_has_one_box_for_each():
    names = run("x = tg.tensor([1.0, 2.0], requires_grad=True); a, b = x.unbind(0); y = a * b")
    text = source(names["y"])
    assert arrows(text)[1:5] == ["op1 -> value1_0", "op1 -> value1_1", "value1_0 -> op2", "value1_1 -> op2"]
    assert label(text, "value1_0") == "float32 () 1 grad 2"


def test_several_results_and_a_leaf_can_be_drawn():
    names = run("a = tg.tensor(2.0, requires_grad=True); b = a * 2; c = a * 3")
    assert len(arrows(source([names["b"], names["c"]]))) == 6
    assert label(source(names["a"]), "leaf1") == "a float32 () 2 grad 1"


def test_a_long_chain_is_folded_and_says_how_much():
    code = """
x = tg.tensor(1.0, dtype=tg.float64, requires_grad=True)
h = x
for _ in range(100_000):
    h = h + 1e-5
"""
    text = source(run(code)["h"])
    assert label(text, "earlier") == "99,800 earlier operations, not drawn (max_nodes=200)"
    assert label(text, "value200") == "h float64 () 2 grad 1"
    assert len(arrows(text)) == 3 * 200 + 1


def test_a_chain_far_deeper_than_the_recursion_limit_is_drawn_whole():
    code = "x = tg.tensor(1.0, requires_grad=True)\nh = x\nfor _ in range(5_000): h = tg.tanh(h)"
    assert len(arrows(source(run(code)["h"], max_nodes=None))) == 10_000


def test_hostile_names_stay_text():
    name = '<script>alert("x")</script> & \\N \n }; b -> a'
    names = run("a = tg.tensor(1.0, requires_grad=True); b = a + a")
    drawing = viz.graph(names["b"], params={name: names["a"]})
    assert "<script" not in drawing.source
    shown = viz.render(drawing).decode().replace("\u200b", "")
    assert "<script" not in shown
    assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; \\N" in shown
    assert len(re.findall('class="node"', shown)) == 3


def test_hostile_lines_in_tooltips_stay_text():
    import linecache

    line = 'y = tg.exp(x)  # "]; <b> & \\G \\" end\n'
    linecache.cache["hostile.py"] = (len(line), None, [line], "hostile.py")
    scope = {"tg": tg, "x": tg.tensor(0.0, requires_grad=True)}
    exec(compile(line, "hostile.py", "exec"), scope)
    shown = viz.render(viz.graph(scope["y"])).decode().replace("\u200b", "")
    assert '&#160;# &quot;]; &lt;b&gt; &amp; \\G \\&quot; end"' in shown


def test_what_cannot_be_drawn_is_said():
    with pytest.raises(TypeError, match="draws a tensor or several, not ndarray"):
        viz.graph(np.ones(3))
    with pytest.raises(RuntimeError, match=r"shape \(3,\), float32.*requires_grad=True"):
        viz.graph(tg.ones(3))
    x = tg.ones(3, requires_grad=True)
    with pytest.raises(ValueError, match="direction must be one of LR, RL, TB, BT, not 'up'"):
        viz.graph(x, direction="up")
    with pytest.raises(ValueError, match="max_nodes must be at least 1"):
        viz.graph(x, max_nodes=0)
    with pytest.raises(TypeError, match="params must be a Module or a dict"):
        viz.graph(x, params=[x])


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        (0.123456, "0.1235"),
        (-0.0, "0"),
        (1e-9, "1e-09"),
        (np.float32(2.5), "2.5"),
        (3, "3"),
        (True, "True"),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
    ],
)
def test_entries_have_four_digits(entry, shown):
    assert viz.labels.number(entry) == shown


def test_local_variables_and_attributes_name_what_they_hold():
    code = """
class Holder: pass
def compute(x):
    a = tg.exp(x); b = a + a; c = b.tanh()
    held = Holder()
    held.last = tg.sigmoid(tg.exp(c))
    return held.last
y = compute(tg.tensor(0.5, requires_grad=True))
"""
    text = source(run(code)["y"], values=False, gradients=False)
    boxes = [label(text, f"value{i}").removesuffix("float32 ()").strip() for i in range(1, 6)]
    assert boxes == ["a", "b", "c", "", "last"]
