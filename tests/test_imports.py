"""What importing the package brings along, which way imports point inside it, and how long its files are."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tinygrad_edu"
FILES = sorted(p.relative_to(PACKAGE) for p in PACKAGE.rglob("*.py"))
HEAVY = ("numba", "matplotlib", "hypothesis", "scipy", "sklearn", "torch", "graphviz", "tqdm", "pytest")

# Each may import itself and what stands before it; what shares a line may import each other.
LEVELS = (
    ("kernels",),
    ("engine",),
    ("ops",),
    ("functions",),
    ("tensor",),
    ("autograd", "serialization", "accelerator", "backends", "cuda"),
    ("nn", "utils"),
    ("optim",),
    ("datasets", "transforms"),
    ("program",),
    ("explain",),
    ("viz",),
    ("testing",),
)
ORDER = {name: i for i, line in enumerate(LEVELS) for name in line}
# importing file: (what it imports, why)
EXCEPTIONS: dict[str, tuple[set[str], str]] = {}
FACE = {"__init__.py", "__main__.py"}


def imported(path: Path) -> list[tuple[str, int]]:
    """The parts of the package that a file imports, anywhere in it, with the line."""
    found = []
    inside = ("tinygrad_edu", *path.parent.parts)
    for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*inside[: len(inside) - node.level + 1], node.module or ""]) if node.level else node.module
            base = (base or "").strip(".")
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "tinygrad_edu" else [base]
        else:
            continue
        found += [(n.split(".")[1], node.lineno) for n in names if n.startswith("tinygrad_edu.")]
    return found


def part_of(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", [p for p in FILES if str(p) not in FACE], ids=str)
def test_imports_point_one_way(path):
    part = part_of(path)
    assert part in ORDER, f"say in LEVELS where {part} belongs"
    allowed, _ = EXCEPTIONS.get(str(path), (set(), ""))
    for name, line in imported(path):
        if name in ORDER and name not in allowed:
            assert ORDER[name] <= ORDER[part], f"{path}:{line} imports {name}"


def test_importing_the_package_is_light():
    code = f"import sys, tinygrad_edu; print(*[m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []


def test_importing_every_part_is_light():
    """Only what draws, trains or compiles brings its own tools, and only when it is used."""
    parts = [p for p in ORDER if (PACKAGE / p).exists() or (PACKAGE / f"{p}.py").exists()]
    code = "\n".join(f"import tinygrad_edu.{part}" for part in parts)
    code += f"\nimport sys; print(*[m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []


@pytest.mark.parametrize("path", FILES, ids=str)
def test_files_are_short_enough_to_be_read(path):
    limit = 250 if path.parts[0] == "engine" else 400
    assert len((PACKAGE / path).read_text().splitlines()) <= limit


def test_the_parser_sees_imports_inside_functions_and_relative_ones():
    found = {name for name, _ in imported(Path("engine/plan.py"))}
    assert "engine" in found
    assert {name for name, _ in imported(Path("kernels/__init__.py"))} == {"kernels"}
