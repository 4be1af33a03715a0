"""The folder for a room without a network: what is in it, what pip is asked for, and that it installs from there."""

import platform
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import pytest

from course_lib.errors import CourseError
from tools import stick


def options(*arguments: str):
    return stick.parser().parse_args(arguments)


def succeeds(command, cwd):
    return SimpleNamespace(returncode=0)


def test_the_folder_has_the_course_and_says_how_to_start(tmp_path):
    stick.fill(tmp_path, options(), run=succeeds)
    for needed in ("course/notebooks/00_start_here.ipynb", "course/data/sample/sample.json", "course/pyproject.toml"):
        assert (tmp_path / needed).is_file(), needed
    for needless in (".git", ".venv", "build", "data/cache"):
        assert not (tmp_path / "course" / needless).exists()
    start = (tmp_path / "START.txt").read_text()
    assert "--no-index --find-links ../wheels -e ." in start and r"..\wheels" in start
    assert stick.size(tmp_path / "course") < 0.05, "the course itself is small"


def test_pip_is_asked_for_everything_the_course_declares(tmp_path):
    command = stick.pip_download(tmp_path, options())
    assert command[1:3] == ["-m", "pip"]
    assert any(part.startswith("torchvision") for part in command)
    assert any(part.startswith("setuptools") for part in command), "installing the course itself builds it"


def test_start_names_the_versions_of_python_that_the_packages_fit(tmp_path):
    for name in ("torch-2.9-cp399-cp399-manylinux.whl", "numpy-2-cp37-abi3-win.whl", "six-1-py3-none-any.whl"):
        (tmp_path / name).touch()
    words = stick.start(tmp_path)
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert f"Python {own} ({platform.python_version()} or a later release of it) or 3.99, and" in words
    assert f"py -{own} -m venv" in words


def test_a_folder_inside_the_course_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(stick, "ROOT", tmp_path)
    with pytest.raises(CourseError, match="choose another folder"):
        stick.fill(tmp_path / "stick", options(), run=succeeds)
    assert not (tmp_path / "stick").exists()


def test_a_failed_download_is_said(tmp_path):
    with pytest.raises(CourseError, match="pip could not get"):
        stick.fill(tmp_path, options(), run=lambda command, cwd: SimpleNamespace(returncode=1))


def wheel(folder, name: str) -> None:
    """A package of one empty module."""
    folder.mkdir(parents=True, exist_ok=True)
    about = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}.py", "")
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")


def test_pip_loads_into_the_folder_and_installs_from_it_without_an_index(tmp_path, monkeypatch):
    """The real commands, on a package as small as they come."""
    wheel(tmp_path / "index", "tinything")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    assert stick.main(["--out", str(tmp_path / "stick"), "--packages", "tinything"]) == 0
    monkeypatch.delenv("PIP_FIND_LINKS")
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--find-links", "../wheels"]
    install += ["--target", str(tmp_path / "installed"), "tinything"]
    subprocess.run(install, cwd=tmp_path / "stick" / "course", check=True)
    assert (tmp_path / "installed" / "tinything.py").is_file()
