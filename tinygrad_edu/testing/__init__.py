"""The gradient-testing kit: prove gradients, find out what is wrong with them, and grade tests with wrong ones.

One line checks an operation: a primitive, an `autograd.Function`, or any Python function of tensors.

    from tinygrad_edu.testing import check, positive, real

    check(tg.ops.matmul)                                    # a primitive: calls are drawn from its domain
    check(lambda x, w: tg.log(x) @ w, positive((3, 4)), real((4,)))
    check(MyFunction, real((2, 3)))                         # an autograd.Function

It returns a `Report`, or raises `GradientError` (an AssertionError) with the smallest failing case, the entry that
differs, the measured error and the likely cause (`error.causes`).  As a property test, with hypothesis:

    @given_op(MyFunction, real((2, 3)))
    def test_my_function(case):
        case.verify()

Strategies: `real`, `positive`, `nonzero`, `unit_interval`, `distinct`, `tied`, `edge` take a shape; `laid_out(...)` of
one of them draws a memory layout; `shapes`, `broadcastable`, `matmul_shapes`, `axes`, `permutation`, `indices` draw the
rest; `broadcasting(real, nonzero)`, `conv_case()`, `pool_case()`, `graph_case()` draw all arguments at once.  Each has
`.sample(seed)`, `.strategy()` (for hypothesis), `.map` and `.filter`; `@strategy` makes new ones.  Without hypothesis
everything works with seeded cases that do not shrink.

Mutants are wrong versions of a rule, each a mistake somebody could make:

    for mutant in mutants(tg.ops.matmul):                   # or of an autograd.Function
        with mutant.installed():
            ...                                             # here matmul has a wrong gradient
    grade = grade_tests([test_forward, test_backward], MyFunction)
    print(grade)                                            # which mutants these tests noticed, and which they did not

`python -m tinygrad_edu.testing` prints the kill table of the engine's own rules.  `gradcheck` and `gradgradcheck` are
spelled like PyTorch's.  The pytest plug-in has the hypothesis profiles `ci`, `dev` and `thorough`.
"""

from tinygrad_edu.testing.calls import Call, calls
from tinygrad_edu.testing.cases import Case
from tinygrad_edu.testing.checking import cases, check, given_op
from tinygrad_edu.testing.choices import Choices, Strategy, strategy
from tinygrad_edu.testing.gradchecks import GradcheckError, gradcheck, gradgradcheck
from tinygrad_edu.testing.grading import Grade, grade_tests
from tinygrad_edu.testing.mutants import Mutant, mutants
from tinygrad_edu.testing.properties import PROPERTIES
from tinygrad_edu.testing.report import GradientError, Report
from tinygrad_edu.testing.situations import Graph, broadcasting, conv_case, graph_case, graphs, pool_case, run_graph
from tinygrad_edu.testing.strategies import (
    axes,
    broadcastable,
    distinct,
    edge,
    indices,
    laid_out,
    matmul_shapes,
    nonzero,
    permutation,
    positive,
    real,
    shapes,
    tied,
    unit_interval,
    upstream,
)
