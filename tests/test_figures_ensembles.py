"""The figures of lesson 5 draw what they were given, and their words say it."""

import numpy as np
import pandas as pd
import pytest
from letters import readable  # noqa: F401 (autouse: the letters of all that is drawn here)

from classroom.figures import ensembles as plots
from course_lib import look


def lines(axes) -> list[tuple[list, list]]:
    return [tuple(map(list, line.get_data())) for line in axes.get_lines()]


def test_error_of_means_draws_a_line_and_its_points_for_each_correlation():
    figure = plots.error_of_means([1, 2], {0.0: [1.0, 0.5], 0.5: [1.0, 0.75]}, {0.0: {2: 0.51}, 0.5: {1: 0.98}})
    drawn = lines(figure.axes[0])
    assert drawn == [([1, 2], [1.0, 0.5]), ([2], [0.51]), ([1, 2], [1.0, 0.75]), ([1], [0.98])]
    assert "correlation 0.5: 1.00 for K = 1, 0.75 for K = 2" in look.alt_text(figure)


def test_soft_targets_show_each_opinion_and_name_its_first_choice():
    targets = {"A": np.array([0.7, 0.3]), "mean of logits": np.array([0.2, 0.8])}
    figure = plots.soft_targets(np.zeros((4, 4, 3)), "cat", targets, ("cat", "dog"))
    assert [[bar.get_width() for bar in axes.patches] for axes in figure.axes[1:]] == [[0.7, 0.3], [0.2, 0.8]]
    assert figure.axes[1].patches[0].get_facecolor() != figure.axes[2].patches[0].get_facecolor()
    assert "labelled cat. A: cat 0.70; mean of logits: dog 0.80." in look.alt_text(figure)


def test_without_targets_the_picture_stands_alone():
    figure = plots.soft_targets(np.zeros((4, 4, 3)), "cat", {}, ("cat", "dog"))
    assert len(figure.axes) == 1


def test_jensen_puts_the_loss_of_the_mean_below_the_mean_of_the_losses():
    figure = plots.jensen(0.9, 0.1)
    (_, (chord,)), (_, (loss,)) = lines(figure.axes[0])[-2:]
    assert chord == pytest.approx(-np.log(0.9 * 0.1) / 2) and loss == pytest.approx(-np.log(0.5)) and loss < chord
    assert "1.20" in look.alt_text(figure) and "0.69" in look.alt_text(figure)


def test_jensen_of_two_members_who_agree_gains_nothing():
    (_, (chord,)), (_, (loss,)) = lines(plots.jensen(0.5, 0.5).axes[0])[-2:]
    assert chord == pytest.approx(loss)


def test_accuracies_tell_networks_and_ensembles_apart():
    frame = pd.DataFrame({"accuracy": [60.0, 65.5], "from": [59.0, 64.5], "to": [61.0, 66.5]}, index=["A", "two: mean"])
    figure = plots.accuracies(frame, 10_000)
    drawn = {line.get_marker(): line.get_data() for line in figure.axes[0].get_lines()}
    assert [list(values) for values in drawn["o"]] == [[60.0], [0]]
    assert [list(values) for values in drawn["s"]] == [[65.5], [1]]
    ends = [segment[:, 0].tolist() for bars in figure.axes[0].collections for segment in bars.get_segments()]
    assert ends == [[59.0, 61.0], [64.5, 66.5]]
    assert "10,000" in look.alt_text(figure) and "two: mean 65.50" in look.alt_text(figure)


def test_likeness_writes_each_pair_once_and_names_the_ends():
    q = {("A", "B"): 0.9, ("A", "C"): 0.5, ("B", "C"): 0.7}
    figure = plots.likeness(q, ["A", "B", "C"])
    written = {text.get_position(): text.get_text() for text in figure.axes[0].texts}
    assert written == {(0.5, 0.5): "0.90", (0.5, 1.5): "0.50", (1.5, 1.5): "0.70"}
    assert "Most alike: A and B (0.90); least: A and C (0.50)." in look.alt_text(figure)
