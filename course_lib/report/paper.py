"""What the paper prints, and what its authors' own training logs say: ``data/paper/``, whose README has the origin."""

from collections.abc import Iterable

import pandas as pd

from course_lib.files import ResultError, repo_path
from course_lib.study.experiments import table_rows

TITLES = {
    1: "Table I. Networks trained without a teacher",
    2: "Table II. One teacher",
    3: "Table III. A chain of teacher assistants: ResNet50, ResNet34, ResNet18, student",
    4: "Table IV. An ensemble of four teachers: ResNet50, DenseNet161, VGG13, InceptionV3",
}
# The columns of each table that say what a row is.
LABELS_OF = {1: ("model", "width"), 2: ("student", "teacher"), 3: ("student",), 4: ("student",)}


def paper_table(n: int) -> pd.DataFrame:
    """Table ``n`` (1 to 4) as the paper prints it, indexed by experiment key; accuracies in percent.

    ``note`` says where the printed row needs a word of care. Raises ValueError where there is no such table,
    ResultError where the file cannot be read, or lacks a row or a column.
    """
    if n not in TITLES:
        raise ValueError(f"unknown table {n!r}: choose 1, 2, 3 or 4")
    texts, numbers = (*LABELS_OF[n], "note"), ("accuracy", "params_millions" if n == 1 else "delta")
    types = dict.fromkeys(texts, str) | dict.fromkeys(numbers, float)
    frame = _read(f"table{n}.csv", "key", types, [row.key for row in table_rows(f"table{n}")])
    return frame.fillna(dict.fromkeys(texts, ""))


def authors_runs() -> pd.DataFrame:
    """The authors' 30 logged runs, indexed by experiment key (seven by a name of their own): settings and outcome.

    ``table`` is ``table1`` to ``table4`` for the 23 rows that have a log, ``assistants``, or ``extra`` for runs that no
    table prints. Accuracies in percent on the 10,000 test images, ``shuffled`` a boolean. Raises ResultError where the
    file cannot be read, or lacks a column.
    """
    numbers = dict.fromkeys(("best_accuracy", "last_accuracy", "temperature", "alpha", "first_batch_lead"), float)
    frame = _read("authors_runs.csv", "key", {"table": str, "log": str, "shuffled": str, "note": str} | numbers)
    return frame.assign(shuffled=frame["shuffled"] == "yes").fillna({"note": ""})


def authors_histories() -> pd.DataFrame:
    """Every epoch of these runs, indexed by key and epoch (1 to 200): ``train_loss``, ``test_accuracy`` (%) and so on.

    The training columns are means over the first half of each epoch (see ``data/paper/README.md``). Raises ResultError
    where the file cannot be read, or lacks a run.
    """
    wide = _read("authors_histories.csv", ["key", "measure"], {}, authors_runs().index)
    wide.columns = wide.columns.astype(int).rename("epoch")
    return wide.stack().unstack("measure").loc[list(wide.index.unique("key"))]


def _read(name: str, index: str | list[str], types: dict[str, type], keys: Iterable[str] = ()) -> pd.DataFrame:
    """A file of ``data/paper``, with all columns that ``types`` names and a row for each of ``keys``."""
    path = repo_path("data", "paper", name)
    try:
        frame = pd.read_csv(path, index_col=index, dtype=types)
    except (OSError, ValueError) as error:
        raise ResultError(f"cannot read the paper's numbers in {path}: {error}") from error
    known = {*frame.columns, *frame.index.get_level_values("key")}
    if lost := [wanted for wanted in (*types, *keys) if wanted not in known]:
        raise ResultError(f"{path} lacks {', '.join(lost)}: restore it")
    return frame
