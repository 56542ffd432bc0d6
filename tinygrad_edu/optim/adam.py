"""Adam and AdamW: steps in units of the gradient's recent size."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.kernels.updates import adam_update
from tinygrad_edu.optim.optimizer import check, unsupported
from tinygrad_edu.optim.rule import RuleOptimizer


def adam(
    p: Any,
    g: Any,
    m: Any,
    v: Any,
    largest: Any = None,
    *,
    step_size: Any,
    correction: Any,
    fresh: Any,
    decay: Any = None,
    beta2: float,
    eps: float,
    weight_decay: float = 0.0,
    maximize: bool = False,
) -> tuple[Any, ...]:
    """m' = m + fresh (g - m), v' = beta2 v + (1 - beta2) g^2, p' = p - step_size m' / (sqrt(v') / correction + eps).

    step_size   -- lr / (1 - beta1^t);  correction -- sqrt(1 - beta2^t);  fresh -- 1 - beta1
    decay       -- what p is multiplied by first (AdamW);  weight_decay -- added to g instead (Adam)
    """
    if maximize:
        g = -g
    if weight_decay:
        g = g + weight_decay * p
    if decay is not None:
        p = p * decay
    m = m + fresh * (g - m)
    v = beta2 * v + (1.0 - beta2) * (g * g)
    if largest is None:
        return p - step_size * (m / (ops.sqrt(v) / correction + eps)), m, v
    largest = ops.maximum(largest, v)
    return p - step_size * (m / (ops.sqrt(largest) / correction + eps)), m, v, largest


class Adam(RuleOptimizer):
    """Steps of about lr in each coordinate: the mean gradient over its root mean square (Kingma and Ba, 2015).

    weight_decay -- an L2 penalty; with `decoupled_weight_decay` the parameters shrink instead (AdamW)
    amsgrad      -- divide by the largest root mean square so far
    """

    rule = staticmethod(adam)
    counts = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        unsupported(differentiable=differentiable, capturable=capturable)
        check("learning rate", lr, lr >= 0)
        check("epsilon value", eps, eps >= 0)
        check("beta parameter at index 0", betas[0], 0 <= betas[0] < 1)
        check("beta parameter at index 1", betas[1], 0 <= betas[1] < 1)
        check("weight_decay value", weight_decay, weight_decay >= 0)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def buffers(self, group: dict[str, Any]) -> tuple[str, ...]:
        """The running means of g and g^2, and the largest of the latter."""
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")[: 3 if group["amsgrad"] else 2]

    def numbers(self, group: dict[str, Any], step: int) -> dict[str, float]:
        """Both means start at 0, which is too small: the corrections divide by the weights summed so far."""
        beta1, beta2 = group["betas"]
        lr = float(group["lr"])
        numbers = {
            "step_size": lr / (1.0 - beta1**step),
            "correction": math.sqrt(1.0 - beta2**step),
            "fresh": 1.0 - beta1,
        }
        if group["decoupled_weight_decay"] and group["weight_decay"]:
            numbers["decay"] = 1.0 - lr * group["weight_decay"]
        return numbers

    def settings(self, group: dict[str, Any]) -> dict[str, Any]:
        """beta2, eps, weight_decay, maximize."""
        coupled = 0.0 if group["decoupled_weight_decay"] else group["weight_decay"]
        return {
            "beta2": group["betas"][1],
            "eps": group["eps"],
            "weight_decay": coupled,
            "maximize": group["maximize"],
        }

    def one_pass(self, arrays: list[np.ndarray], numbers: dict[str, float], settings: dict[str, Any]) -> bool:
        """All but amsgrad."""
        if len(arrays) != 4:
            return False
        sizes = (numbers[name] for name in ("step_size", "correction", "fresh"))
        given = (float(settings[name]) for name in ("beta2", "eps", "weight_decay"))
        adam_update(*arrays, *sizes, numbers.get("decay", 1.0), *given, bool(settings["maximize"]))
        return True


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameters by lr * weight_decay, apart from the gradient
    (Loshchilov and Hutter, 2019)."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )
