"""The figures of lesson 02 draw what they are given, and their words say it."""

import numpy as np
import pandas as pd
import pytest
import torch

from classroom.figures import baselines as plots
from course_lib import look


def test_a_mosaic_keeps_every_pixel_and_its_place():
    images = torch.arange(2 * 3, dtype=torch.uint8).view(2, 3, 1, 1, 1).expand(2, 3, 3, 32, 32)
    picture = plots.mosaic(images)
    assert picture.shape == (68, 102, 3)
    assert picture[16 + 34, 16 + 68].tolist() == [5, 5, 5]
    assert picture[0].min() == 255, "a white gap"


def test_a_gallery_names_its_columns_and_rows():
    images = torch.zeros(2, 3, 3, 32, 32, dtype=torch.uint8)
    figure = plots.gallery(images, "six black images", below=["a", "b", "c"], beside=["cat", "dog"])
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]
    assert list(axes.get_yticks()) == [16, 50]
    assert look.alt_text(figure) == "six black images"
    assert list(plots.gallery(images, "no names").axes[0].get_xticks()) == []


def test_the_valley_says_where_each_descent_ends():
    paths = {"plain": torch.tensor([[-4.0, 1.5], [-2.0, 0.0]]), "fast": torch.tensor([[-4.0, 1.5], [0.0, 0.2]])}
    figure = plots.valley(paths, torch.tensor([1.0, 25.0]))
    assert "after 1 steps: plain 2.000, fast 0.500" in look.alt_text(figure)
    assert [list(line.get_xdata()) for line in figure.axes[0].lines] == [[-4, -2], [-4, 0]]
    assert look.alt_text(plots.valley({}, torch.tensor([1.0, 25.0]))).endswith("none")


def test_live_curves_stand_beside_guessing():
    history = [
        {"train_loss": 2.2, "test_loss": 2.1, "train_accuracy": 15.0, "test_accuracy": 20.0},
        {"train_loss": 1.9, "test_loss": 1.8, "train_accuracy": 30.0, "test_accuracy": 33.0},
    ]
    figure = plots.live_curves(history, epochs=5)
    loss, accuracy = figure.axes
    assert list(accuracy.lines[1].get_ydata()) == [20.0, 33.0]
    assert accuracy.get_ylabel() == "accuracy (%)" and loss.get_ylabel() == "loss"
    assert loss.lines[2].get_ydata()[0] == pytest.approx(np.log(10))
    assert "epoch 2 of 5" in look.alt_text(figure) and "test loss 1.80, accuracy 33.0 %" in look.alt_text(figure)
    assert "no epoch yet" in look.alt_text(plots.live_curves([], epochs=5))


def test_small_runs_have_a_panel_each():
    run = pd.DataFrame({"fit": [40.0, 99.0], "validation": [30.0, 35.0], "test": [31.0, 34.0]})
    figure = plots.small_runs({"0": run, "0.03": run / 2})
    assert [axes.get_title() for axes in figure.axes] == ["weight decay 0", "weight decay 0.03"]
    assert list(figure.axes[1].lines[0].get_ydata()) == [20.0, 49.5]
    assert "weight decay 0: fit 99 %, validation 35 %, test 34 %" in look.alt_text(figure)
    assert len(plots.small_runs({"0": run}).axes) == 1


def test_chosen_epochs_marks_the_best_and_counts_the_flattery():
    measured = np.array([[80.0, 92.0, 91.0], [81.0, 90.0, 90.5]])
    figure = plots.chosen_epochs(measured, np.array([80.0, 90.0, 91.0]))
    (place,), (height,) = figure.axes[0].lines[2].get_data()
    assert (place, height) == (2, 92.0)
    assert "2 of them report: the best epoch lies 0.50 points above the last" in look.alt_text(figure)
    assert figure.axes[1].get_title() == "2 simulated runs"
    single = plots.chosen_epochs(measured[:, -1:], np.array([91.0]))
    assert "0.00 points above" in look.alt_text(single)
