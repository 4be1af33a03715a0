"""Lesson 1's figures draw the numbers they are given, and their words say them."""

import numpy as np
import pandas as pd
from letters import readable  # noqa: F401 (autouse: the letters of all that is drawn here)

from classroom.figures import architecture as plots
from course_lib import look

R = np.array([[1.0, -0.95, 0.2, 0.1], [-0.95, 1.0, 0.3, 0.0], [0.2, 0.3, 1.0, 0.5], [0.1, 0.0, 0.5, 1.0]])
PHOTO = np.zeros((4, 4, 3)), "a frog"


def shown(figure) -> list[tuple[np.ndarray, str]]:
    return [(np.asarray(axes.get_images()[0].get_array()), axes.get_title()) for axes in figure.axes if axes.images]


def test_a_gallery_keeps_its_order_and_leaves_the_place_below_the_photo_empty():
    maps = [np.full((4, 4), float(number)) for number in range(4)]
    rows = [[(maps[0], "0"), (maps[1], "1")], [(maps[2], "2"), (maps[3], "3")]]
    figure = plots.gallery(rows, PHOTO)
    assert [title for _, title in shown(figure)] == ["a frog", "0", "1", "2", "3"]
    np.testing.assert_array_equal(shown(figure)[4][0], maps[3])
    assert len(figure.axes) == 6 and not figure.axes[3].images


def test_the_correlations_are_drawn_and_the_alike_are_counted():
    figure = plots.correlations(R, [0, 1, 5, 7])
    np.testing.assert_array_equal(figure.axes[0].collections[0].get_array(), R)
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["0", "1", "5", "7"]
    assert "2 of 4 maps have a partner" in look.alt_text(figure)


def test_the_most_alike_come_first_and_no_map_comes_twice():
    maps = [np.full((4, 4), float(number)) for number in range(4)]
    figure = plots.look_alikes(PHOTO, maps, R, [0, 1, 5, 7], pairs=2)
    titles = [title for _, title in shown(figure)]
    assert titles == ["a frog", "map 0\nr = -0.95", "map 1\nr = -0.95", "map 5\nr = 0.50", "map 7\nr = 0.50"]
    np.testing.assert_array_equal(shown(figure)[3][0], maps[2])
    assert "r = -0.95, 0.50" in look.alt_text(figure)


def test_kernels_share_their_colours_and_show_their_numbers():
    one, middle = np.full((3, 3), -0.5), np.zeros((3, 3))
    middle[1, 1] = 2
    figure = plots.kernels({"branch": one, "identity": middle, "their sum": one + middle})
    assert [axes.collections[0].get_clim() for axes in figure.axes] == [(-2, 2)] * 3
    numbers = [text.get_text() for text in figure.axes[2].texts]
    assert numbers == ["-0.50"] * 4 + ["1.50"] + ["-0.50"] * 4
    assert "middle of their sum is 1.50" in look.alt_text(figure)


def test_bars_are_the_shares_and_a_side_without_parameters_has_none():
    small, large = pd.Series({32: 10.0, 8: 50.0, 1: 40.0}), pd.Series({2: 64.0, 1: 36.0})
    figure = plots.where_parameters_work({"GN-S": small, "GN-D": large})
    first, second = figure.axes[0].containers
    assert [bar.get_height() for bar in first] == [10, 0, 50, 0, 0, 40]
    assert [bar.get_height() for bar in second] == [0, 0, 0, 0, 64, 36]
    assert "50 % of GN-S's at 8 x 8, 64 % of GN-D's at 2 x 2" in look.alt_text(figure)
