"""Two commands from a fresh checkout; Python 3.11 or newer is all they need.

    python3 run.py demo    installs what the demos need into .venv, then runs `python -m demos`
    python3 run.py test    installs what the tests need into .venv, then runs `python -m pytest -n auto`
    python3 run.py setup [extra ...]    only makes .venv, with those extras of setup.cfg

Further arguments of `demo` and `test` are passed on. Everything goes into .venv beside this file
and nowhere else; the next call finds it there and starts at once. uv is used where it is on PATH;
`python3 run.py --pip test` does without it.
"""

# Older syntax on purpose (no f-strings, no annotations): an old Python must get as far as being told so.
import hashlib
import json
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
COMMANDS = {"demo": (["demos"], "demos"), "test": (["demos", "test"], "pytest"), "setup": ([], None)}
OPTIONS = {"test": ["-n", "auto"]}  # one process per core; a later -n of the caller wins


def python_too_old(version, executable):
    """What to say to a Python below 3.11, else None."""
    if tuple(version[:2]) >= (3, 11):
        return None
    found = "{} ({})".format(".".join(str(part) for part in version[:3]), executable)
    return "run.py: tinygrad_edu needs Python 3.11 or newer; this is Python " + found


def venv_unavailable(version):
    """What to say where Debian and Ubuntu left ensurepip out of this Python, else None."""
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        package = "python{}.{}-venv".format(*version[:2])
        return "run.py: this Python cannot make a .venv; on Debian and Ubuntu: apt install " + package
    return None


def venv_python(venv, windows=os.name == "nt"):
    """The interpreter inside a virtual environment."""
    return os.path.join(venv, "Scripts", "python.exe") if windows else os.path.join(venv, "bin", "python")


def fingerprint(root):
    """A hash of what decides how this checkout is installed: its place and its two metadata files."""
    digest = hashlib.sha256(root.encode())
    for name in ("setup.cfg", "pyproject.toml"):
        with open(os.path.join(root, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def stamp_path(venv):
    """The file that says which extras were installed, from which metadata."""
    return os.path.join(venv, "tinygrad_edu-installed.json")


def extras_to_install(venv, current, wanted):
    """The extras to install, sorted, or None when all is there; extras of earlier calls stay wanted."""
    try:
        with open(stamp_path(venv)) as file:
            stamp = json.load(file)
        before, installed_from = set(stamp["extras"]), stamp["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        before, installed_from = set(), None
    if installed_from == current and before.issuperset(wanted) and os.path.exists(venv_python(venv)):
        return None
    return sorted(before.union(wanted))


def say(text):
    """One line for the person, apart from what the demo or pytest prints."""
    sys.stderr.write(text + "\n")


def fail(what, uv):
    """Leave with the reason for a failed step, and with the other way where there is one."""
    hint = " (uv does not read pip's settings; `run.py --pip ...` does without uv.)" if uv else ""
    sys.exit("run.py: {} failed; the lines above say why.{}".format(what, hint))


def call(command):
    """Run a command and return its exit code; Ctrl-C reaches it too, so let it finish in its own way."""
    child, interrupted = subprocess.Popen(command, cwd=ROOT), False
    while True:
        try:
            code = child.wait()
            break
        except KeyboardInterrupt:
            interrupted = True
    if interrupted and code != 0:
        raise KeyboardInterrupt
    return code if code >= 0 else 128 - code


def make_venv(uv):
    """Make .venv unless it works already; a half-made one, or one of an older Python, is made anew."""
    probe = "import sys{}; sys.exit(sys.version_info < (3, 11))".format("" if uv else ", pip")
    python = venv_python(VENV)
    if os.path.exists(python) and subprocess.call([python, "-c", probe], stderr=subprocess.DEVNULL) == 0:
        return
    reason = None if uv else venv_unavailable(sys.version_info)
    if reason:
        sys.exit(reason)
    if os.path.isdir(VENV):
        say("run.py: .venv is incomplete, or of an older Python; making it anew")
        shutil.rmtree(VENV)
    make = [uv, "venv", "--seed", "--python", sys.executable] if uv else [sys.executable, "-m", "venv"]
    if call(make + [VENV]) != 0:
        fail("making .venv", uv)


def install(extras, uv):
    """Install this checkout with these extras into .venv, editable, and leave the stamp."""
    import configparser

    setup = configparser.ConfigParser()
    setup.read(os.path.join(ROOT, "setup.cfg"), encoding="utf-8")
    unknown = sorted(set(extras).difference(setup["options.extras_require"]))
    if unknown:
        sys.exit("run.py: setup.cfg has no extra named " + ", ".join(unknown))
    make_venv(uv)
    if os.path.exists(stamp_path(VENV)):
        os.remove(stamp_path(VENV))
    target = ".[{}]".format(",".join(extras)) if extras else "."
    say("run.py: installing {} into .venv; this happens once and takes a minute or two".format(target))
    python = venv_python(VENV)
    pip = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
    if call(pip + ["-e", target]) != 0:
        fail("the installation", uv)
    with open(stamp_path(VENV), "w") as file:
        json.dump({"extras": extras, "fingerprint": fingerprint(ROOT)}, file)


def main(arguments):
    """Run one command and return the exit code."""
    uv = shutil.which("uv")
    if arguments[:1] == ["--pip"]:
        uv, arguments = None, arguments[1:]
    if not arguments or arguments[0] not in COMMANDS:
        say((__doc__ or "").strip())
        return 0 if arguments[:1] in (["-h"], ["--help"]) else 2
    wanted, module = COMMANDS[arguments[0]]
    rest = arguments[1:]
    extras = extras_to_install(VENV, fingerprint(ROOT), wanted if module else rest)
    if extras is not None:
        install(extras, uv)
    options = OPTIONS.get(arguments[0], [])
    return call([venv_python(VENV), "-m", module] + options + rest) if module else 0


if __name__ == "__main__":
    too_old = python_too_old(sys.version_info, sys.executable)
    if too_old:
        sys.exit(too_old)
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        say("\nrun.py: stopped")
        sys.exit(130)
