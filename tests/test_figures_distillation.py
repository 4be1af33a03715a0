"""The figures of lesson 03: what is drawn, and what the words say."""

import numpy as np
import pandas as pd
from letters import readable  # noqa: F401 (autouse: the letters of all that is drawn here)
from matplotlib.figure import Figure

from classroom.figures import distillation as plots
from course_lib import look

CLASSES = ("cat", "dog", "truck")
P = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1]])
IMAGES = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)


def words(figure: Figure) -> str:
    return look.alt_text(figure)


def lengths(axes) -> list[float]:
    return [bar.get_width() for bar in axes.patches]


def test_answers_stand_below_their_images():
    figure = plots.answers(IMAGES, ("cat", "dog"), {"T = 1": P}, CLASSES)
    above, below = figure.axes[:2], figure.axes[2:]
    assert [axes.get_title() for axes in above] == ["cat", "dog"]
    assert np.array_equal(above[1].images[0].get_array(), IMAGES[1])
    assert np.allclose([lengths(axes) for axes in below], P) and not figure.legends
    assert "T = 1: 0.70 for cat, 0.60 for dog" in words(figure)


def test_two_answers_stand_side_by_side_and_are_told_apart_without_colour():
    figure = plots.answers(IMAGES[:1], ("cat",), {"T = 1": P[:1], "T = 4": P[1:]}, CLASSES)
    bars = figure.axes[1].patches
    assert np.allclose(lengths(figure.axes[1]), [*P[0], *P[1]])
    assert not bars[0].get_hatch() and bars[3].get_hatch()
    assert abs(bars[0].get_y() - bars[3].get_y()) >= 0.99 * bars[0].get_height()
    assert words(figure).endswith("T = 1: 0.70 for cat; T = 4: 0.60 for dog")


def test_the_map_leaves_out_the_diagonal_and_names_its_highest_entry():
    means = np.array([[0.9, 0.08, 0.02], [0.3, 0.6, 0.1], [0.0, 0.05, 0.95]])
    figure = plots.resemblance_map(means, CLASSES)
    drawn = np.ma.filled(figure.axes[0].collections[0].get_array(), np.nan)
    assert np.isnan(np.diag(drawn)).all() and drawn[1, 0] == 0.3
    assert "0.30, for cat where dog is true" in words(figure)


def test_the_doubt_has_a_curve_for_each_kind_of_images():
    figure = plots.entropies([1, 4], {"test": [0.25, 2.9], "training": [0.005, 2.5]}, 3.32)
    assert [list(line.get_ydata()) for line in figure.axes[0].lines[:2]] == [[0.25, 2.9], [0.005, 2.5]]
    assert len({line.get_linestyle() for line in figure.axes[0].lines[:2]}) == 2
    assert "from T = 1 to 4: test 0.250 to 2.90 bits; training 0.005 to 2.50 bits" in words(figure)


def test_gradients_are_shown_with_and_without_the_factor():
    temperatures, plain = np.array([1.0, 4.0]), np.array([0.5, 0.05])
    figure = plots.gradient_sizes(temperatures, plain, 0.9)
    alone, scaled, limit = figure.axes[0].lines
    assert np.allclose(alone.get_ydata(), plain) and np.allclose(scaled.get_ydata(), [0.5, 0.8])
    assert set(limit.get_ydata()) == {0.9}
    assert "0.800 for T² KL; the limit is 0.900" in words(figure)


def test_arrows_end_where_length_and_cosine_say():
    figure = plots.arrows({"fresh": {"T = 1": (1.0, 1.0), "T = 4": (3.0, 0.8)}, "trained": {"T = 4": (6.0, 0.6)}})
    fresh, trained = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["fresh", "trained"]
    assert np.allclose(fresh.texts[3].xy, (2.4, 1.8)) and np.allclose(trained.texts[1].xy, (3.6, 4.8))
    assert "trained: T = 4 6.00 times as long, cosine 0.60" in words(figure)


def test_the_race_has_a_column_for_each_student_and_its_baseline():
    epochs = pd.RangeIndex(1, 5, name="epoch")
    runs = {"s": [1.0, 2, 3, 4], "s<a": [1.0, 2, 4, 3], "t": [5.0, 6, 7, 8], "t<a": [5.0, 6, 7, 7.5]}
    logged = pd.concat({key: pd.Series(run, epochs) for key, run in runs.items()}, names=["key"])
    rows = pd.DataFrame({"student": ["S", "T"], "teacher": ["A", "A"]}, ["s<a", "t<a"])
    whole_s, whole_t, end_s, _ = (figure := plots.race(logged, rows, last=2)).axes
    assert [whole_s.get_title(), whole_t.get_title()] == ["S", "T"]
    assert [list(line.get_ydata()) for line in whole_s.lines] == [runs["s"], runs["s<a"]]
    assert [list(line.get_ydata()) for line in end_s.lines] == [[3, 4], [4, 3]]
    assert [text.get_text() for text in end_s.get_legend().get_texts()] == ["alone", "A"]
    assert words(figure).endswith("over 4 epochs; after the last, S: alone 4.00, A 3.00; T: alone 8.00, A 7.50")


def test_reliability_leaves_empty_bins_out():
    n, accuracy, confidence = np.array([0, 4]), np.array([0.0, 0.75]), np.array([0.0, 0.9])
    figure = plots.reliability_bars({"as it is": (n, accuracy, confidence, 0.15)})
    assert [bar.get_height() for bar in figure.axes[0].patches] == [0.75]
    assert "ECE 0.150" in figure.axes[0].get_title() and "as it is 0.150" in words(figure)
