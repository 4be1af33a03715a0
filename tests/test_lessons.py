"""Every lesson runs on a fresh kernel, offline and in time, and its tables say what the results store says.

The expected numbers are computed here from the store's own files, not by the code that draws the tables.
"""

import csv
import io
import json
import os
import re
import shutil
import statistics
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from bs4 import BeautifulSoup
from fabricated import fake_store

from course_lib import report
from course_lib.__main__ import main
from course_lib.files import CourseError
from course_lib.study import store
from course_lib.study.protocols import origin
from tools import lessons as notebooks

ROOT = Path(__file__).resolve().parent.parent
NUMBERS = [*(f"{number:02}" for number in range(7)), "90"]  # 90_minutes: one class, alone
TABLES_OF = {"02": {1}, "03": {2}, "04": {3}, "05": {4}}  # what a lesson must show; any table shown is checked
ROMAN = {"I": 1, "II": 2, "III": 3, "IV": 4}
NOMINAL_S = 120  # the promise for two cores; a busy machine gets twice as long
CLOSED_DOOR = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def fresh_checkout(tmp_path_factory) -> Path:
    """What a fresh clone has of ``data/``: no cache. Figures and results go here, not into the working tree."""
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(ROOT / "data", home / "data", ignore=shutil.ignore_patterns("cache"))
    return home


EXECUTED = "06"  # by default; the others in `make test ALL=1`
SLOW = [pytest.param(number, marks=[] if number == EXECUTED else pytest.mark.slow) for number in NUMBERS]


@pytest.fixture(scope="module", params=SLOW)
def executed(request, fresh_checkout) -> nbformat.NotebookNode:
    """Lesson NN, executed without a network."""
    (path,) = notebooks.find_lessons([request.param])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_HOME", str(fresh_checkout))
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            patch.setenv(name, CLOSED_DOOR)
            patch.setenv(name.upper(), CLOSED_DOOR)
        started = time.monotonic()
        notebook = notebooks.execute(path, timeout_s=2 * NOMINAL_S, profile="quick")
    print(f"lesson {path.stem}: {time.monotonic() - started:.0f} s")
    notebook.metadata["lesson"] = request.param
    return notebook


def test_a_lesson_runs_to_its_end_without_a_warning(executed):
    cells = [cell for cell in executed.cells if cell.cell_type == "code" and cell.source.strip()]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []


def test_a_lesson_shows_the_store(executed):
    check_tables(executed, executed.metadata["lesson"], ROOT / "data")


@pytest.mark.parametrize("number", NUMBERS)
def test_the_committed_lesson_shows_the_store(number):
    (path,) = notebooks.find_lessons([number])
    check_tables(nbformat.read(path, as_version=4), number, ROOT / "data")


def test_lesson_02_shows_figure_1_in_words():
    (path,) = notebooks.find_lessons(["02"])
    html = "".join(htmls(nbformat.read(path, as_version=4)))
    alts = [image.get("alt", "") for image in BeautifulSoup(html, "html.parser").find_all("img")]
    assert any(alt.startswith("Accuracy against the width of GN-S") for alt in alts)


# --- the tables against the store -----------------------------------------------------------------


def htmls(notebook) -> list[str]:
    """The HTML outputs of a notebook."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return ["".join(output.data["text/html"]) for output in outputs if "text/html" in output.get("data", {})]


class ShownTable(NamedTuple):
    """A table of a lesson; ``rows`` are column name to text."""

    number: int
    profile: str
    recipe: str
    rows: list[dict[str, str]]


def shown_tables(notebook) -> list[ShownTable]:
    """Every table captioned ``Table I`` to ``Table IV``."""
    found = []
    for table in BeautifulSoup("".join(htmls(notebook)), "html.parser").find_all("table"):
        caption = table.caption.get_text() if table.caption else ""
        title = re.match(r"Table (I|II|III|IV)\b", caption)
        if not title:
            continue
        profile, recipe = re.search(r"Ours, (\w+) profile", caption), re.search(r"recipe '(\w+)'", caption)
        assert profile and recipe, f"the caption names no profile or no recipe: {caption}"
        names = [cell.get_text() for cell in table.thead.find_all("th")]
        lines = [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in table.tbody.find_all("tr")]
        rows = [dict(zip(names, line, strict=True)) for line in lines]
        found.append(ShownTable(ROMAN[title[1]], profile[1], recipe[1], rows))
    return found


def column(row: dict[str, str], *words: str) -> str:
    """The cell of the one column whose name holds all the words."""
    (name,) = [name for name in row if all(word in name for word in words)]
    return row[name]


def stored_accuracies(profile: str, recipe: str, data: Path) -> dict[str, dict[int, float]]:
    """Key to seed to last-epoch test accuracy in percent, from the files of the store."""
    accuracies: dict[str, dict[int, float]] = {}
    for path in (data / "results" / profile).glob("*.json"):
        run = json.loads(path.read_text())
        if run["recipe"] == origin(run["key"], recipe):  # what two recipes train alike is run once
            last_epoch = dict(zip(run["history"]["columns"], run["history"]["rows"][-1], strict=True))
            accuracies.setdefault(run["key"], {})[run["seed"]] = last_epoch["test_accuracy"]
    return accuracies


def student_alone(key: str) -> str:
    return key.split("<")[0]


def check_tables(notebook, lesson: str, data: Path) -> None:
    """Every number of ours and of the paper's in the tables shown is the store's, or the paper's file's."""
    tables = shown_tables(notebook)
    shown = {table.number for table in tables}
    assert TABLES_OF.get(lesson, set()) <= shown, f"lesson {lesson} shows the tables {sorted(shown)} only"
    for number, profile, recipe, rows in tables:
        with open(data / "paper" / f"table{number}.csv", newline="") as file:
            printed = list(csv.DictReader(file))
        stored = stored_accuracies(profile, recipe, data)
        for row, paper in zip(rows, printed, strict=True):
            check_row(row, paper, stored, with_deltas=number > 1)


def check_row(row: dict, paper: dict, stored: dict[str, dict[int, float]], with_deltas: bool) -> None:
    key = paper["key"]
    own, alone = stored.get(key, {}), stored.get(student_alone(key), {})
    assert float(column(row, "paper acc.")) == float(paper["accuracy"]), key
    check_number(column(row, "our acc.", "last"), own.values(), "not run")
    assert row["n"] == str(len(own)), key
    if with_deltas:
        assert float(column(row, "paper delta")) == float(paper["delta"]), key
        pairs = [own[seed] - alone[seed] for seed in own if seed in alone]
        check_number(column(row, "our delta", "last"), pairs, "no pair" if own else "not run")


def check_number(shown: str, values: Collection[float], absent: str) -> None:
    """``shown`` is the mean of the values, to two decimals, or ``absent`` where there are none."""
    if values:
        assert float(shown) == pytest.approx(statistics.fmean(values), abs=0.00501)
    else:
        assert shown == absent


def test_the_check_finds_a_number_that_is_not_the_stores(tmp_path):
    shutil.copytree(ROOT / "data" / "paper", tmp_path / "paper")
    accuracies = {"gn-s-1.0x": {0: 40.0, 1: 44.0}, "gn-s-1.0x<resnet50": {0: 39.0, 1: 41.5}}
    fake_store(tmp_path / "results", accuracies)
    frame = store.load_results(tmp_path / "results")
    notebook = nbformat.v4.new_notebook()
    for number in (1, 2):
        html = report.show_table(number, frame, "quick")._repr_html_()
        output = nbformat.v4.new_output("execute_result", {"text/html": html})
        notebook.cells.append(nbformat.v4.new_code_cell("show", outputs=[output]))
    assert [table[:3] for table in shown_tables(notebook)] == [(1, "quick", "paper"), (2, "quick", "paper")]
    check_tables(notebook, "03", tmp_path)
    for shown in ("42.00", "-1.75", "91.37"):  # our mean, our delta, the paper's number
        broken = nbformat.from_dict(json.loads(json.dumps(notebook).replace(f">{shown}<", ">42.01<")))
        with pytest.raises(AssertionError):
            check_tables(broken, "03", tmp_path)
    with pytest.raises(AssertionError, match="lesson 04 shows the tables"):
        check_tables(notebook, "04", tmp_path)


def test_the_check_reads_the_recipe_of_a_table(tmp_path):
    """A row that ``as_run`` trains in its own way has its own number; the baseline is that of ``paper``."""
    shutil.copytree(ROOT / "data" / "paper", tmp_path / "paper")
    fake_store(tmp_path / "results", {"gn-s-1.0x": {0: 40.0}, "gn-s-1.0x<ta": {0: 41.0}})
    fake_store(tmp_path / "results", {"gn-s-1.0x<ta": {0: 37.0}}, recipe="as_run")
    frame = store.load_results(tmp_path / "results")
    notebook = nbformat.v4.new_notebook()
    for recipe in ("paper", "as_run"):
        html = report.show_table(3, frame, "quick", recipe)._repr_html_()
        output = nbformat.v4.new_output("execute_result", {"text/html": html})
        notebook.cells.append(nbformat.v4.new_code_cell("show", outputs=[output]))
    check_tables(notebook, "04", tmp_path)
    swapped = nbformat.from_dict(json.loads(json.dumps(notebook).replace("&#x27;as_run", "&#x27;paper")))
    with pytest.raises(AssertionError):
        check_tables(swapped, "04", tmp_path)


# --- the machinery that executes them -------------------------------------------------------------


def make_notebook(folder: Path, *cells: str) -> Path:
    """A lesson of these code cells, in a folder of its own."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    path = folder / "notebooks" / "00_tiny.ipynb"
    path.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, path)
    return path


def test_the_kernel_is_this_interpreter_in_the_notebooks_folder_and_profile(tmp_path):
    path = make_notebook(tmp_path, "import os, sys\nprint(sys.executable, os.getcwd(), os.environ['COURSE_PROFILE'])")
    done = notebooks.execute(path, profile="laptop")
    assert done.cells[0].outputs[0].text.split() == [sys.executable, str(path.parent.resolve()), "laptop"]


def test_a_failing_cell_is_named_with_all_it_said_and_the_notebook_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    path = make_notebook(tmp_path, "1", "raise ValueError('no such width\\nsecond line')", "3")
    before = path.read_bytes()
    with pytest.raises(CourseError) as caught:
        notebooks.run_lessons(in_place=True)
    assert str(caught.value) == "00_tiny stopped at code cell 2 of 3: ValueError: no such width\nsecond line"
    assert path.read_bytes() == before
    with pytest.raises(CourseError):
        notebooks.run_lessons()
    copy = nbformat.read(tmp_path / "build" / "course" / "00_tiny.ipynb", as_version=4)
    assert copy.cells[1].outputs[0].ename == "ValueError"


def test_a_lesson_that_hangs_or_dies_is_stopped_and_named(tmp_path):
    with pytest.raises(CourseError, match="00_tiny was stopped at code cell 1 of 1: it had 3 s"):
        notebooks.execute(make_notebook(tmp_path, "import time; time.sleep(60)"), timeout_s=3)
    with pytest.raises(CourseError, match="the kernel died at code cell 1 of 1"):
        notebooks.execute(make_notebook(tmp_path, "import os; os.kill(os.getpid(), 9)"))


def test_in_place_leaves_counts_and_words_but_no_widget_and_no_timing(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    path = make_notebook(tmp_path, "import ipywidgets\nipywidgets.IntSlider()", "print('end')")
    ((name, seconds),) = notebooks.run_lessons(in_place=True, names=["00"])
    assert name == "00_tiny" and seconds > 0
    written = nbformat.read(path, as_version=4)
    assert [cell.execution_count for cell in written.cells] == [1, 2]
    assert dict(written.cells[0].outputs[0].data) == {"text/plain": notebooks.WIDGET_NOTE}
    assert "widgets" not in written.metadata and not any(cell.metadata for cell in written.cells)


def test_a_folder_without_lessons_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    with pytest.raises(CourseError, match="there are no lessons in .*notebooks; unset COURSE_HOME"):
        notebooks.lessons()


def test_an_unknown_lesson_is_answered_with_the_known_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    make_notebook(tmp_path, "1")
    with pytest.raises(CourseError, match="no lesson '07': it is one of 00_tiny"):
        notebooks.find_lessons(["07"])


def test_the_course_executes_the_lessons_and_says_where_the_tables_are(tmp_path, monkeypatch, capsys):
    """It trains nothing; with an empty store the report is drawn all the same."""
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    shutil.copytree(ROOT / "data" / "paper", tmp_path / "data" / "paper")
    make_notebook(tmp_path, "1")
    assert main(["course", "--profile", "quick"]) == 0
    said = capsys.readouterr().out
    for path in ("build/course/00_tiny.ipynb", "figures/laptop/fig1.png", "figures/laptop/table4.md"):
        assert path in said and (tmp_path / path).exists()
    assert "figures/quick" not in said and not (tmp_path / "figures" / "quick").exists()


def test_two_lessons_run_side_by_side_and_the_first_that_fails_stops_the_other(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    path = make_notebook(tmp_path, "import os, time; time.sleep(1); print(os.environ['OMP_NUM_THREADS'])")
    shutil.copy(path, path.with_name("01_tiny.ipynb"))
    started = time.monotonic()
    times = notebooks.run_lessons(at_once=2)
    assert [name for name, _ in times] == ["00_tiny", "01_tiny"]
    assert sum(seconds for _, seconds in times) > 1.3 * (time.monotonic() - started)
    threads = nbformat.read(tmp_path / "build" / "course" / path.name, as_version=4).cells[0].outputs[0].text
    assert int(threads) == max(1, os.cpu_count() // 2)
    make_notebook(tmp_path, "import time; time.sleep(60)")
    nbformat.write(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")]), path.with_name("01_tiny.ipynb")
    )
    with pytest.raises(CourseError, match="01_tiny stopped at code cell 1 of 1: ZeroDivisionError"):
        notebooks.run_lessons(at_once=2)
    assert time.monotonic() - started < 50


def test_progress_is_rewritten_on_a_terminal_and_plain_elsewhere():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for stream, rewritten in ((Terminal(), True), (io.StringIO(), False)):
        with notebooks.Progress(stream) as progress, progress.of("00_tiny", 2) as first:
            with progress.of("01_tiny", 3):
                first.advance()
            first.advance()
        text = stream.getvalue()
        assert ("\r" in text) == rewritten and text.count("\n") == (2 if rewritten else 4)
        assert "cell 0 of 2" in text and "; 01: 0 of 3" in text
        assert re.search(r"00_tiny +cell 2 of 2 +0 s  done *\n$", text)
