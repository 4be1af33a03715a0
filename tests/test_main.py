"""The command line: every mistake a reader can make is answered with one line and an exit status."""

import subprocess
import sys

import pytest

from course_lib.__main__ import main


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "quick")


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["study", "gn-s-9x"], "unknown experiment 'gn-s-9x'"),
        (["study", "--only", "table9"], "unknown table 'table9'"),
        (["study", "gn-d", "--only", "table1"], "not both"),
    ],
)
def test_a_mistake_is_one_line(arguments, words, capsys):
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("course: ") and words in captured.err and captured.err.count("\n") == 1


def test_an_empty_store_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    assert main(["report"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_list_names_every_row(capsys):
    assert main(["study", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "quick profile" in lines[0] and len(lines) == 1 + 32  # 30 rows and two assistants


def test_list_of_one_table(capsys):
    assert main(["study", "--list", "--only", "table4"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 3 + 4  # three rows and the four teachers they need


def test_doctor_says_ok(capsys):
    assert main(["doctor"]) == 0
    assert "FAIL" not in capsys.readouterr().out


def test_an_unknown_profile_is_refused():
    command = [sys.executable, "-m", "course_lib", "doctor", "--profile", "huge"]
    answer = subprocess.run(command, capture_output=True, text=True)
    assert answer.returncode == 2 and "invalid choice" in answer.stderr


def test_importing_the_training_part_needs_neither_jupyter_nor_torchvision():
    """A bare GPU machine runs the study."""
    code = (
        "import sys; from course_lib import study, train, report, results; import course_lib.__main__; "
        "heavy = {'torchvision', 'IPython', 'ipywidgets', 'nbclient', 'nbformat', 'jupyterlab'} & set(sys.modules); "
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
