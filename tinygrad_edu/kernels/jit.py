"""`@jit`: functions that numba compiles at their first call, and not before.

Importing this module does not import numba. The first call of a `Jit` does, compiles, and keeps the machine
code in the user's cache folder (see `cache`), where the next process finds it.

A `Jit` may call other `Jit`s by name, and so may any function compiled with numba directly: numba asks an
object that it does not know for its `_numba_type_`, and a `Jit` answers with the compiled function's.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import linecache
import os
import pickle
import sys
import tempfile
import threading
import types
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from . import cache

# Lets LLVM fuse a*b + c. Sums keep their order, NaN and infinity their meaning.
CONTRACT = frozenset({"contract"})
# Also lets LLVM reorder sums, which is what vectorises a dot product. NaN and infinity keep their meaning.
REASSOCIATE = frozenset({"contract", "reassoc"})
_FORBIDDEN = frozenset({"fast", "nnan", "ninf"})

_generated_lock = threading.RLock()
_compiled: list[Jit] = []
_cache_failed = threading.Event()
_generated: dict[str, Jit] = {}
_GENERATED = "tinygrad_edu_generated_"


class Jit:
    """A Python function that becomes machine code at its first call.

    `py_func` is the function as written, `dispatcher` numba's form of it, made when first asked for.
    Called, it turns a failure to compile into a RuntimeError that says what to do; exceptions that the
    function itself raises pass through. An `inner` one has no wrapper for Python and compiles in half the time;
    only compiled code can call it. A `nogil` one lets other Python threads run meanwhile.
    """

    __name__: str

    def __init__(
        self,
        py_func: Callable[..., Any],
        fastmath: Iterable[str] = CONTRACT,
        inline: bool = False,
        inner: bool = False,
        nogil: bool = False,
    ):
        self.py_func = py_func
        self.inner = inner
        self.nogil = nogil
        self.fastmath = frozenset(fastmath)
        self.inline = inline
        if self.fastmath & _FORBIDDEN:
            names = ", ".join(sorted(self.fastmath & _FORBIDDEN))
            raise ValueError(f"jit: fastmath {names} would make NaN and infinity undefined")
        self._dispatcher: Any = None
        functools.update_wrapper(self, py_func)

    def __call__(self, *args: Any) -> Any:
        if self.inner:
            raise TypeError(f"{self!r} is an inner function: only compiled code can call it")
        try:
            return (self._dispatcher or self.dispatcher)(*args)
        except Exception as error:
            if _is_cache_trouble(error):
                _stop_caching(error)
                return self.dispatcher(*args)
            if not _is_compile_error(error):
                raise
            raise RuntimeError(_explain(self, args, error)) from error

    @property
    def dispatcher(self) -> Any:
        """Numba's dispatcher; importing numba and making it happens here, at the first request."""
        if self._dispatcher is None:
            _import_numba()
            from numba.core.compiler_lock import global_compiler_lock

            # Numba's own lock: it is held already when a caller's compilation asks for this dispatcher.
            with global_compiler_lock:
                if self._dispatcher is None:
                    self._dispatcher = _make_dispatcher(self)
                    _compiled.append(self)
        return self._dispatcher

    @property
    def _numba_type_(self) -> Any:
        return self.dispatcher._numba_type_

    def __repr__(self) -> str:
        return f"<jit {self.__module__}.{self.__name__}>"


def jit(
    function: Callable[..., Any] | None = None,
    *,
    fastmath: Iterable[str] = CONTRACT,
    inline: bool = False,
    inner: bool = False,
    nogil: bool = False,
) -> Any:
    """Compile a function with numba at its first call, for the argument types it is called with.

    `fastmath` is a set of LLVM's flags; those that make NaN or infinity undefined raise ValueError.
    With `inline` it becomes part of every compiled caller, whatever its length: a loop with a call in it stays scalar.
    `inner` functions can be called from compiled code only, and compile in half the time.
    `nogil` ones run without Python's lock, so that threads can run them side by side; for long work only, because
    whoever lets go of the lock may have to wait for it.

    >>> @jit
    ... def half(x):
    ...     return x / 2
    >>> half.py_func(3.0)
    1.5
    """
    if function is None:
        return lambda f: Jit(f, fastmath, inline, inner, nogil)
    return Jit(function, fastmath, inline, inner, nogil)


def dispatcher_of(function: Any) -> Any:
    """The numba dispatcher of a `Jit`, of an elementwise kernel (its scalar function's), or of a dispatcher.

    Compiled code may simply call a `Jit` by name; this is for whoever needs numba's object: its signatures,
    statistics or assembly. Raises TypeError for anything else.
    """
    function = getattr(function, "scalar", None) or function
    if isinstance(function, Jit):
        return function.dispatcher
    if hasattr(function, "_numba_type_"):
        return function
    raise TypeError(f"dispatcher_of: expected a @jit function or an elementwise kernel, got {function!r}")


def jit_source(
    name: str, source_text: str, namespace_imports: Iterable[str] = (), *, fastmath: Iterable[str] = CONTRACT
) -> Jit:
    """Write generated source to a file; return its function `name`, compiled at the first call and cached.

    `namespace_imports` are import lines for the top of the file. What they import can be called from the
    source: `@jit` functions such as `gemm`, and elementwise kernels, which act on numbers there:

        lines = "def step(x, w, out):\\n    gemm(x, w, out)\\n    out[0, 0] = sigmoid(out[0, 0])\\n"
        step = jit_source("step", lines, ["from tinygrad_edu.kernels import gemm, sigmoid"])

    Other functions of the source that the named one calls need `@jit`. Compiled functions imported from outside
    tinygrad_edu.kernels may not change, since only the sources there are part of the cache's name.
    The file lies in `cache_folder() / "generated"`, so tracebacks and debuggers show it; its name holds a
    hash of the text and of all kernel sources. Asking twice for the same text gives the same object.
    Raises ValueError when the source does not define `name`.
    """
    head = "".join(f"{line}\n" for line in namespace_imports)
    text = f"{head}\n\n{source_text}" if head else source_text
    flags = frozenset(fastmath)
    key = "\0".join((cache.fingerprint(), text, *sorted(flags)))
    stem = f"{name}_{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    with _generated_lock:
        if stem not in _generated:
            namespace = _load_generated(stem, text).__dict__
            if not isinstance(namespace.get(name), types.FunctionType):
                del sys.modules[_GENERATED + stem]
                raise ValueError(f"jit_source: the source does not define a function named {name!r}")
            _generated[stem] = Jit(namespace[name], flags)
        return _generated[stem]


def _load_generated(stem: str, text: str) -> types.ModuleType:
    path = _write_once(f"{stem}.py", text)
    if path is None:
        path = f"<generated {stem}>"
        linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    code = compile(text, path, "exec")
    module = types.ModuleType(_GENERATED + stem)
    module.__file__ = path
    # Registered before it is executed: numba files what it cannot find in sys.modules under <dynamic>.
    sys.modules[module.__name__] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        del sys.modules[module.__name__]
        raise
    return module


def _write_once(file_name: str, text: str) -> str | None:
    """Write into the cache unless it is there already (a new time stamp would make numba's entry stale)."""
    folder = cache.usable_folder()
    if folder is None:
        return None
    path, data = folder / "generated" / file_name, text.encode()
    try:
        if not path.is_file() or path.read_bytes() != data:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            # In one step: another process never finds half a file.
            os.replace(temporary, path)
    except OSError as error:
        _stop_caching(error)
        return None
    return str(path)


def _import_numba() -> Any:
    try:
        import numba
    except ImportError as error:
        raise ImportError(
            f"numba, which compiles tinygrad_edu's fast kernels, cannot be imported ({error}). "
            "Install it, or run with TINYGRAD_EDU_KERNELS=reference to use the NumPy kernels."
        ) from error
    return numba


def _make_dispatcher(function: Jit) -> Any:
    _announce_compilation()
    options = {"error_model": "numpy", "fastmath": set(function.fastmath), "forceinline": function.inline}
    # The wrappers for C, and those for Python of inner functions, would never be called.
    options |= {"no_cfunc_wrapper": True, "no_cpython_wrapper": function.inner, "nogil": function.nogil}
    dispatcher = _import_numba().njit(**options)(function.py_func)
    folder = None if _cache_failed.is_set() else cache.usable_folder()
    # With NUMBA_DISABLE_JIT=1 the decorator returns the function itself.
    if folder is not None and hasattr(dispatcher, "enable_caching"):
        _enable_caching(dispatcher, folder)
    return dispatcher


def _enable_caching(dispatcher: Any, folder: Path) -> None:
    """Numba reads CACHE_DIR once, here. Then the user's setting comes back, so their own caches stay put."""
    from numba.core import config as numba_config

    config: Any = numba_config
    previous = config.CACHE_DIR
    config.CACHE_DIR = str(folder)
    try:
        # RuntimeError: there is no file to tie the entry to, as for functions typed at a prompt.
        with contextlib.suppress(RuntimeError):
            dispatcher.enable_caching()
    finally:
        config.CACHE_DIR = previous


@functools.cache
def _announce_compilation() -> None:
    """Say once per process, at the first real compilation, why things take a moment."""
    from numba.core import event

    class Announcer(event.Listener):
        said = False

        def on_start(self, event: Any) -> None:
            if self.said or os.environ.get("TINYGRAD_EDU_QUIET") == "1":
                return
            module = str(event.data["dispatcher"].py_func.__module__)
            if module.startswith(("tinygrad_edu.", _GENERATED)):
                self.said = True
                folder = cache.usable_folder()
                line = f"first use on this machine; cached in {folder}" if folder else "not cached"
                print(f"tinygrad_edu: compiling numba kernels ({line})", file=sys.stderr, flush=True)

        def on_end(self, event: Any) -> None:
            pass

    event.register("numba:compile", Announcer())


def _is_cache_trouble(error: Exception) -> bool:
    """A compiled kernel does no input or output: these come from reading or writing the cache."""
    return isinstance(error, OSError | EOFError | pickle.PickleError)


def _stop_caching(error: Exception) -> None:
    _cache_failed.set()
    for function in list(_compiled):
        if hasattr(function._dispatcher, "_cache"):
            function._dispatcher._cache.disable()
    warnings.warn(
        f"tinygrad_edu: the kernel cache in {cache.cache_folder()} failed ({error}); this process goes on "
        "without it. tinygrad_edu.kernels.clear_cache() makes a fresh start.",
        RuntimeWarning,
        stacklevel=3,
    )


def _is_compile_error(error: Exception) -> bool:
    errors = sys.modules.get("numba.core.errors")
    return errors is not None and isinstance(error, errors.NumbaError)


def _explain(function: Jit, args: tuple[Any, ...], error: Exception) -> str:
    given = ", ".join(f"{a.dtype}[{a.ndim}d]" if hasattr(a, "ndim") else type(a).__name__ for a in args)
    reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return (
        f"numba could not compile the kernel '{function.__name__}' for ({given}): {reason} "
        "Run with TINYGRAD_EDU_KERNELS=reference (or call tinygrad_edu.kernels.use('reference')) "
        "to use the NumPy kernels instead."
    )
