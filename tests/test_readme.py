"""The Python blocks of README.md, CONTRIBUTING.md and docs/ run, and print what the block after them shows."""

import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HOMEWORK = ("exercise", "anna", "anna2")
PAGES = [f"docs/{file.name}" for file in sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = re.compile(r"```python\n(.*?)```(?:\s*```text\n(.*?)```)?", re.DOTALL)


def blocks(name: str) -> list[tuple[str, str]]:
    return BLOCKS.findall((ROOT / name).read_text(encoding="utf-8"))


def test_readme_has_examples() -> None:
    assert len(blocks("README.md")) >= 2


@pytest.mark.parametrize("number", range(len(blocks("README.md"))))
def test_readme_block_runs_and_prints_what_it_shows(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, shown = blocks("README.md")[number]
    file = tmp_path / "block.py"
    file.write_text(code, encoding="utf-8")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, str(file), "exec"), {"__name__": "__main__"})
    if shown:
        assert printed.getvalue().rstrip() == shown.rstrip()


def test_contributing_adds_an_op_that_works() -> None:
    import numpy as np

    import tinygrad_edu as tg
    from tinygrad_edu.engine.domain import nonzero
    from tinygrad_edu.engine.primitive import registry

    code = next(code for code, _ in blocks("CONTRIBUTING.md") if "softsign" in code)
    scope = {"primitive": tg.primitive, "nonzero": nonzero, "np": np, "abs": tg.ops.abs, "__name__": "an_example"}
    try:
        exec(code, scope)
        x = tg.tensor([-2.0, 0.5], dtype=tg.float64, requires_grad=True)
        scope["softsign"](x).sum().backward()
        assert np.allclose(x.grad.numpy(), 1 / (1 + np.abs(x.detach().numpy())) ** 2)
    finally:
        registry.pop("softsign", None)


@pytest.fixture
def _leaves_nothing() -> Iterator[None]:
    """Neither primitives nor modules stay."""
    from tinygrad_edu.engine.primitive import registry

    before = set(registry)
    yield
    for name in registry.keys() - before:
        del registry[name]
    for name in HOMEWORK:
        sys.modules.pop(name, None)


@pytest.mark.usefixtures("_leaves_nothing")
def test_teaching_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One folder, one session; a block that begins with the name of a file is that file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    scope = {"__name__": "__main__"}
    for number, (code, shown) in enumerate(blocks("docs/teaching.md")):
        title = re.match(r"# (\w+\.py)\n", code)
        file = tmp_path / (title[1] if title else f"block_{number}.py")
        file.write_text(code, encoding="utf-8")
        if not title:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(code, str(file), "exec"), scope)
            assert without_errors(printed.getvalue()) == without_errors(shown), file
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--gradients=ci", "test_softplus.py"]
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    plug_in = [] if installed() else ["-p", "tinygrad_edu.testing.plugin"]
    ran = subprocess.run([sys.executable, *command, *plug_in], capture_output=True, text=True, cwd=tmp_path)
    assert "1 passed" in ran.stdout, ran.stdout + ran.stderr


def without_errors(text: str) -> str:
    """Without measured errors, which depend on the machine."""
    return re.sub(r"\d\.\de-\d+", "~", text.rstrip())


def installed() -> bool:
    """Whether pytest finds the plug-in by itself."""
    return any(e.name == "tinygrad_edu.testing.plugin" for e in entry_points(group="pytest11"))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", *PAGES])
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert ((ROOT / page).parent / target).exists(), target
