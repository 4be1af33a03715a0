"""Figures show what the store, the paper and its authors' logs say, in words too."""

import numpy as np
import pandas as pd
import pytest
from fabricated import fake_result, fake_store
from scipy import stats

from course_lib import look, report
from course_lib.files import ResultError
from course_lib.profiles import PROFILES
from course_lib.report import curves
from course_lib.study import store
from course_lib.study.experiments import EXPERIMENTS

pytest_plugins = "stores"


def written(axes) -> set[str]:
    return {text.get_text() for text in axes.texts}


def test_figure_1_draws_the_papers_points_and_ours(every_row):
    left, right = report.figure_1(every_row, "quick").axes
    assert list(left.lines[0].get_ydata()) == [91.23, 91.23]  # GN-D
    drawn = dict(zip(left.lines[1].get_xdata(), left.lines[1].get_ydata(), strict=True))
    assert drawn == {1.0: 91.37, 1.3: 92.35, 1.6: 92.63, 1.9: 93.23, 2.2: 93.26, 2.8: 93.94, 3.4: 93.61}
    ours = report.table(1, every_row, "quick")[report.OUR_ACCURACY]
    np.testing.assert_allclose(right.lines[1].get_ydata(orig=False), ours.iloc[:7])
    assert f"GN-D {ours['gn-d']:.2f}" in written(right)
    assert "93.94" in written(left)
    logs = dict(zip(left.lines[-1].get_xdata(), left.lines[-1].get_ydata(), strict=True))
    assert logs == {1.0: 91.25, 1.3: 92.25, 1.6: 92.60, 1.9: 93.23, 2.2: 93.21, 2.8: 93.94, 3.4: 93.49}


def test_scales_are_shared_only_with_the_full_profile(every_row):
    for name, shared in (("quick", False), ("full", True)):
        figure = report.figure_1(every_row, name)
        left, right = figure.axes
        assert (left.get_ylim() == right.get_ylim()) is shared
        assert ("scales of their own" in figure.get_supxlabel()) is not shared


def test_error_bars_come_with_more_than_one_seed(every_row):
    assert "n = 1 seed" in report.figure_1(every_row, "quick").axes[1].get_title()
    assert report.figure_1(every_row, "quick").axes[1].containers[0].has_yerr is False
    assert "n = 3 seeds, bars ± 1 sd" in report.figure_1(every_row, "full").axes[1].get_title()
    assert report.figure_1(every_row, "full").axes[1].containers[0].has_yerr is True


def test_deltas_figure_has_a_row_for_each_student(every_row):
    left, right = report.deltas_figure(every_row, "quick").axes
    labels = [label.get_text() for label in left.get_yticklabels()]
    assert len(labels) == 15
    assert labels[5] == "GN-S (2.8x) from EfficientNetV2"
    assert labels[8] == "GN-S (1.0x) from assistants"
    assert labels[14] == "GN-D (1.0x) from ensemble"
    points = [line for line in left.lines if len(line.get_xdata()) == 15][0]
    assert points.get_xdata()[5] == -1.78
    assert "-1.78" in written(left)


def test_learning_curves_show_means_and_what_is_missing(every_row, small):
    axes = report.learning_curves(every_row, ["gn-d", "gn-s-1.0x"], "full").axes[0]
    runs = every_row[(every_row["key"] == "gn-d") & (every_row["profile"] == "full")]
    assert f"gn-d {runs['last_accuracy'].mean():.2f} (n = 3)" in written(axes)
    missing = report.learning_curves(small, ["gn-d", "resnet50"], "quick").axes[0]
    assert missing.get_title() == "not run: resnet50"


def test_a_curve_and_its_name_end_at_its_own_last_epoch(tmp_path):
    fake_store(tmp_path, {"gn-s-1.0x": {0: 40.0}})
    short = fake_result("resnet18", accuracies=(35.0,))
    store.save_result(short, tmp_path)
    figure = report.learning_curves(store.load_results(tmp_path), ["gn-s-1.0x", "resnet18"], "quick")
    (axes,) = figure.axes
    names = {text.get_text(): text for text in axes.texts if text.get_text()}
    assert names["resnet18 35.00 (n = 1)"].xy == (1, 35.0)
    assert names["gn-s-1.0x 40.00 (n = 1)"].get_position()[0] == 1.06, "in the column at the right edge"
    arrows = [text for text in axes.texts if not text.get_text()]
    assert [arrow.xy[1] for arrow in arrows] == [40.0], "no line leads from the short curve to the edge"
    assert "resnet18 35.00" in look.alt_text(figure)


def test_names_at_the_curves_ends_do_not_overlap():
    heights = curves._apart([0.1, 0.11, 0.9, 0.95, 0.99], 0.075)
    assert min(np.diff(heights)) > 0.0749
    assert max(heights) <= 1.0


@pytest.mark.parametrize("keys", [[], list(EXPERIMENTS)[:8], ["gn-e"]])
def test_learning_curves_refuse_what_they_cannot_draw(empty, keys):
    with pytest.raises(ValueError):
        report.learning_curves(empty, keys, "quick")
    with pytest.raises(ValueError):
        report.authors_curves(keys)


def test_the_authors_curves_are_theirs_and_say_so():
    figure = report.authors_curves(["gn-s-1.0x", "resnet50", "gn-s-1.0x<resnet50, T=4 alpha=0.1"])
    (axes,) = figure.axes
    assert axes.get_title() == "no log: resnet50"
    drawn = axes.lines[0].get_ydata()
    assert len(drawn) == 200 and (drawn[0], drawn[-1]) == (17.01, 91.25)
    assert "authors' own logs" in figure.get_supxlabel()
    assert look.alt_text(figure).startswith(
        "Test accuracy in percent after the last epoch: gn-s-1.0x 91.25; gn-s-1.0x<"
    )


def test_every_seed_is_a_point_and_the_interval_is_students(tmp_path):
    fake_store(tmp_path, {"gn-s-1.0x": {0: 30.0, 1: 34.0, 2: 35.0}, "gn-s-1.0x<ta": {0: 31.0}, "resnet18": {0: 99.0}})
    figure = report.seeds_figure(store.load_results(tmp_path), "quick")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["gn-s-1.0x", "gn-s-1.0x<ta"]
    seeds = [point[0] for strip in axes.collections for point in strip.get_offsets()]
    assert sorted(seeds) == [30.0, 31.0, 34.0, 35.0]
    low, high = stats.t.interval(0.95, 2, loc=33.0, scale=stats.sem([30.0, 34.0, 35.0]))
    bars = [sorted(x) for line in axes.lines if len(x := line.get_xdata()) == 2 and np.isfinite(x).all()]
    np.testing.assert_allclose(bars, [(low, high)])  # one seed has no interval
    assert "gn-s-1.0x 33.00 (n = 3); gn-s-1.0x<ta 31.00 (n = 1)" in look.alt_text(figure)


def draw_all(frame: pd.DataFrame, profile: str) -> list:
    return [
        report.figure_1(frame, profile),
        report.deltas_figure(frame, profile),
        report.seeds_figure(frame, profile),
        report.learning_curves(frame, ["gn-s-1.0x", "gn-d", "resnet50"], profile),
    ]


def test_figures_of_an_empty_store_say_that_nothing_ran(empty):
    for figure in draw_all(empty, "quick"):
        assert "not run yet" in written(figure.axes[-1])
        assert "none of these rows has been run" in figure.get_supxlabel()
    assert look.png(figure)


def test_every_figure_has_words_and_its_profile(every_row):
    for profile in ("quick", "full"):
        for figure in draw_all(every_row, profile):
            assert PROFILES[profile].label in figure.get_supxlabel()
            assert PROFILES[profile].label in look.alt_text(figure)


def test_alt_text_holds_the_key_numbers(every_row):
    words = look.alt_text(report.figure_1(every_row, "quick"))
    assert "highest 93.94 % at 2.8; GN-D 91.23 %" in words
    ours = report.table(1, every_row, "quick").loc["gn-s-3.4x", report.OUR_ACCURACY]
    assert f"{ours:.2f} % at 3.4" in words
    words = look.alt_text(report.deltas_figure(every_row, "quick"))
    assert "Paper: 15 of 15 below zero, from -1.78 (GN-S (2.8x) from EfficientNetV2)" in words


def test_a_single_width_is_no_curve(small):
    words = look.alt_text(report.figure_1(small, "quick"))
    assert "only width 1.0 run: 32.00 %; GN-D 25.00 %" in words
    assert "32.00 % at width 1.0" not in words


# --- the whole report ---------------------------------------------------------------------------------


def test_write_report_writes_a_folder_a_profile(every_row, tmp_path):
    paths = report.write_report(every_row, tmp_path)
    names = {
        "fig1.png",
        "deltas.png",
        "curves.png",
        "seeds.png",
        "verdicts.md",
        *(f"table{n}.{kind}" for n in (1, 2, 3, 4) for kind in ("csv", "md")),
    }
    assert {str(path.relative_to(tmp_path)) for path in paths} == {
        f"{profile}/{name}" for profile in ("quick", "full") for name in names
    }
    assert all(0 < path.stat().st_size < 60_000 for path in paths)
    read = pd.read_csv(tmp_path / "full" / "table2.csv", index_col="key")
    ours = report.table(2, every_row, "full")
    np.testing.assert_allclose(read[report.OUR_DELTA], ours[report.OUR_DELTA], atol=1e-4)
    assert "not a reproduction" in (tmp_path / "quick" / "table3.md").read_text()


def test_write_report_with_nothing_to_report_says_so(empty, tmp_path):
    with pytest.raises(ValueError, match="unknown recipe 'repared'"):
        report.write_report(empty, tmp_path, "repared")
    with pytest.raises(ResultError, match="run python -m course_lib study first"):
        report.write_report(empty, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_write_report_writes_nothing_where_a_table_cannot_be_drawn(tmp_path):
    store.save_result(fake_result("gn-d"), tmp_path / "store")
    store.save_result(fake_result("gn-d<ensemble", test_images=7), tmp_path / "store")
    with pytest.raises(ResultError, match="cannot be drawn"):
        report.write_report(store.load_results(tmp_path / "store"), tmp_path / "figures")
    assert not (tmp_path / "figures").exists()
