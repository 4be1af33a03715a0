"""The figures of lesson 03: what is drawn, and what the words say."""

import numpy as np
import pytest
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
    figure = plots.answers(IMAGES, ("cat", "dog"), P, CLASSES)
    above, below = figure.axes[:2], figure.axes[2:]
    assert [axes.get_title() for axes in above] == ["cat", "dog"]
    assert np.array_equal(above[1].images[0].get_array(), IMAGES[1])
    assert np.allclose([lengths(axes) for axes in below], P)
    assert "0.70 for cat, 0.60 for dog" in words(figure)


def test_a_single_answer_is_drawn_too():
    assert words(plots.answers(IMAGES[:1], ("cat",), P[:1], CLASSES)).endswith("0.70 for cat")


def test_the_map_leaves_out_the_diagonal_and_names_its_highest_entry():
    means = np.array([[0.9, 0.08, 0.02], [0.3, 0.6, 0.1], [0.0, 0.05, 0.95]])
    figure = plots.resemblance_map(means, CLASSES)
    drawn = np.ma.filled(figure.axes[0].collections[0].get_array(), np.nan)
    assert np.isnan(np.diag(drawn)).all() and drawn[1, 0] == 0.3
    assert "0.30, for cat where dog is true" in words(figure)


def test_second_choices_are_written_above_each_image():
    figure = plots.second_choices(IMAGES, "cat", [0.7, 0.6], {"dog": 0.2, "truck": 0.3})
    assert [axes.get_title() for axes in figure.axes] == ["cat 0.70\ndog 0.20", "cat 0.60\ntruck 0.30"]
    assert words(figure).endswith("dog, truck")


def test_without_images_there_is_no_second_choice():
    assert words(plots.second_choices(IMAGES[:0], "cat", [], {})).endswith("none")


def test_softening_curves_colour_the_foremost_and_end_in_words():
    temperatures, curves = np.array([1.0, 2.0]), np.array([[0.1, 0.7, 0.2], [0.25, 0.45, 0.3]])
    figure = plots.softening_curves(temperatures, curves, CLASSES, foremost=2)
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert legend == ["dog", "truck"]
    coloured = {line.get_label(): line for line in figure.axes[0].lines}
    assert np.array_equal(coloured["dog"].get_ydata(), [0.7, 0.45])
    assert "from 0.70 at T = 1 to 0.45 at T = 2" in words(figure)


def test_gradients_are_shown_with_and_without_the_factor():
    temperatures, plain = np.array([1.0, 4.0]), np.array([0.5, 0.05])
    figure = plots.gradient_sizes(temperatures, plain, 0.9)
    alone, scaled, limit = figure.axes[0].lines
    assert np.allclose(alone.get_ydata(), plain) and np.allclose(scaled.get_ydata(), [0.5, 0.8])
    assert set(limit.get_ydata()) == {0.9}
    assert "0.800 for T² KL; the limit is 0.900" in words(figure)


def test_reliability_leaves_empty_bins_out():
    n, accuracy, confidence = np.array([0, 4]), np.array([0.0, 0.75]), np.array([0.0, 0.9])
    figure = plots.reliability_bars({"as it is": (n, accuracy, confidence, 0.15)})
    assert [bar.get_height() for bar in figure.axes[0].patches] == [0.75]
    assert "ECE 0.150" in figure.axes[0].get_title() and "as it is 0.150" in words(figure)


def test_nothing_to_judge_is_said():
    assert "nothing to judge" in words(plots.reliability_bars({}))


def test_doubt_has_a_line_for_each_temperature():
    figure = plots.doubt_against_sureness([1, 2], {1: [1.0, 0.25], 4: [2.9, 2.5]}, 3.32)
    assert [list(line.get_ydata()) for line in figure.axes[0].lines[:2]] == [[1.0, 0.25], [2.9, 2.5]]
    assert "at T = 1 from 1.00 to 0.25 bits; at T = 4 from 2.90 to 2.50" in words(figure)


@pytest.mark.parametrize("standins", [{"uniform": 2.06, "class map": 0.81}, {}])
def test_missed_bits_are_bars(standins):
    figure = plots.missed_bits(standins)
    assert lengths(figure.axes[0]) == list(standins.values())
    assert ("class map 0.81" if standins else "none") in words(figure)


def test_scraps_are_cut_from_the_enlarged_image():
    large = np.random.default_rng(1).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    figure = plots.scraps(IMAGES[0], large, [(0, 5), (192, 100)])
    assert np.array_equal(figure.axes[3].images[0].get_array(), large[192:, 100:132])
    assert len(figure.axes[1].lines) == 2 and "with 2 crops" in figure.axes[1].get_title()
    assert "2 crops that show 2.0 % of it" in words(figure)
