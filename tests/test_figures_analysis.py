"""The figures of lesson 06 draw the numbers they are given, and their words say them."""

import numpy as np
import pandas as pd
from fabricated import fake_store

from classroom.figures import analysis as plots
from course_lib import look, report
from course_lib.study import store

STORE = {"gn-s-1.0x": {0: 40.0}, "gn-s-1.0x<resnet50": {0: 39.0}, "gn-s-1.0x<ta": {0: 41.0}}


def stored(folder, accuracies=STORE) -> pd.DataFrame:
    fake_store(folder, accuracies)
    return store.load_results(folder)


def points(axes, label: str) -> list[float]:
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return [float(x) for x in line.get_xdata() if np.isfinite(x)]


# --- all rows ---------------------------------------------------------------------------------------


def test_every_row_stands_at_its_accuracy_on_its_networks_line(tmp_path):
    figure = plots.rows_figure(stored(tmp_path), "quick")
    paper, ours = figure.axes
    assert sorted(points(paper, "alone")) == sorted(report.paper_table(1)["accuracy"])
    assert [points(ours, label) for label in ("alone", "one teacher", "assistants", "ensemble")] == [
        [40.0],
        [39.0],
        [41.0],
        [],
    ]
    names = [tick.get_text() for tick in paper.get_yticklabels()]
    (alone,) = [line for line in ours.lines if line.get_label() == "alone"]
    heights = np.asarray(alone.get_ydata())[np.isfinite(np.asarray(alone.get_xdata(), dtype=float))]
    assert [names[round(height)] for height in heights] == ["gn-s-1.0x"]
    words = look.alt_text(figure)
    assert "in the paper 15 of 15 taught students" in words and words.endswith("1 of 2 taught students.")
    assert report.words_for(stored(tmp_path), "quick") in words


def test_a_store_without_students_says_so(tmp_path):
    figure = plots.rows_figure(stored(tmp_path, {"gn-s-1.0x": {0: 40.0}}), "quick")
    assert look.alt_text(figure).endswith("no taught student has been run.")


# --- fronts -----------------------------------------------------------------------------------------


def front(names: list[str]):
    costs = pd.DataFrame({"size (M)": [1.0, 2.0, 2.2, 50.0]}, index=["gn-s-1.0x", "gn-s-1.3x", "gn-s-1.6x", "vgg13"])
    accuracy = pd.Series([80.0, 85.0, 85.1, 84.0], index=costs.index)
    return plots.fronts_figure(costs, accuracy, {"size (M)": names}, "Made up")


def test_the_front_is_the_staircase_and_its_networks_have_names_apart():
    figure = front(["gn-s-1.0x", "gn-s-1.3x", "gn-s-1.6x"])
    (axes,) = figure.axes
    assert points(axes, "the paper's recipe (numbers: GN-S widths)") == [1.0, 2.0, 2.2]
    assert points(axes, "other recipes (zoo, fine-tuned)") == [50.0]
    assert list(axes.lines[2].get_ydata()) == [80.0, 85.0, 85.1]
    texts = {text.get_text(): text for text in axes.texts}
    assert list(texts) == ["1.0x", "1.3x", "1.6x"]
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in texts.values()]
    assert not any(one.overlaps(other) for one, other in zip(boxes, boxes[1:], strict=False))
    assert "size (M): gn-s-1.0x, gn-s-1.3x, gn-s-1.6x" in look.alt_text(figure)


def test_an_empty_front_draws_the_networks_alone():
    (axes,) = front([]).axes
    assert len(axes.texts) == 0 and len(points(axes, "other recipes (zoo, fine-tuned)")) == 1


# --- differences and intervals ----------------------------------------------------------------------


def test_every_difference_is_counted_once():
    figure = plots.differences_figure({100: np.array([-1.0, 0.0, 0.0, 1.0]), 400: np.zeros(3)}, 0.8)
    assert [sum(bar.get_height() for bar in axes.patches) for axes in figure.axes] == [4, 3]
    assert [line.get_xdata()[0] for line in figure.axes[0].lines] == [-0.8, 0.8]
    assert "100 images: sd 0.71; 400 images: sd 0.00. Dashed: 0.8." in look.alt_text(figure)


def intervals(deltas: dict[str, float], half: float, **options):
    series = pd.Series(deltas, dtype=float)
    halves = pd.Series(half, index=series.index, dtype=float)
    return plots.intervals_figure(series, halves, interval="paired 95 % interval", words="Ours", **options)


def test_intervals_are_as_long_as_said_and_the_clear_ones_named():
    figure = intervals({"a": -0.5, "b": 0.1, "c": 0.9}, 0.4, open_rows=["c"])
    (axes,) = figure.axes
    ends = [segment[:, 0].tolist() for bars in axes.collections for segment in bars.get_segments()]
    assert np.allclose(ends, [[-0.9, -0.1], [-0.3, 0.5], [0.5, 1.3]])
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "b", "c"]
    squares = [line for line in axes.lines if line.get_marker() == "s"]  # errorbar's points
    assert [line.get_xdata().tolist() for line in squares] == [[0.9]]
    assert axes.get_xlabel() == "delta (points), paired 95 % interval"
    assert look.alt_text(figure) == "Ours: 3 deltas, paired 95 % interval. 2 leave zero out (a, c)."


def test_no_deltas_are_said_to_be_none():
    assert look.alt_text(intervals({}, 1.0)) == "Ours: 0 deltas, paired 95 % interval. 0 leave zero out."


# --- what stands beside them ------------------------------------------------------------------------


def test_rows_that_were_run_are_shown_and_the_others_counted(tmp_path):
    frame = stored(tmp_path)
    shown = report.show_rows(frame, "quick")
    assert list(shown.cells["row"]) == list(STORE)
    assert list(shown.cells[report.OUR_DELTA]) == ["–", "-1.00", "+1.00"]
    assert list(shown.cells["table"]) == ["I", "II", "III"]
    assert "3 of 30 rows run, 27 not run" in shown.caption
    assert report.words_for(frame, "quick") in shown.caption
    nothing = report.show_rows(frame, "laptop")
    assert len(nothing.cells) == 30 and set(nothing.cells[report.OUR_ACCURACY]) == {"not run"}
    assert report.words_for(frame, "laptop") == "laptop profile: not run; recipe 'paper'"
