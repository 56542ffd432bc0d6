"""The command of the benchmarks: options, who is absent is named, reports are written. Nothing is timed in earnest."""

import importlib
import json
import sys

import numpy as np
import pytest

import tinygrad_edu as tg
from benchmarks import __main__ as command
from benchmarks import array_peers, machine, memory, report, steps, tape, timing

ABOUT = {"machine": "a machine", "versions": "numpy 2", "threads": "1"}


@pytest.fixture
def nobody(monkeypatch):
    """As if no other library were installed."""
    for module in (steps, tape, memory):
        monkeypatch.setattr(module, "installed", lambda name: False)


def test_options():
    given = command.parse(["steps", "--rounds", "7", "--threads", "2", "--out", "there"])
    assert (given.name, given.rounds, given.threads, given.out) == ("steps", 7, 2, "there")
    given = command.parse([])
    assert (given.name, given.threads) == (None, 1)


@pytest.mark.parametrize("wrong", [["stesp"], ["--threads", "0"], ["--rounds", "-1"], ["--threads", "two"]])
def test_wrong_options_are_refused(wrong, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.parse(wrong)
    assert stopped.value.code == 2
    assert "usage: python -m benchmarks" in capsys.readouterr().err


@pytest.mark.parametrize("name", command.NAMES)
def test_every_benchmark_is_there(name):
    assert callable(importlib.import_module(f"benchmarks.{name}").run)


def test_who_is_absent_is_named(nobody, monkeypatch, capsys):
    monkeypatch.setattr(steps, "STEPS", [("a", "SGD")])
    monkeypatch.setattr(steps, "peak", lambda threads: 100.0)
    monkeypatch.setattr(tape, "LINES", tape.LINES[:1])
    for module, others in ((steps, []), (tape, ["ours, compiled"])):
        records = module.run(1)
        said = capsys.readouterr().out
        absent = {r["name"]: r["absent"] for r in records if "absent" in r}
        assert set(absent) == {"torch", "torch.compile", "jax.jit", "mygrad", "autograd", "micrograd", *others}
        for name in set(absent) - set(others):
            assert f"not measured: {name}: not installed" in said
        assert {r["name"] for r in records if "ratio" in r} >= {"ours"}


def test_memory_names_the_absent_too(nobody, monkeypatch, capsys):
    monkeypatch.setattr(memory, "NAMES", ("c",))
    monkeypatch.setattr(memory, "PROCESSES", 1)
    monkeypatch.setattr(memory, "megabytes", lambda *what: 2.5)
    ours, torch = memory.run(1)
    assert (ours["name"], ours["MiB"], ours["ratio"]) == ("ours", 2.5, 1.0)
    assert torch["absent"] == "not installed"
    assert "not measured: torch: not installed" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process start its peak anew")
def test_the_memory_of_a_step_holds_its_weights_and_gradients():
    weights = sum(array.nbytes for array in steps.candidates("c", "SGD")[0].values())
    assert 2 * weights / 2**20 < memory.megabytes("tinygrad_edu", "NCHW", "c") < 100


def test_a_library_that_does_not_load_is_named(monkeypatch):
    def broken(name):
        raise ImportError("built for another NumPy")

    monkeypatch.setattr(array_peers, "import_module", broken)
    monkeypatch.setattr(steps, "installed", lambda name: name == "mygrad")
    start, makers, absent = steps.candidates("a", "SGD")
    del makers["ours, compiled"]
    found, failed = steps.agreeing(makers, start)
    assert list(found) == ["ours"]
    assert failed == {"mygrad": "fails: ImportError: built for another NumPy"}
    assert absent["jax.jit"] == "not installed"


def test_who_fails_is_named_in_one_line():
    def fails():
        raise ValueError("this\nand that")

    start, makers, _ = steps.candidates("a", "SGD")
    found, absent = steps.agreeing({"ours": makers["ours"], "other": fails}, start)
    assert list(found) == ["ours"]
    assert absent == {"other": "fails: ValueError: this"}


def test_our_own_failure_is_raised():
    def fails():
        raise ValueError("ours")

    with pytest.raises(ValueError, match="ours"):
        steps.agreeing({"ours": fails}, {})


def test_without_a_compiler_there_is_no_torch_compile(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    makers = {"torch": 1, "torch.compile NCHW": 2, "torch.compile NHWC": 3}
    absent = steps.without_compiler(makers)
    assert makers == {"torch": 1}
    assert absent == dict.fromkeys(
        ("torch.compile NCHW", "torch.compile NHWC"), "no C++ compiler: no-such-compiler not found"
    )


def test_who_keeps_more_cores_busy_than_allowed_is_named(monkeypatch):
    monkeypatch.setattr(steps, "busy_cores", lambda call: call())
    assert steps.not_held({"a": lambda: 1.05, "b": lambda: 1.9}, 1) == ["b kept 1.9 cores busy: not held to 1"]
    assert steps.not_held({"b": lambda: 1.9}, 2) == []


def test_threads_hold_everybody(monkeypatch):
    before = tg.get_num_threads()
    torch = timing.optional("torch")
    torch_before = torch.get_num_threads() if torch is not None else 0
    monkeypatch.setenv("XLA_FLAGS", "--xla_some_flag=1 --xla_cpu_multi_thread_eigen=true")
    monkeypatch.setenv("NPROC", "7")
    try:
        machine.use_threads(1)
        assert tg.get_num_threads() == 1
        assert machine.os.environ["NPROC"] == "1"
        assert machine.os.environ["XLA_FLAGS"] == "--xla_some_flag=1 --xla_cpu_multi_thread_eigen=false"
        assert timing.fair_clock() is timing.time.process_time
        assert torch is None or torch.get_num_threads() == 1
        tg.set_num_threads(2)
        assert timing.fair_clock() is timing.time.perf_counter
    finally:
        machine.use_threads(before)
        if torch is not None:
            torch.set_num_threads(torch_before)


def test_the_command_starts_again_without_what_slows_blas(monkeypatch):
    started = []
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setattr(machine.os, "execve", lambda program, arguments, env: started.append((arguments, env)))
    monkeypatch.setattr(sys, "argv", ["benchmarks", "steps", "--threads", "2"])
    machine.fair_surroundings()
    ((arguments, environment),) = started
    assert arguments[1:] == ["-m", "benchmarks", "steps", "--threads", "2"]
    assert "OPENBLAS_CORETYPE" not in environment
    assert environment["BENCHMARKS_UNPINNED"] == "OPENBLAS_CORETYPE"
    assert environment.items() >= machine.KEEP_MEMORY.items()


def test_the_header_says_what_matters(monkeypatch):
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    about = machine.describe(2, ["OPENBLAS_CORETYPE"])
    assert about["threads"].startswith("2 for every library")
    assert "numpy " in about["versions"]
    assert "numba " in about["versions"]
    assert "unset for this run: OPENBLAS_CORETYPE" in about["environment"]
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    assert "pinned by OPENBLAS_CORETYPE=Haswell" in machine.describe(1)["environment"]


def timed(benchmark, line, name, ratio, **more):
    known = {"benchmark": benchmark, "line": line, "name": name, "ratio": ratio, "seconds": 1e-3 * ratio, "spread": 0.1}
    return known | more


RECORDS = [
    timed("steps", "(a) SGD", "ours", 1.0, title="(a) a network"),
    timed("steps", "(a) SGD", "torch", 2.0, title="(a) a network"),
    timed("steps", "(a) SGD", "jax.jit", 0.5, title="(a) a network"),
    {"benchmark": "steps", "line": "(a) SGD", "name": "mygrad", "absent": "not installed"},
    timed("kernels", "64x64x64", "torch", 2.0),
    timed("kernels", "128x64x64", "torch", 8.0),
    timed("kernels", "conv (64, 1, 28, 8, 5, 1, 0) forward", "torch", 3.0),
    timed("memory", "(c) SGD", "ours", 1.0, title="(c) a network", MiB=7.0),
    timed("memory", "(c) SGD", "torch NCHW", 1.5, title="(c) a network", MiB=10.5),
    {"benchmark": "startup", "line": "import numpy", "seconds": 0.1},
]


def test_panels_of_the_chart():
    steps_panel, kernels_panel, memory_panel = report.panels(RECORDS)
    assert steps_panel == (
        "steps",
        "(a) a network; ours 1 ms",
        [("torch", 2.0, 1.8, 2.2), ("jax.jit", 0.5, 0.45, 0.55)],
    )
    assert kernels_panel.title.startswith("kernels, torch")
    assert [(name, pytest.approx(mean), low, high) for name, mean, low, high in kernels_panel.bars] == [
        ("matmul (2)", 4.0, 2.0, 8.0),
        ("conv forward (1)", 3.0, 3.0, 3.0),
    ]
    assert memory_panel.bars == [("torch NCHW", 1.5, 1.5, 1.5)]


def test_reports_are_written(tmp_path, capsys):
    report.write(RECORDS, ABOUT, str(tmp_path / "deep"))
    written = json.loads((tmp_path / "deep" / "benchmarks.json").read_text())
    assert written["records"] == RECORDS
    assert written["about"].items() >= ABOUT.items()
    assert "benchmarks.json" in capsys.readouterr().out


def test_the_chart_is_drawn_on_a_logarithmic_axis_with_a_line_at_one(tmp_path):
    figure = pytest.importorskip("matplotlib.figure")
    drawn = []
    save = figure.Figure.savefig

    def keep(self, *arguments, **options):
        drawn.append(self)
        save(self, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure.Figure, "savefig", keep)
        report.write(RECORDS, ABOUT, str(tmp_path))
    assert (tmp_path / "benchmarks.png").stat().st_size > 5000
    assert len(drawn[0].axes) == 3
    for axes, (least, most) in zip(drawn[0].axes, ((0.45, 2.2), (1, 8), (1, 1.5)), strict=True):
        assert axes.get_xscale() == "log"
        assert any(np.array_equal(line.get_xdata(), [1, 1]) for line in axes.lines)
        low, high = axes.get_xlim()
        assert low < least < most < high


def test_a_folder_is_no_library(tmp_path, monkeypatch):
    (tmp_path / "a_folder").mkdir()
    (tmp_path / "a_module.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert timing.optional("a_folder") is None
    assert timing.optional("a_module") is not None
    assert timing.optional("not_there") is None


def test_rounds_are_interleaved():
    order = []
    calls = {"a": lambda: order.append("a"), "b": lambda: order.append("b"), "c": lambda: order.append("c")}
    found = timing.interleave(calls, 6, least=0.0)
    assert {name: len(t.seconds) for name, t in found.items()} == dict.fromkeys("abc", 6)
    assert "".join(order[-18:]) == "abcbcacab" * 2


def test_results_that_differ_are_not_timed():
    timing.check_equal({"a": [1.0, 2.0], "b": [1.0, 2.0 + 1e-6]}, 1e-5)
    with pytest.raises(AssertionError, match="b against a"):
        timing.check_equal({"a": [1.0, 2.0], "b": [1.0, 2.1]}, 1e-5)
    with pytest.raises(AssertionError):
        timing.check_equal({"a": [1.0, 2.0], "b": [1.0, np.nan]}, 1e-5)
