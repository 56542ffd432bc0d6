"""Readings for people: what a rule is when it is fed with symbols (text, LaTeX) or with symbols that have numbers."""

from tinygrad_edu.engine.expression import code as expression
from tinygrad_edu.explain.derivative import Derivative, derivative, gradient, table
from tinygrad_edu.explain.explanation import Explanation, explain
from tinygrad_edu.explain.paper import Step
from tinygrad_edu.explain.simplify import simplify
from tinygrad_edu.explain.symbol import Symbol, symbol
from tinygrad_edu.explain.worked import Worked, worked
