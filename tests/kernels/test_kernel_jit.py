"""Lazy compilation, the cache on disk, the switch between the twins: mostly as separate processes see them.

The processes import a copy of the kernels in a package of the same name, so that nothing else is imported,
and so that a source can be changed.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tinygrad_edu import kernels
from tinygrad_edu.kernels import cache, linalg
from tinygrad_edu.kernels.jit import Jit, dispatcher_of, jit, jit_source

REPORT = """
from tinygrad_edu.kernels import jit
stats = [each.dispatcher.stats for each in jit._compiled]
print("hits", sum(sum(s.cache_hits.values()) for s in stats))
print("misses", sum(sum(s.cache_misses.values()) for s in stats))
"""
CROSS_ENTROPY = """
import numpy as np
from tinygrad_edu import kernels
print("loss", kernels.cross_entropy(np.zeros((1, 2)), np.zeros(1, np.int64))[0])
"""


@pytest.fixture
def package(tmp_path):
    """A folder with a package tinygrad_edu that holds nothing but a copy of the kernels."""
    root = tmp_path / "package" / "tinygrad_edu"
    shutil.copytree(Path(kernels.__file__).parent, root / "kernels", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "__init__.py").touch()
    return root


def run(package, script, **environment):
    """Run the script in its own process, the cache beside the package; the lines printed, and stderr."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TINYGRAD_EDU_")}
    settings = {"PYTHONPATH": str(package.parent), "TINYGRAD_EDU_CACHE": str(package.parents[1] / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=inherited | settings | environment,
        cwd=package.parent,
    )
    return done.stdout.splitlines(), done.stderr


def test_import_leaves_numba_alone(package):
    script = "import sys, tinygrad_edu.kernels; print({'numba', 'tqdm', 'scipy'} & set(sys.modules))"
    assert run(package, script) == (["set()"], "")


def test_the_environment_chooses_the_twin(package):
    script = "import sys, numpy as np, tinygrad_edu.kernels as k; k.relu(np.ones(2)); "
    script += "print(k.backend(), 'numba' in sys.modules)"
    assert run(package, script, TINYGRAD_EDU_QUIET="1") == (["numba True"], "")
    assert run(package, script, TINYGRAD_EDU_KERNELS="reference") == (["reference False"], "")
    lines, errors = run(package, script, TINYGRAD_EDU_KERNELS="fast")
    assert lines == []
    assert errors.endswith("ValueError: TINYGRAD_EDU_KERNELS: expected 'reference' or 'numba', got 'fast'\n")


def test_a_second_process_finds_everything_in_the_cache_until_a_source_changes(package):
    folder = package.parents[1] / "cache"
    first, said = run(package, CROSS_ENTROPY + REPORT)
    assert first[:2] == [f"loss {np.log(2)}", "hits 0"]
    assert int(first[2].split()[1]) > 3
    [version] = folder.iterdir()
    assert said == f"tinygrad_edu: compiling numba kernels (first use on this machine; cached in {version})\n"
    if os.name == "posix":
        assert folder.stat().st_mode & 0o777 == version.stat().st_mode & 0o777 == 0o700

    # The compiled loop holds all that it calls: one hit is enough, and nothing is said.
    assert run(package, CROSS_ENTROPY + REPORT) == ([first[0], "hits 1", "misses 0"], "")

    # A function that is called from another file changes: the caller's machine code is out of date.
    callee = package / "kernels" / "exponential.py"
    text = callee.read_text()
    assert text.count("+ (x - x)") == 1
    callee.write_text(text.replace("+ (x - x)", "+ type(x)(math.log(3))"))
    changed, said = run(package, CROSS_ENTROPY, TINYGRAD_EDU_QUIET="1")
    assert changed == [f"loss {np.log(6)}"]
    assert said == ""
    assert len(list(folder.iterdir())) == 2


GENERATED = """
import numpy as np
from tinygrad_edu.kernels import jit
source = '''
def step(x, w, out):
    gemm(x, w, out)
    for i in range(out.shape[0]):
        out[i, 0] = half_of(sigmoid(out[i, 0]))


@jit
def half_of(x):
    return x / 2
'''
imports = ["from tinygrad_edu.kernels import gemm, sigmoid", "from tinygrad_edu.kernels.jit import jit"]
step = jit.jit_source("step", source, imports)
assert jit.jit_source("step", source, imports) is step
out = np.empty((4, 1))
step(np.ones((4, 2)), np.zeros((2, 1)), out)
print(out.ravel())
print(open(step.py_func.__code__.co_filename).read().startswith(imports[0]))
"""


def test_generated_code_calls_kernels_and_is_cached(package):
    first, _ = run(package, GENERATED + REPORT)
    assert first[:3] == ["[0.25 0.25 0.25 0.25]", "True", "hits 0"]
    assert run(package, GENERATED + REPORT) == (["[0.25 0.25 0.25 0.25]", "True", "hits 1", "misses 0"], "")


@pytest.mark.parametrize("problem", ["cannot write to", "can be written to by other users", "is a symbolic link"])
def test_without_a_private_cache_kernels_work_after_one_warning(package, problem):
    folder = package.parents[1] / "cache"
    if problem == "cannot write to":
        folder.touch()
    else:
        if os.name != "posix":
            pytest.skip("permissions and links of POSIX")
        folder.mkdir()
        [name], _ = run(package, "from tinygrad_edu import kernels; print(kernels.cache_folder().name)")
        if problem == "can be written to by other users":
            (folder / name).mkdir()
            (folder / name).chmod(0o777)
        else:
            (package / "elsewhere").mkdir()
            (folder / name).symlink_to(package / "elsewhere")
    lines, errors = run(package, GENERATED.replace("print(open", "0 and print(open"))
    assert lines == ["[0.25 0.25 0.25 0.25]"]
    assert errors.count("RuntimeWarning: tinygrad_edu: kernels are compiled anew in every process, because") == 1
    assert problem in errors
    assert errors.count("compiling numba kernels (not cached)") == 1
    if folder.is_dir():
        assert not [path for path in folder.rglob("*") if path.is_file()]
        assert not list((package / "kernels").rglob("*.nbi"))


def test_a_cache_that_fails_later_costs_a_warning_and_not_the_result(package):
    script = """
from numba.core import caching
def full(*args):
    raise OSError(28, "No space left on device")
caching.IndexDataCacheFile.save = full
"""
    lines, errors = run(package, script + CROSS_ENTROPY)
    assert lines == [f"loss {np.log(2)}"]
    assert errors.count("No space left on device") == 1
    assert "goes on without it" in errors
    assert "Traceback" not in errors


def test_a_damaged_cache_file_costs_a_warning_and_not_the_result(package):
    run(package, CROSS_ENTROPY)
    for path in (package.parents[1] / "cache").rglob("*.nbc"):
        path.write_bytes(path.read_bytes()[:100])
    lines, errors = run(package, CROSS_ENTROPY)
    assert lines == [f"loss {np.log(2)}"]
    assert "goes on without it" in errors
    assert "Traceback" not in errors


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYGRAD_EDU_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_clear_cache_deletes_its_own_folders_only(own_cache, tmp_path):
    assert kernels.clear_cache() == 0
    current, old = kernels.cache_folder(), own_cache / "numba-0123456789abcdef"
    (current / "kernels").mkdir(parents=True)
    old.mkdir()
    for path in (current / "kernels" / "a.nbc", current / "b.nbi", old / "c.nbc"):
        path.touch()
    precious = tmp_path / "precious"
    precious.mkdir()
    (own_cache / "numba-notes").mkdir()
    kept = [
        own_cache / "thesis.txt",
        own_cache / "numba-notes" / "data",
        precious / "data",
        own_cache.parent / "beside",
    ]
    for path in kept:
        path.touch()
    (own_cache / "numba-ffffffffffffffff").symlink_to(precious)
    (current / "link").symlink_to(precious)
    assert kernels.clear_cache() == 3
    assert all(path.exists() for path in kept)
    assert not current.exists()
    assert not old.exists()


def test_after_clearing_the_cache_its_folder_is_private_again(own_cache):
    folder = cache.usable_folder()
    assert folder == kernels.cache_folder()
    kernels.clear_cache()
    assert list(folder.iterdir()) == []
    assert os.name != "posix" or folder.stat().st_mode & 0o777 == 0o700


def test_the_users_numba_keeps_its_own_cache_folder(own_cache):
    from numba.core import config

    before = config.CACHE_DIR
    ours = jit(lambda x: x + 1)
    assert ours(1) == 2
    assert before == config.CACHE_DIR
    assert ours.dispatcher._cache.cache_path.startswith(str(own_cache))


@jit
def _callee(x):
    return x + 1


@jit
def _caller(x):
    return _callee(x) * 2


@jit
def _even(n):
    return True if n == 0 else _odd(n - 1)


@jit
def _odd(n):
    return False if n == 0 else _even(n - 1)


def test_jit_functions_call_each_other(own_cache):
    assert _caller(3) == 8
    assert _even(4)
    assert not _even(5)
    import numba

    @numba.njit
    def of_the_user(x):
        return _caller(x) + 1

    assert of_the_user(3) == 9
    assert dispatcher_of(_caller) is _caller.dispatcher
    assert dispatcher_of(of_the_user) is of_the_user
    assert dispatcher_of(kernels.sigmoid) is kernels.sigmoid.scalar.dispatcher
    for other in (len, kernels.matmul):
        with pytest.raises(TypeError, match="dispatcher_of: expected a @jit function or an elementwise kernel"):
            dispatcher_of(other)


def test_first_calls_from_many_threads_at_once(own_cache):
    """The caller is compiled, which asks for the callee, while other threads ask for the callee first."""
    fresh = [Jit(f.py_func) for f in (_callee, _caller)]
    namespace = {"_callee": fresh[0]}
    fresh[1].py_func = type(_caller.py_func)(_caller.py_func.__code__, namespace, "_caller")
    barrier, results = threading.Barrier(4), []

    def call(function):
        barrier.wait()
        results.append(function(1.5))

    threads = [threading.Thread(target=call, args=(fresh[i % 2],)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(results) == [2.5, 2.5, 5.0, 5.0]


def test_threads_share_one_dispatcher(monkeypatch):
    made, barrier, seen = [], threading.Barrier(3), []

    def slowly(function):
        made.append(object())
        time.sleep(0.05)
        return made[-1]

    monkeypatch.setattr("tinygrad_edu.kernels.jit._make_dispatcher", slowly)
    monkeypatch.setattr("tinygrad_edu.kernels.jit._compiled", [])
    function = Jit(_callee.py_func)

    def ask():
        barrier.wait()
        seen.append(function.dispatcher)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(made) == 1
    assert seen == made * 3


def test_a_failure_to_compile_is_explained(own_cache):
    @jit
    def broken(x, n):
        return x.no_such_attribute

    with pytest.raises(
        RuntimeError, match=r"could not compile the kernel 'broken' for \(float32\[2d\], int\)"
    ) as caught:
        broken(np.ones((2, 2), np.float32), 3)
    assert "TINYGRAD_EDU_KERNELS=reference" in str(caught.value)
    assert type(caught.value.__cause__).__module__ == "numba.core.errors"


def test_what_a_compiled_function_raises_passes_through(own_cache):
    @jit
    def refuses(x):
        if x > 0:
            raise ValueError("positive")
        return x

    with pytest.raises(ValueError, match=r"^positive$"):
        refuses(1)


def test_fastmath_that_breaks_nan_is_refused():
    for flag in ("fast", "nnan", "ninf"):
        with pytest.raises(ValueError, match=f"fastmath {flag} would make NaN and infinity undefined"):
            jit(len, fastmath={"contract", flag})


def test_jit_source_refuses_a_source_without_the_function(own_cache):
    before = set(sys.modules)
    with pytest.raises(ValueError, match="does not define a function named 'step'"):
        jit_source("step", "x = 1\n")
    assert not [name for name in set(sys.modules) - before if name.startswith("tinygrad_edu_generated_step")]
    with pytest.raises(ImportError):
        jit_source("step", "def step():\n    pass\n", ["from tinygrad_edu.kernels import no_such_kernel"])
    assert not [name for name in set(sys.modules) - before if name.startswith("tinygrad_edu_generated_step")]


def test_use_switches_all_kernels_and_back():
    before, called = kernels.backend(), []

    def logging(twin):
        return lambda x: called.append(twin) or x

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels.relu, "fast", logging("fast"))
        patch.setattr(kernels.relu, "reference", logging("reference"))
        with kernels.use("numba"):
            kernels.relu(np.ones(1))
            with kernels.use("reference"):
                assert kernels.backend() == "reference"
                kernels.relu(np.ones(1))
            kernels.relu(np.ones(1))
    kernels.use(before)
    assert called == ["fast", "reference", "fast"]
    with pytest.raises(ValueError, match="expected 'reference' or 'numba', got 'cuda'"):
        kernels.use("cuda")
    assert kernels.backend() == before


LAYOUTS_AFTER_WARMUP = """
import numpy as np
from kernel_strategies import FLOATS, LAYOUTS, lay_out
from tinygrad_edu import kernels
from tinygrad_edu.kernels import jit

def compiled():
    return {each.__name__: len(each.dispatcher.signatures) for each in jit._compiled}

kernels.warmup(progress=False)
before = compiled()
for layout in LAYOUTS:
    for dtype in FLOATS:
        x, target = lay_out(np.ones((3, 3), dtype), layout), lay_out(np.zeros(3, np.int64), "read-only")
        tall, wide, b, bt = (lay_out(np.ones(s, dtype), layout) for s in ((1024, 24), (24, 1024), (24, 64), (64, 24)))
        kernels.matmul(tall, b), kernels.matmul(wide.T, b), kernels.matmul(tall, bt.T), kernels.matmul(wide.T, bt.T)
        kernels.relu(x), kernels.sigmoid(x), kernels.tanh(x), kernels.logistic_loss(x, x[0])
        kernels.log_softmax(x, 1), kernels.log_softmax_grad(x, x, 1), kernels.log_softmax(x, 0)
        kernels.cross_entropy(x, target), kernels.cross_entropy_grad(x[0], x, target)
assert compiled() == before, (before, compiled())
print("gemm", before.get("gemm_rows", 0))
"""


def test_after_warmup_no_memory_layout_compiles_anything_again():
    paths = [Path(kernels.__file__).parents[2], Path(__file__).parent]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "TINYGRAD_EDU_QUIET": "1"}
    command = [sys.executable, "-c", LAYOUTS_AFTER_WARMUP]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    # a in C or Fortran order, in two dtypes; or BLAS for all of them
    expected = 4 if linalg.shapes()[0] == 64 else 0
    assert (done.stdout, done.stderr) == (f"gemm {expected}\n", "")


def test_warmup_reaches_every_kernel_that_has_a_fast_twin(capsys):
    assert kernels.warmup() > 0
    assert f"{len(kernels.registered())} kernels ready in" in capsys.readouterr().out
    for kernel in kernels.registered().values():
        assert kernel.fast is kernel.reference or kernel.examples(np.float32)
    kernels.warmup(progress=False)
    said = capsys.readouterr()
    assert said.out == said.err == ""
