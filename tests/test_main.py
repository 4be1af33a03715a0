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
        (["study", "--recipe", "mended"], "unknown recipe 'mended'"),
        (["study", "--minutes", "0"], "minutes must be above 0"),
        (["study", "--workers", "0"], "from 1 on"),
        (["study", "--seeds", "0"], "from 1 on"),
        (["study", "--pack", "parcel.tar", "--megabytes", "0"], "--megabytes takes a number above 0"),
        (["study", "--ray", "auto", "--workers", "4"], "--ray and --workers do not go together"),
        (["study", "--fresh", "--minutes", "5"], "do not go together: delete the results and checkpoints"),
        (["study", "--pack", "parcel.tar", "--minutes", "5"], "--pack and --minutes do not go together"),
        (["study", "--pack", "parcel.tar", "--workers", "2"], "--pack and --workers do not go together"),
        (["study", "--pack", ""], "--pack takes the name of a file"),
        (["study", "--ray", ""], "--ray an address, not nothing"),
        (["study", "--megabytes", "15"], "--megabytes goes with --pack only"),
        (["study", "--list", "--fresh"], "--list and --fresh do not go together"),
        (["study", "--list", "--ray", "auto"], "--list and --ray do not go together"),
        (["study", "--list", "--minutes", "5"], "--list and --minutes do not go together"),
        (["study", "--list", "--workers", "2"], "--list and --workers do not go together"),
        (["study", "gn-d", "--pack", "parcel.tar"], "--pack and a choice of experiments do not go together"),
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
    assert "quick profile" in lines[0] and len(lines) == 1 + 32 + 1  # 30 rows, two assistants, and the sum
    assert lines[-1].startswith("32 done; about 0 s left")


def test_list_of_one_table(capsys):
    assert main(["study", "--list", "--only", "table4"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + 3 + 4 + 1  # three rows and the four teachers they need


def test_list_of_another_recipe_and_more_seeds(capsys):
    """What the recipe shares with `paper` is done; its own rows and their controls are missing."""
    assert main(["study", "--list", "--only", "table3", "--recipe", "as_run", "--seeds", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum("as_run" in line.split(":")[0] for line in lines) == 2 * (4 + 2)
    assert sum(", unshuffled, " in line for line in lines) == 2 * 4
    assert any(line.startswith("missing gn-s-1.0x, unshuffled, seed 0: about ") for line in lines)


def test_a_finished_study_says_so(capsys):
    assert main(["study", "gn-s-1.0x", "--minutes", "5"]) == 0
    assert capsys.readouterr().out.startswith("0 runs finished in ")


def test_pack_writes_one_file(tmp_path, capsys):
    assert main(["study", "--pack", str(tmp_path / "parcel.tar")]) == 0
    assert "tar xf" in capsys.readouterr().out and (tmp_path / "parcel.tar").exists()


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
