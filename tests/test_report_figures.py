"""Figures show what the store, the paper and its authors' logs say, in words too."""

import numpy as np
import pandas as pd
import pytest
from fabricated import fake_result, fake_store
from letters import readable  # noqa: F401 (autouse: the letters of all that is drawn here)

from course_lib import look, report
from course_lib.files import ResultError
from course_lib.profiles import PROFILES
from course_lib.study import store
from tools.drawn import write_report

pytest_plugins = "stores"


def written(axes) -> set[str]:
    return {text.get_text() for text in axes.texts}


def drawn(axes, label: str) -> dict:
    """The points of what is called ``label`` in the legend."""
    (found,) = [one for one in axes.containers if one.get_label().startswith(label)]
    return dict(zip(found[0].get_xdata(orig=False), found[0].get_ydata(orig=False), strict=True))


def test_figure_1_draws_the_papers_points_its_authors_and_ours(every_row):
    left, right = report.figure_1(every_row, "laptop").axes
    printed = {1.0: 91.37, 1.3: 92.35, 1.6: 92.63, 1.9: 93.23, 2.2: 93.26, 2.8: 93.94, 3.4: 93.61}
    assert drawn(left, "printed") == printed and "93.94" in written(left) and "GN-D 91.23" in written(left)
    logs = {1.0: 91.25, 1.3: 92.25, 1.6: 92.60, 1.9: 93.23, 2.2: 93.21, 2.8: 93.94, 3.4: 93.49}
    assert drawn(left, "authors' logs") == logs
    ours = report.table(1, every_row, "laptop")[report.OUR_ACCURACY]
    np.testing.assert_allclose(list(drawn(right, "alone").values()), ours.iloc[:7])
    assert f"GN-D {ours['gn-d']:.2f}" in written(right)


def test_figure_1_means_something_with_three_points(own):
    figure = report.figure_1(own, "laptop")
    right = figure.axes[1]
    assert drawn(right, "alone") == {1.0: 78.0}
    assert drawn(right, "from ResNet56, T = 1: 78.25") == {1.05: 78.25}
    assert [round(y, 2) for y in drawn(right, "from ResNet56, T = 4: 80.17").values()] == [80.17]
    assert "n = 3 seeds, bars ± 1 sd" in right.get_title()
    low, high = right.get_ylim()
    assert high - low > 3
    words = look.alt_text(figure)
    assert "only width 1.0 run: 78.00 %. from ResNet56, T = 1: only width 1.0 run: 78.25 %" in words


def test_scales_are_shared_only_with_the_full_profile(every_row):
    for name, shared in (("laptop", False), ("full", True)):
        figure = report.figure_1(every_row, name)
        left, right = figure.axes
        assert (left.get_ylim() == right.get_ylim()) is shared
        assert ("scales of their own" in figure.get_supxlabel()) is not shared


def test_error_bars_come_with_more_than_one_seed(every_row):
    assert report.figure_1(every_row, "laptop").axes[1].get_title().endswith("n = 1 seed")
    assert report.figure_1(every_row, "laptop").axes[1].containers[0].has_yerr is False
    assert "n = 3 seeds, bars ± 1 sd" in report.figure_1(every_row, "full").axes[1].get_title()
    assert report.figure_1(every_row, "full").axes[1].containers[0].has_yerr is True


def test_the_evidence_has_a_line_for_each_student_of_the_paper_and_ours_that_were_run(own):
    figure = report.evidence_figure(own, "laptop")
    (axes,) = figure.axes
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert len(labels) == 15 + 2
    assert labels[5] == "GN-S (2.8x) from EfficientNetV2" and labels[8] == "GN-S (1.0x) from assistants"
    assert labels[14:] == ["GN-D (1.0x) from ensemble", *(f"GN-S (1.0x) from ResNet56, T = {t}" for t in (1, 4))]
    points = {line.get_label(): line.get_xdata() for line in axes.lines}
    assert points["printed: best epoch"][5] == -1.78 and points["authors' logs: last epoch"][1] == pytest.approx(-0.2)
    (ours,) = axes.containers
    assert ours.get_label() == "ours: last epoch, n = 3 seeds, 95 % interval" and list(ours[0].get_ydata()) == [15, 16]
    means, (bars,) = ours[0].get_xdata(), ours[2]
    for mean, bar in zip(means, bars.get_segments(), strict=True):
        assert bar[0][0] < mean < bar[1][0] and f"{mean:+.2f}" in written(axes)
    words = look.alt_text(figure)
    assert "15 students of the paper and 2 of 8 with published teachers" in words
    assert "Printed: 15 of 15 below zero, from -1.78 to -0.13" in words and "95 % interval" in words


def test_the_evidence_has_room_for_the_longest_names(tmp_path):
    rows = ("gn-s-1.0x", "gn-s-1.0x<published", "gn-s-1.0x<resnet20<resnet56", "gn-s-1.0x<resnet20-trained")
    fake_store(tmp_path, {key: {0: 30.0, 1: 34.0} for key in rows}, profile=PROFILES["laptop"], test_images=10_000)
    figure = report.evidence_figure(store.load_results(tmp_path), "laptop")
    assert len(figure.axes[0].get_yticklabels()) == 15 + 3  # that nothing is cut says the fixture of ``letters``


def draw_all(frame: pd.DataFrame, profile: str) -> list:
    return [report.figure_1(frame, profile), report.evidence_figure(frame, profile)]


def test_figures_of_an_empty_store_say_that_nothing_ran(empty):
    width, evidence = draw_all(empty, "laptop")
    assert "not run yet" in written(width.axes[1])
    assert evidence.axes[0].containers[0].get_label() == "ours: last epoch, not run yet"
    for figure in (width, evidence):
        assert "none of these rows has been run" in figure.get_supxlabel()
        assert "not run yet" in look.alt_text(figure) and look.png(figure)


def test_every_figure_has_words_and_its_profile(every_row):
    for profile in ("laptop", "full"):
        for figure in draw_all(every_row, profile):
            assert PROFILES[profile].label in figure.get_supxlabel()
            assert PROFILES[profile].label in look.alt_text(figure)


def test_alt_text_holds_the_key_numbers(every_row, small):
    words = look.alt_text(report.figure_1(every_row, "laptop"))
    assert "highest 93.94 % at 2.8; GN-D 91.23 %" in words
    ours = report.table(1, every_row, "laptop").loc["gn-s-3.4x", report.OUR_ACCURACY]
    assert f"{ours:.2f} % at 3.4" in words
    words = look.alt_text(report.figure_1(small, "laptop"))
    assert "only width 1.0 run: 32.00 %; GN-D 25.00 %" in words and "32.00 % at width 1.0" not in words


# --- the whole report ---------------------------------------------------------------------------------


def test_write_report_writes_a_folder_a_profile(every_row, tmp_path):
    paths = write_report(every_row, tmp_path)
    tables = (f"table{n}.{kind}" for n in (1, 2, 3, 4) for kind in ("csv", "md"))
    names = {"fig1.png", "evidence.png", "verdicts.md", *tables}
    assert {str(path.relative_to(tmp_path)) for path in paths} == {
        f"{profile}/{name}" for profile in ("laptop", "full") for name in names
    }
    assert all(0 < path.stat().st_size < 60_000 for path in paths)
    read = pd.read_csv(tmp_path / "full" / "table2.csv", index_col="key")
    ours = report.table(2, every_row, "full")
    assert list(read["block"]) == ["the paper's"] * 8 + ["with published teachers; not in the paper"] * 5
    np.testing.assert_allclose(read[report.OUR_DELTA].iloc[:8], ours[report.OUR_DELTA], atol=1e-4)
    assert "not a reproduction" in (tmp_path / "laptop" / "table3.md").read_text()
    assert not any("quick" in path.read_text() for path in paths if path.suffix != ".png")


def test_write_report_of_an_empty_store_says_not_run(empty, tmp_path):
    paths = write_report(empty, tmp_path)
    assert {path.parent for path in paths} == {tmp_path / "laptop"}
    text = (tmp_path / "laptop" / "table2.md").read_text()
    assert "none of these rows has been run; 0 of 8 rows run" in text and "nan" not in text


def test_write_report_writes_nothing_where_a_table_cannot_be_drawn(tmp_path):
    for key, images in (("gn-d", 10_000), ("gn-d<ensemble", 7)):
        result = fake_result(key, profile=PROFILES["laptop"], test_images=images)
        store.save_result(result, tmp_path / "store")
    with pytest.raises(ResultError, match="cannot be drawn"):
        write_report(store.load_results(tmp_path / "store"), tmp_path / "figures")
    assert not (tmp_path / "figures").exists()
