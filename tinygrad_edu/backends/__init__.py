"""What PyTorch scripts ask about or set up: `mps` is never there, `cudnn` takes its settings and ignores them.

>>> import tinygrad_edu as tg
>>> "mps" if tg.backends.mps.is_available() else "cpu"
'cpu'
"""

from tinygrad_edu.backends import cudnn, mps

__all__ = ["cudnn", "mps"]
