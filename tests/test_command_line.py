"""`python -m tinygrad_edu`, installed as `tinygrad-edu`."""

import subprocess
import sys

import pytest

import tinygrad_edu
from tinygrad_edu import kernels
from tinygrad_edu.__main__ import main


@pytest.fixture
def cache_root(monkeypatch, tmp_path):
    """A kernel cache with 1.5 MB of this version and 0.5 MB of another, and a file that is not a kernel's."""
    monkeypatch.setenv("TINYGRAD_EDU_CACHE", str(tmp_path))
    for folder, size in ((kernels.cache_folder(), 1_500_000), (tmp_path / ("numba-" + "0" * 16), 500_000)):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "kernel.nbc").write_bytes(b"0" * size)
    (tmp_path / "notes.txt").write_text("mine")
    return tmp_path


def test_with_no_command_it_says_what_it_is(cache_root, capsys):
    assert main([]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"tinygrad_edu {tinygrad_edu.__version__}: ")
    assert str(cache_root) in said
    assert "tinygrad-edu warmup" in said
    assert len(said.splitlines()) <= 16


def test_cache_says_where_and_how_much(cache_root, capsys):
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == f"2.0 MB of compiled kernels in {cache_root}\n"
    assert kernels.cache_folder().exists()


def test_cache_clear_deletes_the_kernels_of_every_version_and_nothing_else(cache_root, capsys):
    assert main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out == f"deleted 2 files of compiled kernels, 2.0 MB, from {cache_root}\n"
    assert not list(cache_root.glob("numba-*/**/*.nbc"))
    assert (cache_root / "notes.txt").exists()
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == f"0.0 MB of compiled kernels in {cache_root}\n"


def test_warmup_compiles_the_kernels(monkeypatch):
    called = []
    monkeypatch.setattr(kernels, "warmup", lambda: called.append(True))
    assert main(["warmup"]) == 0
    assert called == [True]


def test_an_unknown_command_is_refused_with_the_usage(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["wramup"])
    assert stopped.value.code == 2
    assert "usage: tinygrad-edu" in capsys.readouterr().err


def test_it_starts_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "tinygrad_edu", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"tinygrad_edu {tinygrad_edu.__version__}\n"
