"""Figures of lesson 00: the fifteen differences of the paper, and two students that were trained before your eyes."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from classroom.figures.common import one_panel
from course_lib import look
from course_lib.look import BLACK, BLUE, VERMILION
from course_lib.report import AUTHORS_DELTA, PAPER_DELTA

SOURCES = ((PAPER_DELTA, "o", BLUE, BLUE, "printed: best of 200 epochs"),
           (AUTHORS_DELTA, "s", "none", VERMILION, "the authors' own log: last epoch"))  # fmt: skip


@look.styled()
def differences(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Points against the student alone, a line for each row of ``tables`` (``report.table``), by method."""
    figure, axes = one_panel(8.4, 4.6, "x")
    names = [f"{row['student']} from {row.get('teacher', method)}" for method, table in tables.items()
             for _, row in table.iterrows()]  # fmt: skip
    every = pd.concat(tables.values())
    for column, marker, face, edge, label in SOURCES:
        axes.plot(every[column], range(len(every)), marker, mfc=face, mec=edge, label=label)
    axes.axvline(0, color=BLACK, linewidth=1)
    axes.set(xlabel="accuracy with a teacher minus without, in points", ylim=(len(every) - 0.5, -0.5))
    axes.set_yticks(range(len(every)), names)
    axes.legend(loc="lower left")
    below = [f"{(every[column] < 0).sum()} of {every[column].notna().sum()}" for column in (PAPER_DELTA, AUTHORS_DELTA)]
    figure.set_label(f"{len(every)} differences: printed, {below[0]} below zero; in the authors' logs, {below[1]}")
    return figure


@look.styled()
def two_students(curves: Mapping[str, Sequence[float]], images: int) -> Figure:
    """Test accuracy (%) after each epoch of two trainings; bars of two standard errors on so many test ``images``."""
    figure, axes = one_panel(7, 3.4, "both")
    axes.axhline(10, color=BLACK, linestyle=":", label="guessing")
    looks = (("o-", BLUE, -0.04), ("s--", VERMILION, 0.04))
    for (name, curve), (marks, colour, aside) in zip(curves.items(), looks, strict=True):
        share = np.asarray(curve) / 100
        errors = 200 * np.sqrt(share * (1 - share) / images)
        axes.errorbar(
            aside + np.arange(1, len(share) + 1), curve, errors, fmt=marks, color=colour, capsize=3, label=name
        )
    axes.set(xlabel="epoch", ylabel="test accuracy (%)", xticks=range(1, len(share) + 1))
    axes.legend()
    words = ", ".join(f"{name} {curve[-1]:.1f} %" for name, curve in curves.items())
    figure.set_label(f"Test accuracy after each epoch, with two standard errors; at last: {words}")
    return figure
