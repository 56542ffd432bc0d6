"""Downloads against a server on this machine that misbehaves: a file is whole and checked, or not there."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_mnist
from tiny_mnist import ARRAYS, PACKED, Server, TinyMNIST, write

from tinygrad_edu.datasets import fetch as fetching
from tinygrad_edu.datasets import places
from tinygrad_edu.datasets.fetch import fetch

IMAGES = "train-images-idx3-ubyte.gz"


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No data set and no proxy of this machine is seen."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("TINYGRAD_EDU_DATA", raising=False)
    monkeypatch.setenv("TINYGRAD_EDU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(places, "CHECKOUT", tmp_path / "checkout")
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def server():
    running = Server()
    yield running
    running.close()


@pytest.fixture
def root(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def mirrors(server, monkeypatch):
    """Name the mirrors by what they do."""

    def use(*names):
        urls = tuple(server.mirror(name, getattr(tiny_mnist, name)) for name in names)
        monkeypatch.setattr(TinyMNIST, "mirrors", urls)
        return urls

    return use


def files(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def whole(root):
    """All four files, byte for byte, and nothing else."""
    assert files(root) == sorted(PACKED)
    for name, content in PACKED.items():
        assert (root / "mnist" / name).read_bytes() == content
    return True


def test_downloads_all_files_once(root, mirrors, server, capsys):
    mirrors("good")
    dataset = TinyMNIST(root, download=True)
    np.testing.assert_array_equal(dataset.data.numpy(), ARRAYS["train-images-idx3-ubyte"])
    assert whole(root)
    assert sorted(server.requests) == sorted(("good", name) for name in PACKED)
    shown = capsys.readouterr().err
    assert all(f"{name}: 100%" in shown for name in PACKED)
    TinyMNIST(root, download=True)
    assert len(TinyMNIST(root, train=False)) == 20
    assert len(server.requests) == 4


def test_no_download_unless_asked(root, mirrors, server):
    mirrors("good")
    with pytest.raises(RuntimeError, match="You can use download=True"):
        TinyMNIST(root)
    assert server.requests == []
    assert not root.exists()


@pytest.mark.parametrize("variable", [True, False])
def test_without_a_root_it_goes_to_the_chosen_or_the_users_folder(tmp_path, mirrors, monkeypatch, variable):
    mirrors("good")
    if variable:
        monkeypatch.setenv("TINYGRAD_EDU_DATA", str(tmp_path / "chosen"))
    TinyMNIST(download=True)
    assert whole(tmp_path / "chosen" if variable else tmp_path / "cache" / "data")
    assert len(TinyMNIST(train=False)) == 20


def test_files_that_are_there_are_not_asked_for(root, mirrors, server):
    mirrors("good")
    write(root / "MNIST" / "raw", packed=False, parts=("train",))
    TinyMNIST(root, download=True)
    assert {name for _, name in server.requests} == {name for name in PACKED if name.startswith("t10k")}


@pytest.mark.parametrize("first", ["missing", "cut", "cut_silently", "other", "web_page", "huge", "endless"])
def test_the_next_mirror_is_asked(root, mirrors, server, first):
    mirrors(first, "good")
    TinyMNIST(root, download=True)
    assert whole(root)
    assert [mirror for mirror, _ in server.requests] == [first, "good"] * 4


@pytest.mark.parametrize(
    ("mirror", "reason"),
    [
        ("missing", "HTTP 404"),
        ("cut", rf"the connection closed after {len(PACKED[IMAGES]) // 2} of {len(PACKED[IMAGES])} bytes"),
        ("cut_silently", "half a file: its gzip data ends early"),
        ("other", "its unpacked bytes should have the md5 [0-9a-f]{32}, they have"),
        ("web_page", "a web page was saved in its place"),
        ("huge", r"it offers 1000000000000 bytes where at most \d+ are expected"),
        ("endless", r"it sends more than the \d+ bytes expected"),
    ],
)
def test_no_good_mirror(root, mirrors, mirror, reason):
    (url,) = mirrors(mirror)
    with pytest.raises(RuntimeError, match=reason) as caught:
        TinyMNIST(root, download=True)
    message = str(caught.value)
    assert f"could not download {IMAGES}" in message
    assert f"{url}{IMAGES}: " in message
    assert str(root / "mnist") in message
    assert files(root) == []


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_no_network_says_where_to_put_the_file(root, monkeypatch):
    monkeypatch.setattr(TinyMNIST, "mirrors", [f"http://127.0.0.1:{closed_port()}/"] * 2)
    with pytest.raises(RuntimeError, match="no connection") as caught:
        TinyMNIST(root, download=True)
    assert str(caught.value).count("no connection") == 2
    assert f"get the file elsewhere and put it into {root / 'mnist'}" in str(caught.value)
    assert files(root) == []


def test_a_server_that_falls_silent(root, mirrors, server, monkeypatch):
    monkeypatch.setattr(fetching, "TIMEOUT", 0.2)

    def hang(handler, name, content):
        tiny_mnist.send(handler, content[:1000], length=len(content))
        server.closing.wait(20)

    monkeypatch.setattr(TinyMNIST, "mirrors", [server.mirror("hang", hang)])
    with pytest.raises(RuntimeError, match="the connection broke"):
        TinyMNIST(root, download=True)
    assert files(root) == []


def test_a_damaged_file_is_replaced_when_asked(root, mirrors, server):
    mirrors("good")
    write(root / "mnist")
    (root / "mnist" / IMAGES).write_bytes(PACKED[IMAGES][:4000])
    TinyMNIST(root, download=True)
    assert whole(root)
    assert server.requests == [("good", IMAGES)]


def test_a_failed_download_leaves_the_damaged_file_alone(root, mirrors):
    mirrors("cut")
    write(root / "mnist")
    (root / "mnist" / IMAGES).write_bytes(b"mine")
    with pytest.raises(RuntimeError, match="could not download"):
        TinyMNIST(root, download=True)
    assert (root / "mnist" / IMAGES).read_bytes() == b"mine"


def test_the_next_call_starts_anew(root, mirrors):
    mirrors("cut")
    with pytest.raises(RuntimeError, match="could not download"):
        TinyMNIST(root, download=True)
    mirrors("good")
    TinyMNIST(root, download=True)
    assert whole(root)


def test_what_killed_downloads_left_is_swept_when_it_is_old(root, mirrors):
    mirrors("good")
    folder = root / "mnist"
    folder.mkdir(parents=True)
    old, young = folder / f"{IMAGES}.1.part", folder / f"{IMAGES}.2.part"
    for path in (old, young):
        path.write_bytes(b"half")
    long_ago = time.time() - 2 * fetching.STALE
    os.utime(old, (long_ago, long_ago))
    TinyMNIST(root, download=True)
    assert files(root) == sorted([*PACKED, young.name])


def test_a_folder_that_cannot_be_made_is_no_fault_of_the_mirror(tmp_path, mirrors, server):
    mirrors("good")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file"):
        TinyMNIST(tmp_path / "file", download=True)
    assert server.requests == []


def test_two_at_once(root, mirrors):
    mirrors("good")
    errors = []

    def download():
        try:
            TinyMNIST(root, download=True)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=download) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert whole(root)


def test_an_error_of_the_check_leaves_nothing(tmp_path, server):
    url = server.mirror("good", tiny_mnist.good) + IMAGES

    def check(path):
        assert path.read_bytes() == PACKED[IMAGES]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch([url], tmp_path / "data" / "target", check, limit=10**6)
    assert files(tmp_path / "data") == []


INTERRUPTED = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, sys.argv[1])
from tiny_mnist import TinyMNIST
TinyMNIST.mirrors = (sys.argv[2],)
TinyMNIST(sys.argv[3], download=True)
"""


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to another process")
def test_ctrl_c_in_the_middle(root, server, mirrors):
    def hang(handler, name, content):
        tiny_mnist.send(handler, content[: len(content) // 2], length=len(content))
        server.closing.wait(60)

    here = Path(__file__).parent
    args = [sys.executable, "-c", INTERRUPTED, str(here), server.mirror("hang", hang), str(root)]
    environment = {**os.environ, "PYTHONPATH": str(here.parents[1])}
    with subprocess.Popen(args, stderr=subprocess.PIPE, text=True, env=environment) as process:
        while process.poll() is None and not (server.requests and list(root.rglob("*.part"))):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in shown
    assert server.requests == [("hang", IMAGES)]
    assert files(root) == []
    mirrors("good")
    TinyMNIST(root, download=True)
    assert whole(root)
