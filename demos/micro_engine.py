"""The engine of `micro`: reverse mode on single numbers, and no more."""

from __future__ import annotations

import math
from itertools import count
from typing import Any


class Number:
    """A number that remembers what it was made of: pairs (operand, derivative with respect to it)."""

    made = count()

    def __init__(self, value: float, *operands: tuple[Number, float]) -> None:
        self.value, self.operands, self.grad = value, operands, 0.0
        self.order = next(Number.made)

    def __add__(self, other: Number | float) -> Number:
        other = number(other)
        return Number(self.value + other.value, (self, 1.0), (other, 1.0))

    def __mul__(self, other: Number | float) -> Number:
        other = number(other)
        return Number(self.value * other.value, (self, other.value), (other, self.value))

    def __pow__(self, n: float) -> Number:
        return Number(self.value**n, (self, n * self.value ** (n - 1)))

    def exp(self) -> Number:
        z = math.exp(self.value)
        return Number(z, (self, z))

    def log(self) -> Number:
        return Number(math.log(self.value), (self, 1 / self.value))

    def sigmoid(self) -> Number:
        z = 1 / (1 + math.exp(-self.value))
        return Number(z, (self, z * (1 - z)))

    def __neg__(self) -> Number:
        return self * -1

    def __sub__(self, other: Number | float) -> Number:
        return self + -number(other)

    def __rsub__(self, other: float) -> Number:
        return number(other) - self

    def __truediv__(self, other: Number | float) -> Number:
        return self * number(other) ** -1

    __radd__, __rmul__ = __add__, __mul__

    def backward(self) -> None:
        found: set[Any] = {self}
        stack: list[Any] = [self]
        while stack:
            new = {operand for operand, _ in stack.pop().operands} - found
            found |= new
            stack.extend(new)
        self.grad = 1.0
        for node in sorted(found, key=lambda node: node.order, reverse=True):
            for operand, slope in node.operands:
                operand.grad += node.grad * slope


def number(x: Number | float) -> Number:
    return x if isinstance(x, Number) else Number(x)
