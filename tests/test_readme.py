"""The Python blocks of README.md and CONTRIBUTING.md run, and print what the block after them shows."""

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
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


def test_links_of_the_readme_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (ROOT / target).exists(), target
