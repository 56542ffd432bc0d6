"""RMSprop, Adagrad and Adadelta: a step size for each coordinate, from the gradients it has seen."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.engine.value import make
from tinygrad_edu.optim.optimizer import check, unsupported
from tinygrad_edu.optim.rule import RuleOptimizer


def prepared(p: Any, g: Any, weight_decay: float, maximize: bool) -> Any:
    """The gradient of what is minimised, with the L2 penalty's."""
    if maximize:
        g = -g
    return g + weight_decay * p if weight_decay else g


def rmsprop(
    p: Any,
    g: Any,
    square: Any,
    *others: Any,
    lr: Any,
    momentum: Any = None,
    alpha: float,
    eps: float,
    centered: bool = False,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Any, ...]:
    """s' = alpha s + (1 - alpha) g^2, p' = p - lr g / (sqrt(s') + eps); others: velocity, mean of g."""
    g = prepared(p, g, weight_decay, maximize)
    square = alpha * square + (1.0 - alpha) * (g * g)
    velocity, mean = (others[0] if momentum is not None else None), (others[-1] if centered else None)
    variance = square
    if mean is not None:
        mean = mean + (1.0 - alpha) * (g - mean)
        variance = square - mean * mean
    change = g / (ops.sqrt(variance) + eps)
    if velocity is not None:
        change = velocity = momentum * velocity + change
    return p - lr * change, square, *(v for v in (velocity, mean) if v is not None)


def adagrad(
    p: Any, g: Any, total: Any, *, lr: Any, eps: float, weight_decay: float = 0.0, maximize: bool = False
) -> tuple[Any, ...]:
    """s' = s + g^2, p' = p - lr g / (sqrt(s') + eps)."""
    g = prepared(p, g, weight_decay, maximize)
    total = total + g * g
    return p - lr * (g / (ops.sqrt(total) + eps)), total


def adadelta(
    p: Any,
    g: Any,
    square: Any,
    changes: Any,
    *,
    lr: Any,
    rho: float,
    eps: float,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Any, ...]:
    """s' = rho s + (1 - rho) g^2, d = g sqrt(c + eps) / sqrt(s' + eps), c' = rho c + (1 - rho) d^2, p' = p - lr d."""
    g = prepared(p, g, weight_decay, maximize)
    square = rho * square + (1.0 - rho) * (g * g)
    change = ops.sqrt(changes + eps) / ops.sqrt(square + eps) * g
    return p - lr * change, square, rho * changes + (1.0 - rho) * (change * change)


class RMSprop(RuleOptimizer):
    """The gradient over its recent root mean square (Tieleman and Hinton, 2012).

    centered -- over its recent standard deviation
    """

    rule = staticmethod(rmsprop)
    counts = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        unsupported(differentiable=differentiable, capturable=capturable)
        check("learning rate", lr, lr >= 0)
        check("epsilon value", eps, eps >= 0)
        check("momentum value", momentum, momentum >= 0)
        check("weight_decay value", weight_decay, weight_decay >= 0)
        check("alpha value", alpha, alpha >= 0)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def buffers(self, group: dict[str, Any]) -> tuple[str, ...]:
        """The mean of g^2; the velocity; the mean of g."""
        velocity = ("momentum_buffer",) if group["momentum"] else ()
        return ("square_avg", *velocity, *(("grad_avg",) if group["centered"] else ()))

    def numbers(self, group: dict[str, Any], step: int) -> dict[str, float]:
        """lr and momentum."""
        numbers = {"lr": float(group["lr"])}
        return {**numbers, "momentum": float(group["momentum"])} if group["momentum"] else numbers

    def settings(self, group: dict[str, Any]) -> dict[str, Any]:
        """alpha, eps, centered, weight_decay, maximize."""
        return {name: group[name] for name in ("alpha", "eps", "centered", "weight_decay", "maximize")}


class Adagrad(RuleOptimizer):
    """The gradient over the root of the sum of all its squares so far (Duchi et al., 2011)."""

    rule = staticmethod(adagrad)
    counts = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        unsupported(differentiable=differentiable)
        check("learning rate", lr, lr >= 0)
        check("lr_decay value", lr_decay, lr_decay >= 0)
        check("weight_decay value", weight_decay, weight_decay >= 0)
        check("initial_accumulator_value value", initial_accumulator_value, initial_accumulator_value >= 0)
        check("epsilon value", eps, eps >= 0)
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                total = make(np.full_like(p._array, self.initial(group)))
                self.state[p] = {"step": make(np.zeros((), np.float32)), "sum": total}

    def initial(self, group: dict[str, Any]) -> float:
        """Where the sum of squares starts."""
        return group["initial_accumulator_value"]

    def buffers(self, group: dict[str, Any]) -> tuple[str, ...]:
        """The sum of g^2."""
        return ("sum",)

    def numbers(self, group: dict[str, Any], step: int) -> dict[str, float]:
        """lr, smaller with every step."""
        return {"lr": float(group["lr"]) / (1.0 + (step - 1) * group["lr_decay"])}

    def settings(self, group: dict[str, Any]) -> dict[str, Any]:
        """eps, weight_decay, maximize."""
        return {name: group[name] for name in ("eps", "weight_decay", "maximize")}


class Adadelta(RuleOptimizer):
    """Steps in the units of the parameter: recent changes over recent gradients (Zeiler, 2012)."""

    rule = staticmethod(adadelta)
    counts = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        unsupported(differentiable=differentiable, capturable=capturable)
        check("learning rate", lr, lr >= 0)
        check("rho value", rho, 0 <= rho <= 1)
        check("epsilon value", eps, eps >= 0)
        check("weight_decay value", weight_decay, weight_decay >= 0)
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def buffers(self, group: dict[str, Any]) -> tuple[str, ...]:
        """The means of g^2 and of the squared changes."""
        return ("square_avg", "acc_delta")

    def numbers(self, group: dict[str, Any], step: int) -> dict[str, float]:
        """lr."""
        return {"lr": float(group["lr"])}

    def settings(self, group: dict[str, Any]) -> dict[str, Any]:
        """rho, eps, weight_decay, maximize."""
        return {name: group[name] for name in ("rho", "eps", "weight_decay", "maximize")}
