"""Fetch one big file over HTTP: resumed where it stopped, checked at the end, never hanging."""

import hashlib
import http.client
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from course_lib.errors import CourseError, DataError

CHUNK = 1 << 16
GRACE_SECONDS = 15.0  # how long a transfer may warm up before its rate is judged


def download(url: str, path: Path, md5: str, *, timeout: float = 15.0, minimum_rate: float = 0.0) -> None:
    """Fetch ``url`` to ``path``; return at once when ``path`` is already whole.

    The bytes gather in ``path`` + ``.part``, which outlives a failure: the next call asks for the rest only.

    Args:
        url: where the file is.
        path: where it goes, once its checksum is right.
        md5: the published MD5 of the whole file, in hexadecimal.
        timeout: seconds the host may stay silent, when connecting and in the middle alike.
        minimum_rate: bytes a second below which the transfer is given up after ``GRACE_SECONDS``.

    Raises:
        DataError: the host cannot be reached, has no such file, falls silent or is slower than
            ``minimum_rate``; what came is kept. Or the MD5 of the whole differs; then it is thrown away.
        CourseError: the file cannot be written.
    """
    part = part_of(path)
    if path.exists():
        if file_md5(path) == md5:
            return
        say(f"{path} is damaged or not whole (its MD5 differs): fetching what is missing")
        os.replace(path, part)
    resumed = _size(part) > 0
    while True:
        while not _fetch_rest(url, part, timeout, minimum_rate):
            say(f"{url}: the connection broke; going on where it stopped")
        if file_md5(part) == md5:
            os.replace(part, path)
            return
        part.unlink()
        if not resumed:
            raise DataError(f"{url}: the file that came is damaged (its MD5 differs) and was thrown away")
        say(f"{part} was damaged (the MD5 of the whole differs): thrown away, starting again")
        resumed = False


def part_of(path: Path) -> Path:
    """Where an unfinished download of ``path`` waits."""
    return path.with_name(path.name + ".part")


def file_md5(path: Path) -> str:
    """The MD5 of a file, in hexadecimal: the checksum that the data set's home publishes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def say(text: str) -> None:
    """Tell the reader what is going on, on the error stream so that results stay clean."""
    print(text, file=sys.stderr, flush=True)


def _fetch_rest(url: str, part: Path, timeout: float, minimum_rate: float) -> bool:
    """Append to ``part`` what one connection brings. True: the file is complete; False: it was cut short.

    A connection that brings nothing raises DataError, so whoever asks again after False makes progress.
    """
    have = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    came, problem = 0, "the connection was closed"
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            have, total = _span(response, have)
            progress = _Progress(part.name.removesuffix(".part"), have, total)
            with _open(part, "ab" if have else "wb") as file:
                while chunk := response.read1(CHUNK):  # what is there, without waiting for more
                    _write(file, chunk)
                    came += len(chunk)
                    progress.show(have + came)
                    if progress.seconds > GRACE_SECONDS and progress.rate < minimum_rate:
                        kept = f"{(have + came) / 1e6:.1f} MB are kept in {part}"
                        raise DataError(f"{url}: only {progress.rate / 1e3:.0f} kB/s; {kept}")
            progress.end()
            if total is None or have + came >= total:
                return True
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is left to send; the checksum will tell
            return True
        raise DataError(f"{url}: the server answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        problem = str(getattr(error, "reason", "") or error) or type(error).__name__
    if came:
        return False
    kept = f"; {have / 1e6:.1f} MB are kept in {part}" if have else ""
    raise DataError(f"{url}: cannot be fetched ({problem}){kept}")


def _span(response: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """Where in the file the answer starts (0 if the server knows no ranges), and how long the file is."""
    if response.status != 206:
        have = 0
    elif not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        raise http.client.HTTPException("the server sent another range than it was asked for")
    length = response.headers.get("Content-Length")
    return have, have + int(length) if length else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _open(path: Path, mode: str):
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, mode)
    except OSError as error:
        raise _unwritable(path, error) from error


def _write(file, chunk: bytes) -> None:
    try:
        file.write(chunk)
        file.flush()  # so that a full disk is met here, and a killed run keeps what it has
    except OSError as error:
        raise _unwritable(Path(file.name), error) from error


def _unwritable(path: Path, error: OSError) -> CourseError:
    reason = error.strerror or error
    return CourseError(f"cannot write {path}: {reason}; free some space or choose a writable folder")


class _Progress:
    """Megabytes, rate and time left: one line rewritten in a terminal, a line every ten seconds elsewhere."""

    def __init__(self, name: str, start: int, total: int | None) -> None:
        self.name, self.start, self.total = name, start, total
        self.began = self.shown = time.monotonic()
        self.done = start
        self.live = sys.stderr.isatty()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def rate(self) -> float:
        """Bytes a second of this connection."""
        return (self.done - self.start) / max(self.seconds, 1e-6)

    def show(self, done: int) -> None:
        self.done = done
        if time.monotonic() - self.shown >= (0.5 if self.live else 10.0):
            self.shown = time.monotonic()
            self._print(end="" if self.live else "\n")

    def end(self) -> None:
        if self.shown > self.began:  # a short transfer needs no line at all
            self._print(end="\n")

    def _print(self, end: str) -> None:
        text = f"{self.name}: {self.done / 1e6:.1f} MB"
        if self.total:
            left = int((self.total - self.done) / max(self.rate, 1.0))
            text += f" of {self.total / 1e6:.1f} MB, {left // 60} min {left % 60:02d} s left"
        text += f", {self.rate / 1e6:.2f} MB/s"
        print(("\r" if self.live else "") + text.ljust(90), end=end, file=sys.stderr, flush=True)
