"""Learning rate schedules: call `scheduler.step()` once per epoch (or batch), after `optimizer.step()`.

Most are written as PyTorch's are, as a change from one learning rate to the next, so that several schedules can act on
one optimizer, and so can the user.  Recorded programs read the learning rate anew at every replay.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from tinygrad_edu.optim.optimizer import Optimizer

Groups = list[dict[str, Any]]


class LRScheduler:
    """The base: `get_lr()` gives the learning rates of the epoch `last_epoch`, from the present ones."""

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming an optimizer: load its "
                    "state_dict first"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._step_count = 0
        self._last_lr: list[float] = []
        self._advance()

    @property
    def _groups(self) -> Groups:
        return self.optimizer.param_groups

    def get_lr(self) -> list[float]:
        """The learning rate of each group in the epoch `last_epoch`."""
        raise NotImplementedError(f"{type(self).__name__} needs a method get_lr()")

    def get_last_lr(self) -> list[float]:
        """The learning rates set last."""
        return self._last_lr

    def step(self) -> None:
        """Go on to the next epoch."""
        if self._step_count == 1 and not getattr(self.optimizer, "_stepped", True):
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`: in the opposite order the first "
                "value of the schedule is not skipped.",
                stacklevel=2,
            )
        self._advance()

    def _advance(self) -> None:
        self._step_count += 1
        self.last_epoch += 1
        for group, lr in zip(self._groups, self.get_lr(), strict=True):
            group["lr"] = lr
        self._last_lr = [group["lr"] for group in self._groups]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and functions."""
        return {k: v for k, v in self.__dict__.items() if k != "optimizer" and not callable(v)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what `state_dict` gave (load the optimizer's as well)."""
        self.__dict__.update(state_dict)


class LambdaLR(LRScheduler):
    """The initial lr times `lr_lambda(epoch)`; one function, or one per group."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | list[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        count = len(optimizer.param_groups)
        self.lr_lambdas = list(lr_lambda) if isinstance(lr_lambda, (list, tuple)) else [lr_lambda] * count
        if len(self.lr_lambdas) != count:
            raise ValueError(f"Expected {count} lr_lambdas, but got {len(self.lr_lambdas)}")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """initial * lambda(epoch)."""
        return [base * f(self.last_epoch) for base, f in zip(self.base_lrs, self.lr_lambdas, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer and the functions."""
        return {k: v for k, v in super().state_dict().items() if k != "lr_lambdas"}


class StepLR(LRScheduler):
    """lr times gamma every `step_size` epochs."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Multiplied when step_size divides the epoch."""
        due = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return [group["lr"] * (self.gamma if due else 1.0) for group in self._groups]


class MultiStepLR(LRScheduler):
    """lr times gamma at each of the `milestones`."""

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = sorted(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Multiplied once for every milestone at this epoch."""
        factor = self.gamma ** self.milestones.count(self.last_epoch)
        return [group["lr"] * factor for group in self._groups]


class ExponentialLR(LRScheduler):
    """lr times gamma every epoch."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """Multiplied, except at the start."""
        return [group["lr"] * (self.gamma if self.last_epoch > 0 else 1.0) for group in self._groups]


class CosineAnnealingLR(LRScheduler):
    """From the initial lr to eta_min along half a cosine in T_max epochs, and back (Loshchilov and Hutter, 2017)."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The height above eta_min changes as 1 + cos(pi t / T_max) does."""
        t = self.last_epoch
        if t == 0:
            return [group["lr"] for group in self._groups]
        now, before = (1.0 + math.cos(math.pi * k / self.T_max) for k in (t, t - 1))
        if self._step_count == 1:
            return [self.eta_min + (base - self.eta_min) * now / 2.0 for base in self.base_lrs]
        if (t - 1 - self.T_max) % (2 * self.T_max) == 0:
            # at the bottom there is no height to scale: add the first rise
            rise = (1.0 - math.cos(math.pi / self.T_max)) / 2.0
            lows = zip(self._groups, self.base_lrs, strict=True)
            return [group["lr"] + (base - self.eta_min) * rise for group, base in lows]
        return [self.eta_min + (group["lr"] - self.eta_min) * now / before for group in self._groups]


class OneCycleLR(LRScheduler):
    """Up from max_lr / div_factor to max_lr, down to the start / final_div_factor; momentum the other way round.

    Step it after every batch, `total_steps` (or epochs * steps_per_epoch) times in all (Smith and Topin, 2018).
    Raises ValueError for settings that make no sense, or when stepped more often.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        total_steps = _total(total_steps, epochs, steps_per_epoch)
        if not 0.0 <= pct_start <= 1.0:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self.total_steps = total_steps
        self.anneal_strategy = anneal_strategy
        self.cycle_momentum = cycle_momentum
        first = float(pct_start * total_steps) - 1.0
        middle = [(2.0 * first, "max_lr", "initial_lr", "base_momentum", "max_momentum")] if three_phase else []
        top = "initial_lr" if three_phase else "max_lr"
        low = "max_momentum" if three_phase else "base_momentum"
        self._phases = [
            (first, "initial_lr", "max_lr", "max_momentum", "base_momentum"),
            *middle,
            (total_steps - 1.0, top, "min_lr", low, "max_momentum"),
        ]
        if last_epoch == -1:
            self._prepare(optimizer, max_lr, base_momentum, max_momentum, div_factor, final_div_factor)
        super().__init__(optimizer, last_epoch)

    def _prepare(self, optimizer: Any, max_lr: Any, low: Any, high: Any, div: float, final: float) -> None:
        """The ends of the schedule, kept in the groups."""
        count = len(optimizer.param_groups)
        tops = _each("max_lr", max_lr, count)
        for group, top in zip(optimizer.param_groups, tops, strict=True):
            group.update(initial_lr=top / div, max_lr=top, min_lr=top / div / final)
        if not self.cycle_momentum:
            return
        if not {"momentum", "betas"} & set(optimizer.defaults):
            raise ValueError("optimizer must support momentum or beta1 with `cycle_momentum` option enabled")
        lows, highs = _each("base_momentum", low, count), _each("max_momentum", high, count)
        for group, bottom, top in zip(optimizer.param_groups, lows, highs, strict=True):
            _set_momentum(group, top)
            group.update(base_momentum=bottom, max_momentum=top)

    def _between(self, start: float, end: float, part: float) -> float:
        """From start (part 0) to end (part 1)."""
        if self.anneal_strategy == "linear":
            return start + (end - start) * part
        return end + (start - end) / 2.0 * (1.0 + math.cos(math.pi * part))

    def get_lr(self) -> list[float]:
        """The lr of this step; sets the momentum too."""
        at = self.last_epoch
        if at > self.total_steps:
            raise ValueError(f"Tried to step {at} times. The specified number of total steps is {self.total_steps}")
        begin = 0.0
        for k, (end, *_) in enumerate(self._phases):
            if at <= end or k == len(self._phases) - 1:
                break
            begin = end
        end, lr_from, lr_to, momentum_from, momentum_to = self._phases[k]
        part = (at - begin) / (end - begin)
        if self.cycle_momentum:
            for group in self._groups:
                _set_momentum(group, self._between(group[momentum_from], group[momentum_to], part))
        return [self._between(group[lr_from], group[lr_to], part) for group in self._groups]


def _total(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    """How many steps there will be."""
    if total_steps is None:
        if epochs is None or steps_per_epoch is None:
            raise ValueError("You must define either total_steps OR (epochs AND steps_per_epoch)")
        total_steps = epochs * steps_per_epoch
    if not (isinstance(total_steps, int) and total_steps > 0):
        raise ValueError(f"Expected positive integer total_steps, but got {total_steps}")
    return total_steps


def _each(name: str, value: Any, count: int) -> list[float]:
    """One value per group."""
    values = list(value) if isinstance(value, (list, tuple)) else [value] * count
    if len(values) != count:
        raise ValueError(f"Expected {count} values for {name}, but got {len(values)}")
    return values


def _set_momentum(group: dict[str, Any], value: float) -> None:
    """The momentum of SGD, or Adam's beta1."""
    if "betas" in group:
        group["betas"] = (value, *group["betas"][1:])
    else:
        group["momentum"] = value


class ReduceLROnPlateau:
    """lr times `factor` when a metric has not improved for more than `patience` epochs: `scheduler.step(loss)`.

    mode            -- "min" or "max": what improving means
    threshold       -- by how much, as a part of the best ("rel") or in absolute terms ("abs")
    cooldown        -- epochs after a reduction in which nothing is counted
    min_lr, eps     -- no lr below min_lr, no change smaller than eps
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        if factor >= 1.0:
            raise ValueError("Factor should be < 1.0.")
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        if mode not in ("min", "max"):
            raise ValueError(f"mode {mode} is unknown!")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold mode {threshold_mode} is unknown!")
        self.optimizer = optimizer
        self.mode, self.threshold, self.threshold_mode = mode, threshold, threshold_mode
        self.factor, self.patience, self.cooldown, self.eps = factor, patience, cooldown, eps
        self.min_lrs = _each("min_lr", min_lr, len(optimizer.param_groups))
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = self.last_epoch = 0
        self._last_lr = [group["lr"] for group in optimizer.param_groups]

    def is_better(self, a: float, best: float) -> bool:
        """Whether the metric a is an improvement."""
        sign = 1.0 if self.mode == "max" else -1.0
        margin = self.threshold if self.threshold_mode == "abs" else best * self.threshold
        bound = best + sign * margin if math.isfinite(best) else best
        return a > bound if self.mode == "max" else a < bound

    def step(self, metrics: Any) -> None:
        """Take one epoch's metric into account."""
        current = float(metrics)
        self.last_epoch += 1
        if self.is_better(current, self.best):
            self.best, self.num_bad_epochs = current, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group, least in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
                lr = max(group["lr"] * self.factor, least)
                if group["lr"] - lr > self.eps:
                    group["lr"] = lr
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def get_last_lr(self) -> list[float]:
        """The learning rates set last."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer."""
        return {k: v for k, v in self.__dict__.items() if k != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what `state_dict` gave (load the optimizer's as well)."""
        self.__dict__.update(state_dict)
