"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_edu.kernels.updates import momentum_update, sgd_update
from tinygrad_edu.optim.optimizer import check, unsupported
from tinygrad_edu.optim.rule import RuleOptimizer


def sgd(
    p: Any,
    g: Any,
    v: Any = None,
    *,
    lr: Any,
    momentum: Any = None,
    keep: Any = None,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> tuple[Any, ...]:
    """p - lr g; with momentum v' = momentum v + keep g and p - lr v', or p - lr (g + momentum v') (Nesterov)."""
    if maximize:
        g = -g
    if weight_decay:
        g = g + weight_decay * p
    if v is None:
        return (p - lr * g,)
    v = momentum * v + (g if keep is None else keep * g)
    return p - lr * (g + momentum * v if nesterov else v), v


class SGD(RuleOptimizer):
    """p <- p - lr g; with momentum: v <- momentum v + (1 - dampening) g, p <- p - lr v.

    Raises ValueError for settings that make no sense.

    >>> import tinygrad_edu as tg
    >>> w = tg.tensor([1.0], requires_grad=True)
    >>> optimizer = tg.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8000], requires_grad=True)
    """

    rule = staticmethod(sgd)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        unsupported(differentiable=differentiable)
        check("learning rate", lr, lr >= 0)
        check("momentum value", momentum, momentum >= 0)
        check("weight_decay value", weight_decay, weight_decay >= 0)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def buffers(self, group: dict[str, Any]) -> tuple[str, ...]:
        """v, when there is momentum."""
        return ("momentum_buffer",) if group["momentum"] else ()

    def numbers(self, group: dict[str, Any], step: int) -> dict[str, float]:
        """lr and momentum; keep, the part of g that is not damped: all of it in the first step."""
        numbers = {"lr": float(group["lr"])}
        if group["momentum"]:
            numbers["momentum"] = float(group["momentum"])
            if group["dampening"]:
                numbers["keep"] = 1.0 if step == 1 else 1.0 - float(group["dampening"])
        return numbers

    def settings(self, group: dict[str, Any]) -> dict[str, Any]:
        """weight_decay, nesterov, maximize."""
        return {name: group[name] for name in ("weight_decay", "nesterov", "maximize")}

    def one_pass(self, arrays: list[np.ndarray], numbers: dict[str, float], settings: dict[str, Any]) -> bool:
        """Plain or with momentum."""
        lr, decay, maximize = numbers["lr"], float(settings["weight_decay"]), bool(settings["maximize"])
        if len(arrays) == 2:
            sgd_update(*arrays, lr, decay, maximize)
        else:
            keep, nesterov = numbers.get("keep", 1.0), bool(settings["nesterov"])
            momentum_update(*arrays, lr, numbers["momentum"], keep, decay, nesterov, maximize)
        return True
