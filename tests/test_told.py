"""Numbers that pages tell are the store's: a changed one, a changed table and a stray one are named."""

import json
import re
import shutil
from pathlib import Path

import pytest

from course_lib.__main__ import main
from course_lib.study import store
from tools import told

pytest_plugins = "stores"
ROOT = Path(__file__).resolve().parent.parent
PAGE = "GN-S 1.0x reaches <!-- told mean gn-s-1.0x -->{}<!-- end --> in three epochs.\n"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A course folder with the paper's numbers, the labels, and one page."""
    for name in ("paper", "logits"):
        shutil.copytree(ROOT / "data" / name, tmp_path / "data" / name)
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    return tmp_path


def broken(results) -> list[str]:
    return [f"{line.name}: {line.words}" for line in told.check(results) if line.broken]


def test_report_writes_what_the_store_says_and_the_rest_of_the_page_stays(home, own):
    page = home / "README.md"
    page.write_text(PAGE.format("99.9 %"))
    assert told.write(own) == [page]
    assert page.read_text() == PAGE.format("78.0 % (mean of 3 seeds)")  # of 78, 79 and 77
    assert broken(own) == [] and told.write(own) == []


def test_one_changed_digit_is_named(home, own):
    (home / "README.md").write_text(PAGE.format("78.1 % (mean of 3 seeds)"))
    (words,) = broken(own)
    assert "README.md: tells 'mean gn-s-1.0x' as '78.1 % (mean of 3 seeds)', the store says '78.0 %" in words


def test_another_seed_makes_the_page_old(home, own):
    (home / "README.md").write_text(PAGE.format("78.0 % (mean of 3 seeds)"))
    assert broken(own) == []
    assert "the store says '78.5 % (mean of 2 seeds)'" in broken(own[own["seed"] < 2])[0]


def test_of_a_long_list_only_what_changed_is_shown():
    one, other = (
        f"{'`a`: 1.00 %; ' * 10}`b`: {now}; {'`c`: 2.00 %; ' * 10}" for now in ("not run", "77.00 % (one seed)")
    )
    assert told.differing(one, other) == ("1.00 %; `b`: not run;", "1.00 %; `b`: 77.00 % (one seed);")
    assert told.differing("78.1 %", "78.0 %") == ("78.1 %", "78.0 %")


def test_readme_and_the_hypotheses_tell_their_numbers_so():
    readme, hypotheses = ((ROOT / name).read_text(encoding="utf-8") for name in told.PAGES[:2])
    told_now = [told.MARKED.findall(text) for text in (readme, hypotheses)]
    assert {call.split()[0] for _, call, *_ in told_now[0]} == {"logits", "mean", "questions"}
    assert len(told_now[1]) == hypotheses.count("**Expected:**")
    assert {call.split()[0] for _, call, *_ in told_now[1]} == {"came", "besides"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("In three epochs GN-S 1.0x reaches 78.3 %.", ["78.3"]),
        ("Our runs differ by 1.7 points, or +1.67.", ["1.7", "+1.67"]),
        ("The laptop profile: 78.31 and 79.02.", ["78.31", "79.02"]),
        ("GN-S 1.0x is printed with 91.37 %, the ensemble's student with -0.86.", []),  # Tables I and IV
        ("By the logs that is -0.54 for GN-S 1.0x.", []),  # 90.83 - 91.37, both in data/paper
        ("GN-S 1.0x was printed with 91.38 %.", ["91.38"]),
        ("Somebody else's network reaches 78.3 % in 200 epochs.", []),  # no word of ours
        ("The file gn-s-1.0x ships with GN-S 1.0x, 0.48 million parameters.", []),
    ],
)
def test_a_number_that_looks_like_ours_is_noticed(text, found):
    assert [number for number, _ in told.strays("README.md", text)] == found


def test_a_lesson_is_checked_as_well_and_never_written(home, own):
    lesson = home / "notebooks" / "07_more.ipynb"
    lesson.parent.mkdir()
    cell = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": PAGE.format("78.9 %").rstrip()}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    before = json.dumps(notebook)
    lesson.write_text(before)
    assert len(broken(own)) == 1 and told.write(own) == [] and lesson.read_text() == before


def test_a_table_of_figures_that_is_not_the_stores_is_named(home, own):
    folder = home / "figures" / "laptop"
    folder.mkdir(parents=True)
    assert told.old(own) == [
        "figures/laptop/verdicts.md",
        *(f"figures/laptop/table{n}.{kind}" for n in (1, 2, 3, 4) for kind in ("csv", "md")),
    ]
    told.write_report(own, home / "figures")
    assert told.old(own) == []
    table = folder / "table1.md"
    table.write_text(table.read_text().replace("78.00", "78.10"))
    assert told.old(own) == ["figures/laptop/table1.md"]


def test_what_came_says_of_each_row_what_it_can(own):
    assert told.came(own, "gn-s-1.0x") == "78.00, 79.00, 77.00 %; mean 78.00, sd 1.00 (n = 3)"
    assert told.came(own, "gn-d") == told.came(own, "gn-d", "gn-s-2.8x<resnet56@repaired") == "not run"
    both = told.came(own, "gn-d", "gn-s-1.0x<resnet56@repaired")
    assert both.startswith("`gn-d`: not run; `gn-s-1.0x<resnet56` (repaired): ") and "n = 3 (seed by seed " in both
    few = told.came(own[own["seed"] < 2], "gn-s-1.0x<resnet56@repaired")
    assert few == "none: only 2 seeds, 3 are needed (seed by seed +2.00, +2.50 points)"


def test_the_questions_stand_with_their_verdicts(own, empty):
    text = told.questions(own)
    line = next(line for line in text.splitlines() if "T = 4" in line)
    assert re.fullmatch(
        r"\| \| ours: GN-S \(1.0x\) from ResNet56, T = 4 \| \+2\.\d\d \(.* to .*\) \| 3 \| [a-z ]+ \|", line
    )
    assert text.count("not run yet") == 2
    assert text.count("as printed") == 3 and told.questions(empty).count("not run yet") == 3


def test_what_nobody_can_tell_is_refused(home, own):
    with pytest.raises(ValueError, match="nobody can tell 'median gn-d'"):
        told.tell(own, "median gn-d")


def test_the_command_fails_on_an_altered_page(monkeypatch, tmp_path, capsys):
    """The checkout's own pages and store, with one digit of README changed."""
    for name in ("data/paper", "data/logits", "data/results", "data/sample", "figures", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.webp", "web"))
    shutil.copy(ROOT / "data" / "robustness.csv", tmp_path / "data")
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    assert main(["verify"]) == 0, capsys.readouterr().err
    number = told.mean(store.load_results(), "gn-s-1.0x")
    altered = number.replace(number[3], str((int(number[3]) + 1) % 10), 1)  # of 77.8 % the last digit
    (tmp_path / "README.md").write_text(text.replace(number, altered), encoding="utf-8")
    assert main(["verify"]) == 1
    assert "BROKEN  README.md: tells 'mean gn-s-1.0x'" in capsys.readouterr().err
