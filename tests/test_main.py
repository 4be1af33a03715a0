"""The command line: every mistake a reader can make is answered in one line, and an exit status."""

import os
import re
import subprocess
import sys

import pytest

from course_lib import __main__ as command_line
from course_lib.__main__ import main


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "quick")


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["study", "gn-s-9x"], "unknown experiment 'gn-s-9x'"),
        (["study", "--only", "table9"], "unknown table 'table9'"),
        (["study", "gn-d", "--only", "table1"], "--only and a choice of experiments do not go together"),
        (["study", "--recipe", "mended"], "unknown recipe 'mended'"),
        (["study", "--minutes", "0"], "minutes must be above 0"),
        (["study", "--workers", "0"], "from 1 on"),
        (["study", "--seeds", "0"], "from 1 on"),
        (["study", "--ray", ""], "--ray an address"),
        (["study", "--ray", "auto", "--workers", "4"], "--ray and --workers do not go together"),
        (["study", "--fresh", "--minutes", "5"], "do not go together: delete the results"),
        (["study", "--list", "--fresh"], "--list and --fresh do not go together"),
        (["study", "--list", "--ray", "auto"], "--list and --ray do not go together"),
        (["study", "--list", "--minutes", "5"], "--list and --minutes do not go together"),
        (["study", "--list", "--workers", "2"], "--list and --workers do not go together"),
        (["lessons", "17"], "there is no lesson '17': it is one of 00_start_here"),
    ],
)
def test_a_mistake_is_one_line(arguments, words, capsys):
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("course: ") and words in captured.err and captured.err.count("\n") == 1


def test_a_folder_without_the_papers_numbers_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    assert main(["report"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_all_lines_of_a_message_reach_the_reader(tmp_path, monkeypatch, capsys):
    """Remedies stand below the first line."""

    def data(options):
        raise command_line.CourseError("cannot get it. Do one of these:\n  - a\n  - b")

    monkeypatch.setattr(command_line, "data", data)
    assert main(["data"]) == 1 and capsys.readouterr().err == "course: cannot get it. Do one of these:\n  - a\n  - b\n"


def test_a_package_that_is_missing_is_named(monkeypatch, capsys):
    def data(options):
        raise ModuleNotFoundError("No module named 'missing.part'", name="missing.part")

    monkeypatch.setattr(command_line, "data", data)
    assert main(["data"]) == 1
    assert "course: missing.part is not installed" in capsys.readouterr().err


def test_the_list(capsys):
    """The rows of one table with their teachers; another recipe with what it does not share, a line a seed."""
    assert main(["study", "--list", "--only", "table4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "quick profile" in lines[0] and len(lines) == 1 + 3 + 4 + 1  # three rows and the four teachers they need
    assert main(["study", "--list", "--only", "table3", "--recipe", "as_run", "--seeds", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("as_run" in line.split(":")[0] for line in lines) == 2 * (4 + 2)
    assert sum(", unshuffled, " in line for line in lines) == 2 * 4


def test_a_listing_into_a_closed_pipe_ends_quietly():
    """As in ``exercises | head -1``; here the reader is gone from the start."""
    ours, theirs = os.pipe()
    command = [sys.executable, "-m", "course_lib", "exercises"]
    listing = subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, text=True)
    os.close(ours), os.close(theirs)
    assert listing.stderr.read() == ""


def test_a_profile_that_is_named_holds_for_all_that_follows(monkeypatch, capsys):
    assert main(["study", "--list", "--profile", "laptop", "--only", "table1"]) == 0
    assert "laptop profile" in capsys.readouterr().out and os.environ["COURSE_PROFILE"] == "laptop"


def test_the_exercises_are_listed(capsys):
    assert main(["exercises"]) == 0
    assert "find the bug" in capsys.readouterr().out


def test_tools_get_their_own_arguments_and_lie_in_the_checkout_only(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        main(["stick", "--help"])
    assert "--packages" in capsys.readouterr().out
    monkeypatch.setattr(command_line, "CHECKOUT", tmp_path)
    assert main(["bench"]) == 1 and "in the course's checkout only" in capsys.readouterr().err


def test_an_unknown_command_or_profile_is_refused_and_help_is_quick():
    command = [sys.executable, "-m", "course_lib"]
    answer = subprocess.run([*command, "doctor", "--profile", "huge"], capture_output=True, text=True)
    assert answer.returncode == 2 and "invalid choice" in answer.stderr
    command[1:1] = ["-X", "importtime"]  # told on stderr; a clock would measure what else the machine does
    answer = subprocess.run([*command, "--help"], capture_output=True, text=True)
    assert answer.returncode == 0 and "argparse" in answer.stderr and "numpy" not in answer.stderr
    for name in (
        "doctor",
        "data",
        "study",
        "verify",
        "bench",
        "report",
        "course",
        "lessons",
        "exercises",
        "copies",
        "stick",
    ):
        assert re.search(rf"^    {name}\b", answer.stdout, re.MULTILINE), name


def test_a_bare_machine_runs_the_study():
    """What trains and reports imports neither Jupyter nor torchvision; the command line itself next to nothing."""
    code = (
        "import sys; import course_lib.__main__; assert 'numpy' not in sys.modules; "
        "from course_lib import report; from course_lib.look import show; assert 'torch' not in sys.modules; "
        "from course_lib.study import queue, store; from course_lib.training import loop; "
        "heavy = {'torchvision', 'IPython', 'ipywidgets', 'nbclient', 'nbformat', 'jupyterlab'} & set(sys.modules); "
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
