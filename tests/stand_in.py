"""A miniature CIFAR-10 and a badly behaved web server, so that fetching is tested without a network."""

import hashlib
import io
import json
import pickle
import struct
import tarfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from PIL import Image
from torchvision.datasets import CIFAR10

from course_lib.data import fetch

TRAIN = [name for name, _ in CIFAR10.train_list]
PORTAL = b"<!DOCTYPE html><html><body>Please log in to the campus network</body></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 170498071\n"


@dataclass
class Server:
    """What the server does next. ``plan`` has a word a request; when it is used up, requests are answered well."""

    files: dict[str, bytes]
    url: str = ""
    plan: list[str] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)  # file and Range header of each request
    done: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serve(files: dict[str, bytes], *plan: str):
    """A server of this machine. Words: cut, stall, silent, 404, no-range, corrupt, portal, page, pointer."""
    state = Server(files, plan=list(plan))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name, wanted = self.path.rsplit("/", 1)[-1], self.headers["Range"]
            state.asked.append((name, wanted))
            mode = state.plan.pop(0) if state.plan else ""
            if mode == "silent":
                state.done.wait(10)
                return
            if mode == "404" or name not in files:
                self.send_error(404)
                return
            content = {"portal": PORTAL, "page": PORTAL, "pointer": POINTER}.get(mode, files[name])
            start = (
                0
                if mode in ("no-range", "no-range cut", "portal", "page", "pointer")
                else int(wanted[len("bytes=") : -1])
            )
            body = content[start:]
            if start and not body:
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            if mode == "portal":
                self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            if mode == "corrupt":
                body = bytes([body[0] ^ 1]) + body[1:]
            self.wfile.write(body[: len(body) // 2] if mode in ("cut", "stall", "no-range cut") else body)
            if mode == "stall":
                state.done.wait(10)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        state.done.set()
        server.shutdown()
        server.server_close()


@dataclass
class Miniature:
    """A data set of 20 + 10 images in all the forms that the real one comes in."""

    arrays: fetch.Arrays
    batches: dict[str, bytes]
    archive: bytes
    package: bytes

    def write_folder(self, parent: Path) -> Path:
        """The archive as torchvision extracts it."""
        folder = parent / fetch.FOLDER
        folder.mkdir(parents=True)
        for name, data in self.batches.items():
            (folder / name).write_bytes(data)
        return folder

    def publish(self, monkeypatch) -> None:
        """Make its digests the published ones."""
        digests = {key: hashlib.sha256(array).hexdigest() for key, array in self.arrays.items()}
        monkeypatch.setattr(fetch, "SHA256", digests)
        files = {fetch.ARCHIVE: self.archive, fetch.NPM: self.package}
        monkeypatch.setattr(fetch, "PUBLISHED", {url: hashlib.sha256(data).hexdigest() for url, data in files.items()})
        md5 = {name: hashlib.md5(data).hexdigest() for name, data in self.batches.items()}
        monkeypatch.setattr(CIFAR10, "train_list", [[name, md5[name]] for name in TRAIN])
        monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", md5["test_batch"]]])
        monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": md5["batches.meta"]})


def miniature() -> Miniature:
    """Random images in five batches of four and one of ten."""
    random = np.random.RandomState(0)
    arrays, batches, package = {}, {}, {}
    for split, names, n in (("train", TRAIN, 4), ("test", ["test_batch"], 10)):
        images = random.randint(0, 256, (len(names) * n, 32, 32, 3)).astype(np.uint8)
        labels = random.randint(0, 10, len(names) * n).astype(np.uint8)
        arrays |= {f"{split}_images": images, f"{split}_labels": labels}
        package[f"package/{split}_lables.json"] = json.dumps(labels.tolist()).encode()
        for i, name in enumerate(names):
            rows = slice(i * n, (i + 1) * n)
            planes = images[rows].transpose(0, 3, 1, 2).reshape(n, 3072)
            batches[name] = python2_batch(planes, labels[rows])
            package[f"package/{name}.png"] = png(images[rows].reshape(n, 1024, 3))
    batches["batches.meta"] = pickle.dumps({"label_names": list("abcdefghij")})
    archive = tar_gz({f"{fetch.FOLDER}/{name}": data for name, data in batches.items()})
    return Miniature(arrays, batches, archive, tar_gz(package))


def python2_batch(planes: np.ndarray, labels: np.ndarray) -> bytes:
    """A batch file as Python 2 and an old NumPy pickled it, opcode by opcode: nothing newer writes such files."""

    def text(data: bytes) -> bytes:
        return b"T" + struct.pack("<i", len(data)) + data

    def number(value: int) -> bytes:
        return b"J" + struct.pack("<i", value)

    dtype = b"cnumpy\ndtype\n" + text(b"u1") + number(0) + number(1) + b"\x87R"
    dtype += b"(" + number(3) + text(b"|") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    shape = number(planes.shape[0]) + number(planes.shape[1]) + b"\x86"
    array += b"(" + number(1) + shape + dtype + b"\x89" + text(planes.tobytes()) + b"tb"
    numbers = b"](" + b"".join(number(int(label)) for label in labels) + b"e"
    return b"\x80\x02}(" + text(b"data") + array + text(b"labels") + numbers + b"u."


def png(pixels: np.ndarray) -> bytes:
    """The pixels as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def tar_gz(files: dict[str, bytes]) -> bytes:
    """An archive of these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
