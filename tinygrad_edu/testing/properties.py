"""All properties by name, in the order of checking: what mathematics says first, then how a gradient must behave."""

from tinygrad_edu.testing.conduct import CONDUCT
from tinygrad_edu.testing.laws import LAWS
from tinygrad_edu.testing.wrong import Property

PROPERTIES: dict[str, Property] = {**LAWS, **CONDUCT}
"""Name -> a function of a case that raises `Wrong` where it does not hold."""
