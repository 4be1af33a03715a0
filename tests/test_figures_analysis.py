"""The figures of lesson 06 draw the numbers they are given, and their words say them."""

import numpy as np
import pandas as pd
from letters import readable  # noqa: F401 (autouse: the letters of all that is drawn here)

from classroom.figures import analysis as plots
from course_lib import look, report


def test_every_difference_is_counted_once():
    figure = plots.differences_figure({100: np.array([-1.0, 0.0, 0.0, 1.0]), 400: np.zeros(3)}, 0.8)
    assert [sum(bar.get_height() for bar in axes.patches) for axes in figure.axes] == [4, 3]
    assert [line.get_xdata()[0] for line in figure.axes[0].lines] == [-0.8, 0.8]
    assert "100 images: sd 0.71; 400 images: sd 0.00. Dashed: 0.8." in look.alt_text(figure)


def intervals(deltas: dict[str, float], half: float | None, **options):
    series = pd.Series(deltas, dtype=float)
    halves = None if half is None else pd.Series(half, index=series.index, dtype=float)
    return plots.intervals_figure(series, halves, words="Ours", **options)


def test_intervals_are_as_long_as_said_and_the_clear_ones_named():
    figure = intervals({"a": -0.5, "b": 0.1, "c": 0.9}, 0.4, open_rows=["c"])
    (axes,) = figure.axes
    ends = [segment[:, 0].tolist() for bars in axes.collections for segment in bars.get_segments()]
    assert np.allclose(ends, [[-0.9, -0.1], [-0.3, 0.5], [0.5, 1.3]])
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "b", "c"]
    squares = [line for line in axes.lines if line.get_marker() == "s"]  # errorbar's points
    assert [line.get_xdata().tolist() for line in squares] == [[0.9]]
    words = "Ours: 1 of 3 below zero. 2 leave zero out of their interval: a, c."
    assert look.alt_text(figure) == words


def test_without_intervals_nobody_is_said_to_leave_zero_out():
    assert look.alt_text(intervals({"a": -0.5}, None)) == "Ours: 1 of 1 below zero."
    assert look.alt_text(intervals({}, 1.0)).startswith("Ours: 0 of 0 below zero. 0 leave zero out")


def test_leads_stand_at_the_day_of_their_log():
    runs = report.authors_runs()
    rows = runs[runs["table"].str.startswith("table")]
    figure = plots.leads_figure(rows)
    (axes,) = figure.axes
    assert {"26 May", "2 Jun"} <= {label.get_text() for label in axes.get_xticklabels()}
    assert "15 runs from -0.18 to +0.34, 8 from +1.52 to +3.16" in look.alt_text(figure)


def test_settling_marks_the_epoch_that_was_asked_for():
    figure = plots.settling_figure(pd.Series([50.0, 75.0, 100.0], index=[1, 2, 3]), 2)
    (axes,) = figure.axes
    assert axes.lines[1].get_xydata().tolist() == [[2.0, 75.0]]
    assert [text.get_text() for text in axes.texts] == ["epoch 2: 75 %"]
    assert "75 at epoch 2" in look.alt_text(figure)


def test_a_network_without_trained_weights_is_not_on_the_picture():
    forms = {"torch_ms": [9.0, 8.0], "float32_ms": [3.0, 2.0], "int8_ms": [1.0, 1.5]}
    shipped = pd.DataFrame(forms | {"float32_accuracy": [90.0, np.nan], "int8_accuracy": [89.0, np.nan]}, ["a", "b"])
    figure = plots.shipped_figure(shipped)
    (axes,) = figure.axes
    marks = [line.get_xydata().tolist() for line in axes.lines if line.get_marker() in "osv"]
    assert marks == [[[9.0, 90.0]], [[3.0, 90.0]], [[1.0, 89.0]]]
    assert [text.get_text() for text in axes.texts] == ["a"]
    assert look.alt_text(figure).endswith("Milliseconds in PyTorch, as ONNX, in 8 bits: a 9.0, 3.0, 1.0.")


def test_what_a_teacher_changed_by_temperature_and_alpha():
    runs = pd.DataFrame({"temperature": [1.0, 4.0, 4.0], "alpha": [0.5, 0.1, 0.1], "delta": [-0.5, 1.0, 2.0]})
    figure = plots.softening_figure(runs)
    said = figure.get_label()
    assert "T = 4, alpha = 0.1: +1.50 (n = 2)" in said and "T = 1, alpha = 0.5: -0.50 (n = 1)" in said
    assert said.count("not run") == 7 and sum(text.get_text() == "not run" for text in figure.axes[0].texts) == 7
