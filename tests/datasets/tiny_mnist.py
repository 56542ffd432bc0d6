"""A data set in the form of MNIST with a few pictures, its files, and a server on this machine that hands them out."""

import gzip
import hashlib
import io
import struct
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import numpy as np

from tinygrad_edu.datasets import MNIST
from tinygrad_edu.datasets.mnist import Resource

CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}


def idx_bytes(array):
    """An IDX file of the array."""
    header = struct.pack(">BBBB", 0, 0, CODES[array.dtype.name], array.ndim) + struct.pack(
        f">{array.ndim}I", *array.shape
    )
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


def _arrays():
    random = np.random.RandomState(3)
    for part, count in (("train", 30), ("t10k", 20)):
        yield f"{part}-images-idx3-ubyte", random.randint(0, 256, (count, 28, 28)).astype(np.uint8)
        yield f"{part}-labels-idx1-ubyte", random.randint(0, 10, count).astype(np.uint8)


ARRAYS = dict(_arrays())
RAW = {name: idx_bytes(array) for name, array in ARRAYS.items()}
PACKED = {f"{name}.gz": gzip.compress(raw, mtime=0) for name, raw in RAW.items()}


class TinyMNIST(MNIST):
    """30 and 20 pictures of noise."""

    mirrors = ()
    resources: ClassVar = {
        name: Resource(ARRAYS[name].shape, hashlib.md5(raw).hexdigest()) for name, raw in RAW.items()
    }


def write(folder, *, packed=True, parts=("train", "t10k")):
    """Put the files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (PACKED if packed else RAW).items():
        if name.startswith(parts):
            (folder / name).write_bytes(content)


class Server:
    """Mirrors by name: `replies[mirror]` is called with (handler, file name, its content) for each request."""

    def __init__(self):
        self.requests = []
        self.replies = {}
        self.closing = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                mirror, name = self.path.strip("/").split("/")
                server.requests.append((mirror, name))
                server.replies[mirror](self, name, PACKED[name])

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def mirror(self, name, reply):
        """Serve a mirror; its address."""
        self.replies[name] = reply
        return f"http://127.0.0.1:{self.http.server_port}/{name}/"

    def close(self):
        """Let hanging replies go, and stop."""
        self.closing.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


def send(handler, body, length=None, status=200):
    """A reply; `length` is the announced one, None for the true one, False for none."""
    handler.send_response(status)
    if length is not False:
        handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)
    handler.wfile.flush()


def good(handler, name, content):
    """What a mirror should do."""
    send(handler, content)


def missing(handler, name, content):
    """404."""
    handler.send_error(404)


def cut(handler, name, content):
    """Announce all of it, send half, and hang up."""
    send(handler, content[: len(content) // 2], length=len(content))


def cut_silently(handler, name, content):
    """Send half without having said how much there is."""
    send(handler, content[: len(content) // 2], length=False)


def other(handler, name, content):
    """A file of the right shape with other numbers."""
    raw = bytearray(RAW[name.removesuffix(".gz")])
    raw[-1] ^= 1
    send(handler, gzip.compress(bytes(raw)))


def web_page(handler, name, content):
    """What networks with a log-in page do."""
    send(handler, b"<!DOCTYPE html><html><body>please log in</body></html>")


def huge(handler, name, content):
    """Announce more than there can be."""
    send(handler, content, length=10**12)


def endless(handler, name, content):
    """Go on for 16 MB, hundreds of times more than there can be."""
    handler.send_response(200)
    handler.end_headers()
    with suppress(OSError):
        for _ in range(256):
            handler.wfile.write(bytes(1 << 16))


def npz_bytes(**arrays):
    """An .npz file."""
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()
