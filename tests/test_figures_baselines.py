"""The figures of lesson 02 draw what they are given, and their words say it."""

import numpy as np
import pandas as pd
import pytest
import torch
from letters import readable  # noqa: F401 (autouse: the letters of all that is drawn here)

from classroom.figures import baselines as plots
from course_lib import look


def test_a_mosaic_keeps_every_pixel_and_its_place():
    images = torch.arange(2 * 3, dtype=torch.uint8).view(2, 3, 1, 1, 1).expand(2, 3, 3, 32, 32)
    picture = plots.mosaic(images)
    assert picture.shape == (70, 104, 3)
    assert picture[18 + 34, 18 + 68].tolist() == [5, 5, 5]
    assert picture[0].min() == 255, "a white gap"


def test_a_gallery_names_its_columns_and_rows():
    images = torch.zeros(2, 3, 3, 32, 32, dtype=torch.uint8)
    figure = plots.gallery(images, "six black images", below=["a", "b", "c"], beside=["cat", "dog"])
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "c"]
    assert list(axes.get_yticks()) == [18, 52]
    assert look.alt_text(figure) == "six black images"
    assert list(plots.gallery(images, "no names").axes[0].get_xticks()) == []


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


def test_the_ladder_stands_in_order_with_the_last_epoch_of_each_rung():
    rows = pd.DataFrame(
        [("batch 64", 0, 1, 2, 55.0), ("batch 64", 0, 2, 2, 69.0), ("crops of 24 pixels for one", 1, 3, 3, 74.0)],
        columns=["rung", "seed", "epoch", "epochs", "validation_accuracy"],
    )
    figure = plots.ladder(rows)
    (axes,) = figure.axes
    assert [line.get_xdata()[0] for line in axes.lines] == [69.0, 74.0]
    names = ["batch 64", "24 pixels in one, seed 1"]
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    assert [text.get_text() for text in axes.texts] == ["69.0", "74.0 (3 epochs)"]
    assert look.alt_text(figure).endswith("batch 64 69.0; 24 pixels in one, seed 1 74.0.")


def fronts(best: list[str]):
    costs = pd.DataFrame({"size (M)": [1.0, 2.0, 2.2, 50.0]}, index=["gn-s-1.0x", "gn-s-1.3x", "gn-s-2.8x", "vgg13"])
    accuracy = pd.Series([80.0, 85.0, 85.1, 84.0], index=costs.index)
    return plots.fronts(costs, accuracy, {"size (M)": best})


def test_a_front_is_a_staircase_and_its_names_are_apart():
    figure = fronts(["gn-s-1.0x", "gn-s-1.3x", "gn-s-2.8x"])
    (axes,) = figure.axes
    stairs, own, others = axes.lines
    assert list(stairs.get_ydata()) == [80.0, 85.0, 85.1]
    assert list(own.get_xdata()) == [1.0, 2.0, 2.2] and list(others.get_xdata()) == [50.0]
    assert [text.get_text() for text in axes.texts] == ["1.0x", "2.8x"]
    figure.draw_without_rendering()
    one, other = (text.get_window_extent() for text in axes.texts)
    assert not one.overlaps(other)
    assert "size (M): gn-s-1.0x, gn-s-1.3x, gn-s-2.8x" in look.alt_text(figure)
    assert len(fronts([]).axes[0].lines[0].get_xdata()) == 0, "an empty front draws the networks alone"
