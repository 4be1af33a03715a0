"""Installs with pip and says so in a few lines: ``python tools/install.py -e '.[test]'``; the Makefile calls it.

pip's own words go to a log file in the environment, which an error names. Needs nothing but Python.
"""

import re
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

WIDTH = 30  # of the bar, in characters


class Progress:
    """How far pip is: packages found, brought and installed, by its own lines and by what lies in the environment."""

    def __init__(self, site: Path):
        self.site = site
        self.before = self._installed()
        self.found, self.brought, self.what = set(), set(), "asking what is needed"

    def _installed(self) -> int:
        return sum(1 for _ in self.site.glob("*.dist-info"))

    def read(self, line: str) -> None:
        """Take in a line of pip's."""
        if match := re.match(r"\s*Collecting ([\w.-]+)", line):
            self.found.add(match[1])
        elif match := re.match(
            r"\s*(?:Downloading|Using cached|Processing|Saved) (?:\S*/)?([\w.]+)-\S+\.whl( .*)?$", line
        ):
            self.brought.add(match[1])
            self.what = f"getting {match[1]}{match[2] or ''}"
        elif line.startswith("Installing collected packages:"):
            self.found = self.brought = set(line.partition(":")[2].split(","))
            self.what = f"unpacking {len(self.found)} packages"

    def __str__(self) -> str:
        share = (len(self.brought) + self._installed() - self.before) / (2 * max(len(self.found), len(self.brought), 1))
        done = round(WIDTH * min(share, 1))
        return f"[{'#' * done}{'.' * (WIDTH - done)}] {self.what}"


def install(arguments: Sequence[str], log: Path, stream: TextIO, site: Path | None = None) -> int:
    """Run ``pip install`` with these arguments; returns its exit status. A terminal shows a bar meanwhile."""
    progress = Progress(site or Path(sysconfig.get_paths()["purelib"]))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "off"]
    started, live = time.monotonic(), stream.isatty()
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
    with open(log, "w", encoding="utf-8") as file, subprocess.Popen([*pip, *arguments], **pipes) as running:

        def follow() -> None:
            for line in running.stdout:
                file.write(line)
                progress.read(line)

        reader = threading.Thread(target=follow)
        reader.start()
        while reader.is_alive():
            reader.join(0.5)
            if live:
                line = f"{time.monotonic() - started:4.0f} s {progress}"
                print(f"\r{line[:100]:<100}", end="", file=stream, flush=True)
    if live:
        print("\r" + " " * 100, end="\r", file=stream)
    words = log.read_text(encoding="utf-8").splitlines()
    if running.returncode:
        for line in [line for line in words if line.startswith("ERROR")] or words[-5:]:
            print(line, file=stream)
        print(f"course: pip could not install; all it said is in {log}", file=stream)
    else:
        print(f"installed in {time.monotonic() - started:.0f} s; pip's own words: {log}", file=stream)
    return running.returncode


if __name__ == "__main__":
    sys.exit(install(sys.argv[1:], Path(sys.prefix) / "install.log", sys.stdout))
