"""Many small networks trained as one: their weights lie along a first axis, and one graph takes a step with all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_edu as tg
from demos.descent import descend
from tinygrad_edu import optim


def together(
    drawn: list[dict[str, np.ndarray]],
    hidden: Callable[[tg.Tensor], tg.Tensor],
    loss: Any,
    data: tuple[tg.Tensor, tg.Tensor],
    lr: float,
    limit: int,
    what: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Plain steps for networks with one hidden layer and a sigmoid output, at most `limit`.

    drawn  -- the weights W1, b1, W2, b2 of each
    hidden -- the activation of the hidden layer
    loss   -- with a `reduction`, as in `nn.functional`

    Returns, for each network, the updates until it was right everywhere first (-1: it never was), and its last loss.
    No step mixes the networks: the derivative of a sum of losses by the weights of one is that of its own loss.
    """
    inputs, targets = data
    stacks = [np.stack([np.atleast_2d(weights[name]) for weights in drawn]) for name in ("W1", "b1", "W2", "b2")]
    W1, b1, W2, b2 = leaves = [tg.tensor(stack, requires_grad=True) for stack in stacks]
    counts, losses = np.full(len(drawn), -1), []

    def objective() -> tuple[tg.Tensor, float]:
        p = tg.sigmoid(hidden(inputs @ W1 + b1) @ W2 + b2)
        each = loss(p, targets.expand(p.shape), reduction="none").mean((1, 2))
        right = ((p.detach().numpy() >= 0.5) == (targets.numpy() > 0.5)).all((1, 2))
        counts[right & (counts < 0)] = len(losses)
        losses.append(each.detach().numpy())
        return each.sum(), float((counts >= 0).mean())

    descend(objective, optim.SGD(leaves, lr=lr), limit, what=f"{what}, {len(drawn)} draws")
    return counts, losses[-1]
