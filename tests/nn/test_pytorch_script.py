"""A script written for PyTorch runs here when its imports are changed, and nothing else."""

import re
import types
from pathlib import Path

import pytest

import tinygrad_edu as tg

pytest.importorskip("sklearn", reason="scikit-learn is not installed: the digits come with it")
SCRIPT = Path(__file__).with_name("pytorch_script.py")
IMPORTS = {
    "import torch": "import tinygrad_edu as torch",
    "import torch.nn as nn": "import tinygrad_edu.nn as nn",
    "import torch.nn.functional as F": "import tinygrad_edu.nn.functional as F",
    "import torch.optim as optim": "import tinygrad_edu.optim as optim",
    "from torch.optim.lr_scheduler import StepLR": "from tinygrad_edu.optim.lr_scheduler import StepLR",
    "from torch.utils.data import DataLoader, TensorDataset": (
        "from tinygrad_edu.utils.data import DataLoader, TensorDataset"
    ),
}


def loaded(change_imports):
    """The script as a module, with the imports of PyTorch or of this library."""
    lines = SCRIPT.read_text(encoding="utf-8").splitlines()
    found = [line for line in lines if re.match(r"(import|from) torch", line)]
    assert found == list(IMPORTS)
    text = "\n".join(IMPORTS.get(line, line) if change_imports else line for line in lines)
    module = types.ModuleType("script")
    exec(compile(text, SCRIPT.name, "exec"), module.__dict__)
    return module


OPTIONS = {
    "adadelta": ["--gamma", "0.9", "--epochs", "6"],
    "sgd": ["--optimizer", "sgd", "--lr", "0.05", "--epochs", "4"],
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=list(OPTIONS))
def test_it_runs_with_only_its_imports_changed(options, tmp_path, capsys):
    path = tmp_path / "digits.pt"
    assert loaded(True).main([*options, "--save-model", str(path)]) >= 0.9
    out = capsys.readouterr().out
    assert path.exists()
    assert "epoch 1 [0/1437 (0%)] 2." in out
    assert out.count("test: average loss") >= 5


def test_the_other_questions_scripts_ask_about_devices():
    mps, cudnn = tg.backends.mps, tg.backends.cudnn
    for question in (tg.accelerator.is_available, mps.is_available, mps.is_built, cudnn.is_available):
        assert question() is False
    assert (tg.accelerator.current_accelerator(), tg.accelerator.device_count()) == (None, 0)


def test_it_is_a_script_for_pytorch(torch, tmp_path, capsys):
    torch.set_num_threads(1)
    assert loaded(False).main([*OPTIONS["adadelta"], "--save-model", str(tmp_path / "digits.pt")]) >= 0.9
    assert "epoch 1 [0/1437 (0%)] 2." in capsys.readouterr().out
