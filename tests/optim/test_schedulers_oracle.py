"""Learning rate schedules against PyTorch, alone, together, and resumed."""

import inspect

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import optim

SCHEDULES = {
    "StepLR": {"step_size": 3, "gamma": 0.5},
    "MultiStepLR": {"milestones": [7, 2, 7], "gamma": 0.5},
    "ExponentialLR": {"gamma": 0.9},
    "CosineAnnealingLR": {"T_max": 5, "eta_min": 0.01},
    "LambdaLR": {"lr_lambda": [lambda k: 0.9**k, lambda k: 1 / (k + 1)]},
    "OneCycleLR": {"max_lr": [1.0, 2.0], "total_steps": 25},
    "OneCycleLR linear": {"max_lr": 1.0, "epochs": 5, "steps_per_epoch": 5, "anneal_strategy": "linear"},
    "OneCycleLR three phases": {"max_lr": 1.0, "total_steps": 25, "three_phase": True, "pct_start": 0.4},
}


def optimizer_of(lib, name="SGD"):
    groups = [{"params": [lib.zeros(1, requires_grad=True)]}, {"params": [lib.zeros(1, requires_grad=True)], "lr": 0.2}]
    return lib.optim.SGD(groups, lr=0.5, momentum=0.9) if name == "SGD" else lib.optim.Adam(groups, lr=0.5)


def settings_of(optimizer):
    return [(g["lr"], g.get("momentum", g.get("betas", [0])[0] if "betas" in g else 0)) for g in optimizer.param_groups]


def follow(lib, name, optimizer="SGD", steps=24, disturb=None):
    o = optimizer_of(lib, optimizer)
    schedule = getattr(lib.optim.lr_scheduler, name.split()[0])(o, **SCHEDULES[name])
    found = [settings_of(o)]
    for i in range(steps):
        o.step()
        schedule.step()
        if i == disturb:
            o.param_groups[0]["lr"] *= 1.5
        found.append(settings_of(o))
    assert schedule.get_last_lr() == [lr for lr, _ in found[-1]]
    return np.array(found)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("disturb", [None, 4, 9])
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(torch, name, disturb, optimizer):
    ours, theirs = (follow(lib, name, optimizer, disturb=disturb) for lib in (tg, torch))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


def test_two_schedules_at_once(torch):
    def run(lib):
        o = optimizer_of(lib)
        schedules = [lib.optim.lr_scheduler.CosineAnnealingLR(o, 4), lib.optim.lr_scheduler.StepLR(o, 3)]
        found = []
        for _ in range(12):
            o.step()
            for schedule in schedules:
                schedule.step()
            found.append(settings_of(o))
        return np.array(found)

    np.testing.assert_allclose(run(tg), run(torch), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", SCHEDULES)
def test_resumed_from_state(name):
    def new():
        o = optimizer_of(tg)
        return o, getattr(optim.lr_scheduler, name.split()[0])(o, **SCHEDULES[name])

    o, schedule = new()
    for _ in range(6):
        o.step()
        schedule.step()
    o2, schedule2 = new()
    o2.load_state_dict(o.state_dict())
    schedule2.load_state_dict(schedule.state_dict())
    for _ in range(6):
        for a, b in ((o, schedule), (o2, schedule2)):
            a.step()
            b.step()
        assert settings_of(o) == settings_of(o2)


@pytest.mark.parametrize("settings", [
    {"patience": 1}, {"patience": 0, "cooldown": 2}, {"mode": "max", "patience": 1, "threshold": 0.1},
    {"patience": 1, "threshold_mode": "abs", "threshold": 0.5}, {"patience": 0, "min_lr": [0.1, 0.0]},
    {"patience": 0, "eps": 0.1, "factor": 0.5}, {"mode": "max", "threshold_mode": "abs", "patience": 2},
])  # fmt: skip
def test_plateaus(torch, settings):
    metrics = [3.0, 2.0, 2.1, 1.99, 2.0, -1.0, -1.0, -1.05, -0.9, -0.9, -0.9, 0.0, 5.0, float("nan"), 4.0, 4.0]

    def run(lib):
        o = optimizer_of(lib)
        schedule = lib.optim.lr_scheduler.ReduceLROnPlateau(o, **settings)
        found = []
        for m in metrics:
            schedule.step(m)
            found.append([g["lr"] for g in o.param_groups])
        assert schedule.get_last_lr() == found[-1]
        return found

    np.testing.assert_allclose(run(tg), run(torch), rtol=1e-12)


def test_plateau_state():
    o = optimizer_of(tg)
    schedule = optim.lr_scheduler.ReduceLROnPlateau(o, patience=1)
    schedule.step(1.0)
    schedule.step(tg.tensor(2.0))
    twin = optim.lr_scheduler.ReduceLROnPlateau(optimizer_of(tg), patience=1)
    twin.load_state_dict(schedule.state_dict())
    assert (twin.best, twin.num_bad_epochs) == (1.0, 1)


ERRORS = {
    "no optimizer": lambda o, s: s.StepLR(3, 1),
    "no optimizer to plateau": lambda o, s: s.ReduceLROnPlateau(3),
    "resumed without initial_lr": lambda o, s: s.ExponentialLR(o, 0.9, last_epoch=3),
    "lambdas": lambda o, s: s.LambdaLR(o, [lambda k: 1.0]),
    "no steps": lambda o, s: s.OneCycleLR(o, 1.0),
    "negative steps": lambda o, s: s.OneCycleLR(o, 1.0, total_steps=-1),
    "strategy": lambda o, s: s.OneCycleLR(o, 1.0, total_steps=3, anneal_strategy="up"),
    "pct": lambda o, s: s.OneCycleLR(o, 1.0, total_steps=3, pct_start=2.0),
    "max_lr": lambda o, s: s.OneCycleLR(o, [1.0], total_steps=3),
    "factor": lambda o, s: s.ReduceLROnPlateau(o, factor=1.0),
    "mode": lambda o, s: s.ReduceLROnPlateau(o, mode="up"),
    "threshold mode": lambda o, s: s.ReduceLROnPlateau(o, threshold_mode="up"),
    "too many steps": lambda o, s: [
        (o.step(), c.step()) for c in [s.OneCycleLR(o, 1.0, total_steps=2)] for _ in range(4)
    ],
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("what", ERRORS)
def test_errors_have_pytorchs_types(torch, what):
    with pytest.raises(Exception) as theirs:  # noqa: PT011 - whatever PyTorch raises
        ERRORS[what](optimizer_of(torch), torch.optim.lr_scheduler)
    with pytest.raises(theirs.type):
        ERRORS[what](optimizer_of(tg), optim.lr_scheduler)


@pytest.mark.parametrize("name", [*dict.fromkeys(name.split()[0] for name in SCHEDULES), "ReduceLROnPlateau"])
def test_constructors_take_the_same_arguments(torch, name):
    ours, theirs = (inspect.signature(getattr(m.lr_scheduler, name)).parameters for m in (optim, torch.optim))
    assert [(p.name, p.default) for p in ours.values()] == [(p.name, p.default) for p in theirs.values()]


def test_the_wrong_order_warns():
    o = optimizer_of(tg)
    schedule = optim.lr_scheduler.StepLR(o, 1)
    with pytest.warns(UserWarning, match="before `optimizer.step"):
        schedule.step()
