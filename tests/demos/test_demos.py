"""The main job in its short form: its numbers, its files, and what it does when something goes wrong."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from demos import __main__ as main
from demos import cnn_digits, mlp_digits, worked_example
from demos.report import Report
from tinygrad_edu import viz
from tinygrad_edu.datasets import Digits

pytest.importorskip("sklearn", reason="scikit-learn is not installed: the digits come with it")
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The whole tour, once: its exit code and the folder it wrote."""
    out = tmp_path_factory.mktemp("out")
    return main.main(["--fast", "--out", str(out)]), out


def numbers(out, name):
    return json.loads((out / f"{name}.json").read_text(encoding="utf-8"))


def test_the_tour_meets_its_bars_and_writes_its_files(finished):
    code, out = finished
    assert code == 0
    for name in main.TOUR:
        assert all(bar["met"] for bar in numbers(out, name)["bars"])
    pictures = ("curves", "confusion", "graph")
    inside = ("cnn_filters", "cnn_maps1", "cnn_maps2", "cnn_slopes")
    made = [f"{net}_{picture}" for net in ("mlp", "cnn") for picture in pictures]
    for name in ("worked_example", "worked_example_full", *made, *inside):
        assert (out / f"{name}.svg").read_bytes().startswith(b"<?xml")
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    page = (out / "index.html").read_text(encoding="utf-8")
    assert page.count("<figure>") >= 12
    assert "WRONG: the minus sign of δ2 was dropped" in page


def test_the_worked_example_to_ten_digits(finished):
    found = numbers(finished[1], "worked_example")["numbers"]
    for name, (exact, _, _) in worked_example.TABLE.items():
        np.testing.assert_allclose(found[name], np.array(exact.split(), float), rtol=1e-9, atol=0, err_msg=name)


def test_the_figures_of_the_report_come_from_its_slips(finished):
    found = numbers(finished[1], "worked_example")["numbers"]["with the slips"]
    assert [f"{v:.4f}" for v in found["δ1"]] == ["0.0489", "0.0545"]
    assert [f"{v:.4f}" for v in found["dC/dx"]] == ["0.0010", "0.0026"]
    marked = [name for name, (_, _, slip) in worked_example.TABLE.items() if slip]
    reported = {name: values for name, (_, values, _) in worked_example.TABLE.items() if values}
    right = [
        name
        for name, values in reported.items()
        if values.split() == [f"{float(v):.4f}" for v in worked_example.TABLE[name][0].split()]
    ]
    assert sorted(marked + right) == sorted(reported)


def test_the_derivation_and_the_drawing_show_the_same_numbers(finished):
    _, out = finished
    page = (out / "index.html").read_text(encoding="utf-8")
    drawing = (out / "worked_example.svg").read_text(encoding="utf-8")
    for shown in ("0.02268", "0.02577", "0.009846", "0.8253"):
        assert f">{shown}</text>" in drawing
        assert shown in page.split("The same on paper")[2].split("The same as a drawing")[0]


@pytest.mark.parametrize(("name", "bar"), [("mlp_digits", 0.85), ("cnn_digits", 0.9)])
def test_the_networks_learn(finished, name, bar):
    found = numbers(finished[1], name)["numbers"]
    losses = found["history"]["loss (nats)"]["train"]
    assert losses[-1] < losses[0] / 2
    counts = np.array(found["confusion"])
    assert counts.sum() == 360
    assert found["test accuracy"] == pytest.approx(np.trace(counts) / 360)
    assert found["test accuracy"] >= bar


def test_the_graph_of_the_cnn_has_its_modules_as_boxes(finished):
    drawing = (finished[1] / "cnn_graph.svg").read_text(encoding="utf-8")
    for box in (">CNN<", ">block1: Sequential<", ">0: Conv2d<", ">1: BatchNorm2d<", ">3: MaxPool2d<", ">out: Linear<"):
        assert box in drawing


def test_feature_maps_are_what_the_modules_return():
    tg.manual_seed(0)
    model = cnn_digits.CNN().eval()
    images = Digits(train=False).images[:2]
    first, second = cnn_digits.outputs_of(model, images, model.block1[2], model.block2[2])
    by_hand = model.block1[2](model.block1[1](model.block1[0](images)))
    np.testing.assert_array_equal(first, by_hand.detach().numpy()[0])
    assert second.shape == (16, 4, 4)
    assert not any(module._forward_hooks for module in model.modules())


def test_the_same_seed_gives_the_same_numbers(finished, tmp_path):
    assert main.main(["mlp_digits", "--fast", "--out", str(tmp_path)]) == 0
    assert numbers(tmp_path, "mlp_digits") == numbers(finished[1], "mlp_digits")
    assert (tmp_path / "mlp_digits.html").exists()
    assert not (tmp_path / "index.html").exists()


def test_a_missed_bar_is_named_and_fails_the_run(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(mlp_digits, "run", lambda report: report.bar("test accuracy", 0.5, at_least=0.96))
    assert main.main(["mlp_digits", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "demos: MISSED mlp_digits: test accuracy\n"
    assert numbers(tmp_path, "mlp_digits")["bars"][0]["met"] is False


def test_a_bar_that_is_not_a_number_is_missed(tmp_path):
    report = Report("any", viz.Page("title"), tmp_path)
    report.bar("accuracy", float("nan"), at_least=0.5)
    report.bar("error", float("nan"), at_most=0.5)
    assert [bar["met"] for bar in report.bars] == [False, False]


def test_interrupted_it_keeps_what_is_finished(monkeypatch, tmp_path, capsys):
    def interrupted(report):
        report.heading("Half of it")
        raise KeyboardInterrupt

    monkeypatch.setattr(worked_example, "run", lambda report: report.text("All of it."))
    monkeypatch.setattr(mlp_digits, "run", interrupted)
    assert main.main(["--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err == f"\ndemos: stopped; what was finished is in {tmp_path}\n"
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "All of it." in page
    assert "Half of it" not in page


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send to one process")
def test_ctrl_c_ends_with_one_line_and_130(tmp_path):
    code = (
        "import sys, time; from demos import __main__ as main, worked_example;"
        "worked_example.run = lambda report: (print('ready', flush=True), time.sleep(60));"
        f"sys.exit(main.main(['worked_example', '--out', {str(tmp_path)!r}]))"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    while child.stdout.readline() != "ready\n":
        assert child.poll() is None
    child.send_signal(signal.SIGINT)
    _, err = child.communicate()
    assert child.returncode == 130
    assert err == f"\ndemos: stopped; what was finished is in {tmp_path}\n"


def test_a_missing_extra_is_said_in_one_line(monkeypatch, tmp_path, capsys):
    for name in ("sklearn", "sklearn.datasets"):
        monkeypatch.setitem(sys.modules, name, None)
    assert main.main(["mlp_digits", "--fast", "--out", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert 'pip install "tinygrad_edu[demos]"' in err
    assert len(err.splitlines()) == 1


def test_list_names_every_demo_there_is(capsys):
    assert main.main(["list"]) == 0
    said = capsys.readouterr().out
    files = {path.stem for path in (ROOT / "demos").glob("[!_]*.py") if "SECONDS =" in path.read_text(encoding="utf-8")}
    assert files == set(main.DEMOS)
    assert all(f"  {name} " in said for name in files)


def test_an_unknown_demo_is_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        main.main(["mnist"])
    assert stopped.value.code == 2
    assert "there is no demo 'mnist'" in capsys.readouterr().err


def test_options_that_cannot_be_used_are_refused(capsys, tmp_path):
    (tmp_path / "file").write_text("", "utf-8")
    for option, value, said in (
        ("--out", str(tmp_path / "file"), "that is a file"),
        ("--data", str(tmp_path / "nothing"), "there is no such folder"),
        ("--seed", "-1", "a seed is 0 or more"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main.main(["identities", option, value])
        assert stopped.value.code == 2
        assert f"{option} {value}: {said}" in capsys.readouterr().err
