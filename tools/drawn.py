"""The files of ``figures/``: Fig. 1, the evidence, Tables I to IV and the verdicts, drawn from the results store."""

from pathlib import Path

import pandas as pd

from course_lib import look, report
from course_lib.files import atomic_write, repo_path
from course_lib.report.tables import OWN


def write_report(results: pd.DataFrame, folder: Path | None = None) -> list[Path]:
    """Draw figures, tables (CSV and Markdown) and verdicts of every profile and recipe that is ``available``.

    They go to ``figures/`` (or ``folder``), see ``place_of``. Everything is drawn before the first file is written.
    Returns the files. Raises ResultError where runs of one table do not belong together, CourseError where a file
    cannot be written.
    """
    files: dict[Path, bytes] = {}
    for chosen in report.available(results):
        drawn = {
            "fig1.png": look.png(report.figure_1(results, *chosen)),
            "evidence.png": look.png(report.evidence_figure(results, *chosen)),
        } | tables_of(results, *chosen)
        files |= {place_of(*chosen, folder) / name: content for name, content in drawn.items()}
    for path, content in files.items():
        atomic_write(path, content)
    return list(files)


def place_of(profile: str, recipe: str, folder: Path | None = None) -> Path:
    """``figures/<profile>/``, of other recipes than ``paper`` ``figures/<profile>/<recipe>/``."""
    return Path(folder or repo_path("figures"), profile, "" if recipe == "paper" else recipe)


def tables_of(results: pd.DataFrame, profile: str, recipe: str) -> dict[str, bytes]:
    """The files with tables and verdicts of one profile and recipe, by name."""
    files = {"verdicts.md": report.verdicts_table(results, profile, recipe).to_markdown().encode()}
    for n in report.TITLES:
        frame, own = report.table(n, results, profile, recipe), report.own_table(n, results, profile, recipe)
        blocks = pd.concat([frame.assign(block="the paper's"), own.assign(block=OWN)] if len(own) else [frame])
        files[f"table{n}.csv"] = blocks.to_csv(float_format="%.4f", lineterminator="\n").encode()
        files[f"table{n}.md"] = report.style(frame, own).to_markdown().encode()
    return files
