"""What the paper prints and what its authors' logs say: complete, unedited, and in agreement but for one exchange."""

import shutil

import pandas as pd
import pytest

from course_lib import report
from course_lib.files import ResultError, repo_path
from course_lib.study.experiments import EXPERIMENTS, baseline_of, table_rows


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_papers_rows_are_the_registrys(n):
    assert list(report.paper_table(n).index) == [row.key for row in table_rows(f"table{n}")]


@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_papers_deltas_follow_from_its_accuracies(n):
    """A slip of the pen in the CSV would show here."""
    baselines = report.paper_table(1)["accuracy"]
    for key, row in report.paper_table(n).iterrows():
        difference = row["accuracy"] - baselines[baseline_of(EXPERIMENTS[key])]
        assert difference == pytest.approx(row["delta"], abs=0.005), key


def test_the_papers_best_numbers_stand():
    paper = report.paper_table(1)
    assert paper.loc["gn-s-2.8x", "accuracy"] == 93.94
    assert paper.loc["efficientnetv2_s", "accuracy"] == 97.90
    assert paper["accuracy"].sum() == pytest.approx(1401.61)
    assert paper.loc["gn-s-1.0x", "params_millions"] == 0.483


def test_the_exchanged_rows_keep_the_printed_numbers_and_say_so():
    paper = report.paper_table(4)
    assert list(paper["accuracy"]) == [90.51, 93.28, 90.83]
    assert "90.83" in paper.loc["gn-s-1.0x<ensemble", "note"]
    assert "90.51" in paper.loc["gn-d<ensemble", "note"]


def test_an_unknown_table_and_a_missing_csv_are_answered_in_one_line(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="choose 1, 2, 3 or 4"):
        report.paper_table(5)
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    with pytest.raises(ResultError, match="table1.csv"):
        report.paper_table(1)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (",accuracy,", ",acc,", "lacks accuracy: restore it"),
        ("gn-d<vgg13", "gn-d<vgg31", "lacks gn-d<vgg13: restore it"),
        ("91.10", "91,10", "cannot read the paper's numbers"),
        ("91.10", "9l.10", "cannot read the paper's numbers"),
    ],
)
def test_a_csv_that_was_changed_is_answered_in_one_line(tmp_path, monkeypatch, old, new, words):
    shutil.copytree(repo_path("data", "paper"), tmp_path / "data" / "paper")
    path = tmp_path / "data" / "paper" / "table2.csv"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    with pytest.raises(ResultError) as caught:
        report.paper_table(2)
    said = str(caught.value)
    assert str(path) in said and words in said and "\n" not in said


# --- the authors' logs ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return report.authors_runs()


@pytest.fixture(scope="module")
def rows(runs) -> pd.DataFrame:
    """The runs that a table prints, beside what it prints."""
    printed = pd.concat([report.paper_table(n)["accuracy"] for n in report.TITLES])
    return runs[runs["table"].str.startswith("table")].assign(printed=printed)


def test_23_of_the_30_rows_have_a_log_and_seven_further_runs(runs, rows):
    assert len(rows) == 23 and len(runs) == 30 and runs.index.is_unique
    assert all(EXPERIMENTS[key].table == table for key, table in rows["table"].items())
    missing = [row.key for n in report.TITLES for row in table_rows(f"table{n}") if row.key not in rows.index]
    big = ["resnet18", "resnet34", "resnet50", "vgg13", "inceptionv3", "densenet161", "efficientnetv2_s"]
    assert missing == big
    assert list(runs.index[runs["table"] == "assistants"]) == ["resnet34<resnet50", "resnet18<ta"]


def test_every_run_has_200_epochs_that_bear_out_its_best_and_last_accuracy(runs):
    histories = report.authors_histories()
    accuracies = histories["test_accuracy"].unstack("epoch")
    assert list(accuracies.columns) == list(range(1, 201)) and histories.notna().all(axis=None)
    assert list(histories.index.unique("key")) == list(runs.index)
    accuracies = accuracies.loc[runs.index]
    assert (accuracies.max(axis=1) == runs["best_accuracy"]).all()
    assert (accuracies.idxmax(axis=1) == runs["best_epoch"]).all()
    assert (accuracies[200] == runs["last_accuracy"]).all()
    assert histories.loc[("gn-s-1.0x", 1)].to_dict() == {
        "train_loss": 2.7855, "train_accuracy": 12.56, "test_loss": 2.2170, "test_accuracy": 17.01,
    }  # fmt: skip


def test_the_table_prints_the_best_epoch_but_for_two_rows_that_it_exchanged(rows):
    other = rows[(rows["best_accuracy"] - rows["printed"]).abs() > 0.005]
    assert list(other.index) == ["gn-s-1.0x<ensemble", "gn-d<ensemble"] and len(rows) - len(other) == 21
    assert list(other["best_accuracy"]) == list(other["printed"])[::-1] == [90.83, 90.51]
    last = report.authors_histories().xs(200, level="epoch")["train_accuracy"]
    of_kind = {kind: last[[key for key in rows.index if key.startswith(kind)]] for kind in ("gn-s-1.0x", "gn-d")}
    assert of_kind["gn-s-1.0x"].max() < of_kind["gn-d"].min(), "the logs' names tell the two networks"


def test_the_logs_alone_tell_which_runs_were_not_shuffled(runs, rows):
    assert (~rows["shuffled"]).sum() == 8
    leads = runs.loc[rows.index, "first_batch_lead"]
    assert leads[rows["shuffled"]].abs().max() < 0.4 < 1.5 < leads[~rows["shuffled"]].min()


def test_a_torn_log_is_answered_in_one_line(tmp_path, monkeypatch):
    shutil.copytree(repo_path("data", "paper"), tmp_path / "data" / "paper")
    path = tmp_path / "data" / "paper" / "authors_histories.csv"
    path.write_text("".join(line for line in path.open() if not line.startswith("gn-d,")))
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    with pytest.raises(ResultError, match="authors_histories.csv lacks gn-d: restore it"):
        report.authors_histories()
