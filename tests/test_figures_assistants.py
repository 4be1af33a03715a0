"""Lesson 4's figures draw the numbers they are given, and their words say them."""

import numpy as np
import pandas as pd
import pytest
import torch
from letters import readable  # noqa: F401 (autouse: the letters of all that is drawn here)
from matplotlib.colors import to_rgba

from classroom import toy
from classroom.figures import assistants as plots
from classroom.sliders.chains import CLASS_COLOURS, GRID, grid_points
from course_lib import look
from course_lib.files import repo_path


@pytest.fixture(scope="module")
def gap() -> pd.DataFrame:
    return pd.read_csv(repo_path("data", "toy", "gap.csv"))


def test_the_ladder_draws_each_teacher_and_its_words_tell_both_ends():
    rows = {"ResNet-20": (0.27, 91.5, 0.2, 80.0), "ResNet-56": (0.85, 93.25, 0.125, 81.0)}
    teachers = pd.DataFrame(rows, index=["parameters (M)", *plots.LADDER_PANELS]).T
    figure = plots.ladder(teachers, "GN-S 1.0x")
    for axes, column in zip(figure.axes, plots.LADDER_PANELS, strict=True):
        assert list(axes.lines[0].get_ydata()) == list(teachers[column])
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["20\n0.27 M", "56\n0.85 M"]
    assert figure.axes[2].get_title() == "agreement with\nGN-S 1.0x (%)"
    assert "Of ResNet-20 and ResNet-56: accuracy (%) 91.50 and 93.25" in look.alt_text(figure)


def test_polynomials_are_the_given_curves_and_the_words_tell_their_distance():
    x = np.linspace(-1, 1, 5)
    figure = plots.polynomials(x, 0 * x, x, 0 * x + 0.5, 0 * x + 0.5)
    drawn = [line.get_ydata() for line in figure.axes[0].get_lines()]
    for line, given in zip(drawn, (0 * x, x, 0 * x + 0.5, 0 * x + 0.5), strict=True):
        np.testing.assert_array_equal(line, given)
    assert "one and the same curve" in look.alt_text(figure) and "0.250 from" in look.alt_text(figure)


def test_polynomials_that_differ_are_not_called_the_same():
    x = np.linspace(-1, 1, 5)
    words = look.alt_text(plots.polynomials(x, x, x, x, x + 0.125))
    assert "same curve" not in words and "up to 0.125 apart" in words


def test_a_map_of_one_class_is_of_its_colour_inside_of_the_disc_and_white_outside():
    only_green = np.tile([0.0, 0.0, 1.0], (GRID * GRID, 1))
    figure = plots.disc_maps({"green": torch.tensor(only_green)})
    (image,) = figure.axes[0].get_images()
    np.testing.assert_allclose(image.get_array()[GRID // 2, GRID // 2], CLASS_COLOURS[2])
    np.testing.assert_allclose(image.get_array()[0, 0], 1.0)
    assert "green: 0%, 0%, 100%." in look.alt_text(figure)


def test_points_are_drawn_in_the_colours_of_their_labels_beside_a_map():
    points = toy.Points(torch.tensor([[0.5, 0.0], [0.0, 0.5]]), torch.tensor([1, 0]))
    truth = toy.true_logits(grid_points()).softmax(dim=1)
    figure = plots.disc_maps({"the truth": truth, "two points": points})
    for dots, place, colour in zip(figure.axes[1].collections, ([0.0, 0.5], [0.5, 0.0]), CLASS_COLOURS, strict=False):
        np.testing.assert_array_equal(dots.get_offsets(), [place])
        np.testing.assert_allclose(dots.get_facecolors(), [to_rgba(colour)])
    assert [text.get_text() for text in figure.axes[0].texts] == ["A", "B", "C"], "a second cue beside the colour"
    assert [axes.get_title() for axes in figure.axes] == ["the truth", "two points"]
    assert "two points: 50%, 50%, 0%." in look.alt_text(figure)


def test_the_gap_is_drawn_from_the_means_of_the_seeds(gap):
    figure = plots.gap_figure(gap)
    expected = gap[(gap["teacher"] == 128) & (gap["student"] == 6)].mean()
    for axes, column in zip(figure.axes, plots.GAP_PANELS, strict=True):
        ends = [line.get_ydata()[-1] for line in axes.lines if len(line.get_ydata())]
        assert min(abs(end - expected[column]) for end in ends) < 1e-9
    words = look.alt_text(figure)
    assert f"{expected['kl']:.2f} from one of 128" in words
    assert f"{expected['accuracy']:.1f} %" in words
    alone = gap.loc[(gap["teacher"] == 0) & (gap["student"] == 6), "accuracy"].mean()
    assert f"{alone:.1f} % without a teacher" in words


def test_the_accuracy_panel_shows_teachers_and_students_without_one(gap):
    lines = plots.gap_figure(gap).axes[2].get_lines()
    heights = {round(float(line.get_ydata()[-1]), 4) for line in lines if len(line.get_ydata())}
    for rows in (
        gap[(gap["student"] == 0) & (gap["teacher"] == 128)],
        gap[(gap["teacher"] == 0) & (gap["student"] == 12)],
    ):
        assert round(rows["accuracy"].mean(), 4) in heights


def test_without_baselines_the_gap_claims_none(gap):
    taught = gap[gap["teacher"] > 0]
    assert "without a teacher" not in look.alt_text(plots.gap_figure(taught))


def test_a_student_that_was_not_taught_is_refused(gap):
    with pytest.raises(ValueError, match="no student of 7 units was taught: choose from 3, 6, 12"):
        plots.gap_figure(gap, named=7)
