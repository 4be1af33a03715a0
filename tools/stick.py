"""Fills a folder with all that a room without a network needs: the course, its packages, its web pages.

python -m course_lib stick                      into build/stick/
python -m course_lib stick --out /media/stick   straight to the stick

The packages fit machines like this one: the same system, processor and minor version of Python, in no older release.
For a mixed room run it on one machine of each kind with the same folder; their packages lie there side by side.
"""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from course_lib.files import CourseError, atomic_write, repo_path
from tools.folders import replace_folder

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = (".git", ".venv", "build", "cache", "__pycache__", "*.egg-info", ".*_cache", ".ipynb_checkpoints", ".ci")
START = """KNOWLEDGE DISTILLATION ON TINY IMAGES: without a network
=======================================================

Just read?  Open site/index.html in a browser (if the folder is there).

To run the lessons you need Python {python}, and 10 GB of disk on Linux, about 3 GB on Windows and macOS.
Copy this whole folder to the machine, open a terminal in it, and type:

Linux, macOS:

  cd course
  python3 -m venv .venv
  .venv/bin/python -m pip install --no-index --find-links ../wheels -e .
  .venv/bin/python -m course_lib doctor
  .venv/bin/python -m jupyterlab notebooks/00_start_here.ipynb

Windows (PowerShell):

  cd course
  py -{minor} -m venv .venv
  .venv\\Scripts\\python -m pip install --no-index --find-links ..\\wheels -e .
  .venv\\Scripts\\python -m course_lib doctor
  .venv\\Scripts\\python -m jupyterlab notebooks\\00_start_here.ipynb

"doctor" says what is missing and what to do. "No matching distribution" means that wheels/ was filled for another
system or another version of Python: fill it again on a machine like this one (python -m course_lib stick --help).
"""


def fill(folder: Path, packages: Sequence[str] = (), run: Callable = subprocess.run) -> None:
    """Put the course, START.txt, the site where it was made, and the packages into ``folder``.

    An older stick's ``course/`` and ``site/`` are replaced where they are as this command left them; packages that
    are there already are not loaded again. Nothing else in ``folder`` is touched.

    Args:
        folder: where to.
        packages: only these, instead of all that the course needs.
        run: starts pip; a test puts its own here.

    Raises:
        CourseError: pip could not get all packages; ``folder`` lies inside the course, or holds somebody's own
            ``course/`` or ``site/``.
    """
    place = folder.expanduser().resolve()
    if place.is_relative_to(ROOT) and not place.is_relative_to(ROOT / "build"):
        raise CourseError(f"{folder} lies inside the course, which would be copied into itself: choose another folder")
    with replace_folder(place / "course", "stick") as new:
        copy(ROOT, new, leave=LEFT_OUT)
    site = repo_path("build", "site")
    if site.is_dir():
        with replace_folder(place / "site", "stick") as new:
            copy(site, new)
    else:
        print("no web pages go along: `make site` first, if they shall")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    command = [*pip, "download", "--dest", str(place / "wheels"), *(packages or requirements())]
    if run(command, cwd=ROOT).returncode != 0:
        raise CourseError("pip could not get all packages; its own words stand above")
    atomic_write(place / "START.txt", start(place / "wheels").encode())


def copy(source: Path, target: Path, leave: Sequence[str] = ()) -> None:
    """Copy a folder's files; links are followed. What cannot be carried (a dangling link, a pipe) is named, not copied.

    Args:
        leave: patterns of names that are left out without a word.
    """
    named = shutil.ignore_patterns(*leave)

    def needless(folder: str, names: list[str]) -> set[str]:
        out = named(folder, names)
        for name in set(names) - out:
            path = Path(folder, name)
            if not (path.is_file() or path.is_dir()) or not os.access(path, os.R_OK):
                print(f"left out, no readable file: {path.relative_to(source)}")
                out.add(name)
        return out

    shutil.copytree(source, target, ignore=needless, dirs_exist_ok=True)


def start(wheels: Path) -> str:
    """The text of START.txt, with the versions of Python that the folder's packages fit."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    built_for = (re.search(r"-cp3(\d+)-cp3\1-", path.name) for path in wheels.glob("*.whl"))
    others = {f"3.{match[1]}" for match in built_for if match} - {own}
    python = " or ".join([f"{own} ({platform.python_version()} or a later release of it)", *sorted(others)])
    return START.format(python=python, minor=own)


def requirements() -> list[str]:
    """What a machine without a network needs to install the course itself: its dependencies and the build's."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [*declared["project"]["dependencies"], *declared["build-system"]["requires"]]


def size(folder: Path) -> float:
    """The files of ``folder``, in GB."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill the folder and say how large it is."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m course_lib stick", description=__doc__, formatter_class=raw)
    home = repo_path("build", "stick")
    parser.add_argument("--out", type=Path, default=home, metavar="FOLDER", help="default: build/stick")
    parser.add_argument("--packages", nargs="+", default=(), help="only these packages, to try it out")
    options = parser.parse_args(arguments)
    try:
        fill(options.out, options.packages)
    except (CourseError, OSError, shutil.Error) as error:
        print(f"course: {error}", file=sys.stderr)
        return 1
    place = options.out.expanduser()
    parts = [f"{name} {size(place / name):.2f} GB" for name in ("course", "site", "wheels") if (place / name).is_dir()]
    print(f"{place}: {', '.join(parts)}. Copy the folder to the stick; START.txt says how to go on.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
