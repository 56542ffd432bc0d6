"""All properties by name, in the order of checking."""

from tinygrad_edu.testing.conduct import CONDUCT
from tinygrad_edu.testing.laws import LAWS
from tinygrad_edu.testing.wrong import Property

FIRST = ("shape and dtype", "deterministic", "untouched")  # what makes all other findings puzzling
_all = {**LAWS, **CONDUCT}

PROPERTIES: dict[str, Property] = {name: _all[name] for name in dict.fromkeys((*FIRST, *_all))}
"""Name -> a function of a case that raises `Wrong` where it does not hold."""
