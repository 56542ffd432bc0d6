"""`autograd.Function`, each script run here and in PyTorch."""

from __future__ import annotations

import gc

import function_contracts
import function_scripts
import pytest
from scripts import assert_same, outcome

import tinygrad_edu as tg
from tinygrad_edu.engine.node import Node

SCRIPTS = {**function_scripts.SCRIPTS, **function_contracts.SCRIPTS}


@pytest.mark.parametrize("name", SCRIPTS)
def test_like_pytorch(name, torch):
    assert_same(outcome(tg, SCRIPTS[name]), outcome(torch, SCRIPTS[name]))


def test_errors_name_the_function():
    with pytest.raises(RuntimeError, match=r"F\.backward returned 2 gradients, expected 1.*None"):
        SCRIPTS["too_many_gradients"](tg)
    with pytest.raises(RuntimeError, match=r"F\.backward must return tensors or None, not float"):
        SCRIPTS["a_gradient_that_is_no_tensor"](tg)


@pytest.mark.parametrize("name", ["first_order", "twice_differentiable", "several_outputs_second_order", "retained"])
def test_graphs_with_functions_are_freed_without_the_collector(name):
    gc.disable()
    try:
        SCRIPTS[name](tg)
        assert not any(type(o) is Node for o in gc.get_objects(generation=0))
    finally:
        gc.enable()
