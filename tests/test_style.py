"""Code and notebooks pass the linter and the formatter; words are spelt as in a dictionary."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = {".venv", "build", ".git", "cache", ".ipynb_checkpoints", ".pytest_cache", ".ruff_cache"}


def written(*endings: str) -> list[Path]:
    """The repository's own files with these endings."""
    found = [path for ending in endings for path in ROOT.rglob(f"*{ending}")]
    return sorted(path for path in found if not SKIPPED.intersection(path.relative_to(ROOT).parts))


def run(*command: str) -> str:
    """What a program found to complain of; empty where it is content."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_ruff_finds_nothing_in_code_and_notebooks():
    assert run("ruff", "check", "--no-cache", "--output-format=concise", ".") == ""


def test_code_and_notebooks_are_formatted():
    """To mend: ``ruff format``. Notebooks are broken at 100 columns, modules at 120."""
    assert run("ruff", "format", "--no-cache", "--check", ".") == ""


def test_a_long_line_in_a_cell_is_found(tmp_path):
    """notebooks/ruff.toml is read: this line fits a module, and is too long for a cell."""
    line = "x = " + " + ".join(["1234"] * 16)
    assert 110 < len(line) < 120
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(line)])
    cell = tmp_path / "long.ipynb"
    nbformat.write(notebook, cell)
    (tmp_path / "ruff.toml").write_text(
        (ROOT / "notebooks" / "ruff.toml").read_text().replace("../pyproject.toml", str(ROOT / "pyproject.toml"))
    )
    assert "E501" in run("ruff", "check", "--no-cache", str(cell))


# --- spelling -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def words(tmp_path_factory) -> Path:
    """All text of the repository as plain files: of notebooks only what somebody wrote, not the pictures' bytes."""
    folder = tmp_path_factory.mktemp("words")
    for path in written(".md", ".py", ".cff", ".ipynb", ".svg"):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".ipynb":
            text = "\n\n".join(cell.source for cell in nbformat.reads(text, as_version=4).cells)
        copy = folder / f"{path.relative_to(ROOT)}.txt"
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(re.sub(r"base64,[A-Za-z0-9+/=]+", "", text), encoding="utf-8")
    return folder


def codespell(folder: Path) -> str:
    return run("codespell_lib", "--toml", str(ROOT / "pyproject.toml"), str(folder))


def test_words_are_spelt_right(words):
    assert codespell(words).replace(f"{words}/", "") == ""


def test_a_misspelt_word_is_found(tmp_path):
    (tmp_path / "page.md").write_text("A colour of the neighbour is normalised.\n")
    assert codespell(tmp_path) == "", "British spelling is right"
    (tmp_path / "page.md").write_text(f"This word is misspelt: {'t' + 'eh'}.\n")
    assert "==> the" in codespell(tmp_path)
