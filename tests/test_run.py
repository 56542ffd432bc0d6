"""run.py: what it decides before it installs or starts anything. No network, no installation."""

import ast
import importlib.util
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

RUN_PY = Path(__file__).parent.parent / "run.py"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """A fresh import of run.py, looking at a checkout in a temporary folder."""
    spec = importlib.util.spec_from_file_location("run_py", RUN_PY)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("setup.cfg", "pyproject.toml"):
        (tmp_path / name).write_bytes((RUN_PY.parent / name).read_bytes())
    monkeypatch.setattr(module, "ROOT", str(tmp_path))
    monkeypatch.setattr(module, "VENV", str(tmp_path / ".venv"))
    monkeypatch.setattr(module.shutil, "which", lambda name: None)
    return module


@pytest.fixture
def commands(run, monkeypatch):
    """The commands that run.py would have started, in order; making a venv makes its interpreter."""
    started = []

    def call(command):
        started.append(command)
        if "venv" in command:
            make_interpreter(run)
        return 0

    monkeypatch.setattr(run, "call", call)
    monkeypatch.setattr(run.subprocess, "call", lambda command, stderr: 0)
    return started


def make_interpreter(run):
    python = Path(run.venv_python(run.VENV))
    python.parent.mkdir(parents=True, exist_ok=True)
    python.touch()


def installed(run, extras):
    make_interpreter(run)
    stamp = {"extras": extras, "fingerprint": run.fingerprint(run.ROOT)}
    Path(run.stamp_path(run.VENV)).write_text(json.dumps(stamp))


def test_its_syntax_is_older_than_the_python_it_asks_for():
    newer = (ast.JoinedStr, ast.NamedExpr, ast.AnnAssign, ast.Match, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(RUN_PY.read_text(encoding="utf-8"))):
        assert not isinstance(node, newer), f"line {node.lineno}"
        assert not getattr(node, "annotation", None)
        assert not getattr(node, "returns", None)
        assert not getattr(node, "posonlyargs", None)
        assert not getattr(node, "kwonlyargs", None)


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 6, 15), (3, 9, 0), (3, 10, 13)])
def test_an_old_python_is_told_in_one_line(run, version):
    message = run.python_too_old((*version, "final", 0), "/opt/python")
    assert "needs Python 3.11 or newer" in message
    assert "{}.{}.{} (/opt/python)".format(*version) in message
    assert "\n" not in message


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 12, 1), (3, 20, 0), (4, 0, 0)])
def test_a_new_enough_python_is_not(run, version):
    assert run.python_too_old(version, "/opt/python") is None


def test_missing_ensurepip_names_the_debian_package(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    message = run.venv_unavailable((3, 12, 1, "final", 0))
    assert message.endswith("apt install python3.12-venv")
    assert "\n" not in message


def test_missing_ensurepip_stops_before_anything_is_made(run, monkeypatch, commands):
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(SystemExit, match=r"apt install python3\.\d+-venv"):
        run.main(["test"])
    assert commands == []
    assert not Path(run.VENV).exists()


def test_the_interpreter_is_where_each_system_puts_it(run):
    assert Path(run.venv_python("v", windows=True)).parts == ("v", "Scripts", "python.exe")
    assert Path(run.venv_python("v", windows=False)).parts == ("v", "bin", "python")


def test_first_call_makes_installs_stamps_and_runs(run, commands):
    assert run.main(["test", "-k", "engine"]) == 0
    python = run.venv_python(run.VENV)
    assert commands == [
        [sys.executable, "-m", "venv", run.VENV],
        [python, "-m", "pip", "install", "-e", ".[demos,test]"],
        [python, "-m", "pytest", "-n", "auto", "-k", "engine"],
    ]
    assert run.extras_to_install(run.VENV, run.fingerprint(run.ROOT), ["demos", "test"]) is None


def test_second_call_only_runs(run, commands):
    installed(run, ["demos", "test"])
    assert run.main(["demo", "--fast"]) == 0
    assert commands == [[run.venv_python(run.VENV), "-m", "demos", "--fast"]]


def test_setup_installs_the_named_extras_and_runs_nothing(run, commands):
    installed(run, ["test"])
    assert run.main(["setup", "lint", "test"]) == 0
    assert commands == [[run.venv_python(run.VENV), "-m", "pip", "install", "-e", ".[lint,test]"]]
    assert run.main(["setup", "lint"]) == 0
    assert len(commands) == 1


def test_setup_refuses_an_extra_that_is_not_there(run, commands):
    with pytest.raises(SystemExit, match="no extra named tests"):
        run.main(["setup", "tests"])
    assert commands == []


@pytest.mark.parametrize("name", ["setup.cfg", "pyproject.toml"])
def test_changed_metadata_installs_again_with_the_extras_of_before(run, commands, name):
    installed(run, ["lint", "test"])
    with open(Path(run.ROOT) / name, "a") as file:
        file.write("\n# changed\n")
    assert run.main(["setup", "test"]) == 0
    assert commands[0][-1] == ".[lint,test]"


def test_a_moved_checkout_installs_again(run):
    installed(run, ["test"])
    (Path(run.ROOT) / "moved").mkdir()
    for name in ("setup.cfg", "pyproject.toml"):
        (Path(run.ROOT) / "moved" / name).write_bytes((Path(run.ROOT) / name).read_bytes())
    elsewhere = run.fingerprint(str(Path(run.ROOT) / "moved"))
    assert run.extras_to_install(run.VENV, elsewhere, ["test"]) == ["test"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"extras": ["test"]}', '{"extras": 1, "fingerprint": ""}'])
def test_an_unreadable_stamp_installs_again(run, content):
    installed(run, ["test"])
    Path(run.stamp_path(run.VENV)).write_text(content)
    assert run.extras_to_install(run.VENV, run.fingerprint(run.ROOT), ["test"]) == ["test"]


def test_a_stamp_without_an_interpreter_installs_again(run):
    installed(run, ["lint"])
    Path(run.venv_python(run.VENV)).unlink()
    assert run.extras_to_install(run.VENV, run.fingerprint(run.ROOT), ["lint"]) == ["lint"]


def test_a_half_made_venv_is_made_anew(run, commands, monkeypatch):
    make_interpreter(run)
    leftover = Path(run.VENV) / "leftover"
    leftover.touch()
    monkeypatch.setattr(run.subprocess, "call", lambda command, stderr: 1)
    assert run.main(["setup", "test"]) == 0
    assert commands[0] == [sys.executable, "-m", "venv", run.VENV]
    assert not leftover.exists()


def test_uv_is_used_when_there_and_pip_on_request(run, commands, monkeypatch):
    monkeypatch.setattr(run.shutil, "which", lambda name: "/opt/uv")
    assert run.main(["setup", "test"]) == 0
    assert commands[0] == ["/opt/uv", "venv", "--seed", "--python", sys.executable, run.VENV]
    assert commands[1][:3] == ["/opt/uv", "pip", "install"]
    assert run.main(["--pip", "setup", "lint"]) == 0
    assert commands[2][1:4] == ["-m", "pip", "install"]


def test_a_failed_installation_leaves_no_stamp_and_names_the_way_out(run, monkeypatch):
    installed(run, ["test"])
    monkeypatch.setattr(run.shutil, "which", lambda name: "/opt/uv")
    monkeypatch.setattr(run.subprocess, "call", lambda command, stderr: 0)
    monkeypatch.setattr(run, "call", lambda command: 1)
    with pytest.raises(SystemExit, match=r"installation failed.*run\.py --pip"):
        run.main(["demo"])
    assert not Path(run.stamp_path(run.VENV)).exists()


@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["tests"], 2), (["--help"], 0), (["--pip"], 2)])
def test_anything_else_shows_the_usage(run, commands, capsys, arguments, code):
    assert run.main(arguments) == code
    assert "python3 run.py demo" in capsys.readouterr().err
    assert commands == []


def test_the_exit_code_is_passed_through(run):
    assert run.call([sys.executable, "-c", "raise SystemExit(7)"]) == 7


@pytest.mark.skipif(sys.platform == "win32", reason="no signals of this kind on Windows")
def test_a_child_ended_by_a_signal_gives_the_shells_code(run):
    assert run.call([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]) == 128 + signal.SIGKILL


def test_ctrl_c_waits_for_the_child_and_then_stops(run, monkeypatch):
    class Child:
        waits = iter([KeyboardInterrupt(), KeyboardInterrupt(), 2])

        def wait(self):
            outcome = next(self.waits)
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

    monkeypatch.setattr(run.subprocess, "Popen", lambda command, cwd: Child())
    with pytest.raises(KeyboardInterrupt):
        run.call(["pytest"])
    assert list(Child.waits) == []


def test_the_file_itself_runs_and_imports_nothing_installed():
    code = "import runpy, sys; sys.argv = ['run.py', '--help']; runpy.run_path('run.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], cwd=RUN_PY.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "python3 run.py test" in done.stderr
