"""Tables and figures say what the store and the paper's CSV say, and nothing else."""

import base64
import re
import shutil
import struct
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from fabricated import fake_result, fake_store, resized

from course_lib import look, report
from course_lib.errors import ResultError
from course_lib.profiles import PROFILES
from course_lib.study import store
from course_lib.study.experiments import EXPERIMENTS, table_rows

QUICK = PROFILES["quick"]


@pytest.fixture
def empty(tmp_path) -> pd.DataFrame:
    return store.load_results(tmp_path / "nothing")


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> pd.DataFrame:
    """Two baselines and a distilled student; the student has a seed that its baseline lacks."""
    folder = tmp_path_factory.mktemp("store")
    fake_store(
        folder,
        {
            "gn-s-1.0x": {0: 30.0, 1: 34.0},
            "gn-s-1.0x<resnet50": {0: 31.0, 1: 36.0, 2: 50.0},
            "gn-d": {0: 25.0},
            "gn-d<ensemble": {0: 24.5},
        },
    )
    return store.load_results(folder)


@pytest.fixture(scope="module")
def every_row(tmp_path_factory) -> pd.DataFrame:
    """One run of everything in quick, three seeds of everything in full."""
    folder = tmp_path_factory.mktemp("store")
    rng = np.random.default_rng(0)
    fake_store(folder, {key: {0: round(30 + rng.random(), 1)} for key in EXPERIMENTS})
    seeds = {key: {seed: round(91 + rng.random(), 2) for seed in range(3)} for key in EXPERIMENTS}
    fake_store(folder, seeds, profile=PROFILES["full"], test_images=10_000)
    return store.load_results(folder)


# --- the paper's numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_papers_rows_are_the_registrys(n):
    assert list(report.paper_table(n).index) == [row.key for row in table_rows(f"table{n}")]


@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_papers_deltas_follow_from_its_accuracies(n):
    """A slip of the pen in the CSV would show here."""
    baselines = report.paper_table(1)["accuracy"]
    for key, row in report.paper_table(n).iterrows():
        difference = row["accuracy"] - baselines[report.baseline_of(EXPERIMENTS[key])]
        assert difference == pytest.approx(row["delta"], abs=0.005), key


def test_the_papers_best_numbers_stand():
    paper = report.paper_table(1)
    assert paper.loc["gn-s-2.8x", "accuracy"] == 93.94
    assert paper.loc["efficientnetv2_s", "accuracy"] == 97.90
    assert paper["accuracy"].sum() == pytest.approx(1401.61)
    assert paper.loc["gn-s-1.0x", "params_millions"] == 0.483


def test_the_exchanged_rows_keep_the_printed_numbers_and_say_so():
    paper = report.paper_table(4)
    assert list(paper["accuracy"]) == [90.51, 93.28, 90.83]
    assert "90.83" in paper.loc["gn-s-1.0x<ensemble", "note"]
    assert "90.51" in paper.loc["gn-d<ensemble", "note"]


def test_an_unknown_table_and_a_missing_csv_are_answered_in_one_line(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="choose 1, 2, 3 or 4"):
        report.paper_table(5)
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    with pytest.raises(ResultError, match="table1.csv"):
        report.paper_table(1)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (",accuracy,", ",acc,", "lacks accuracy: restore it"),
        ("gn-d<vgg13", "gn-d<vgg31", "lacks gn-d<vgg13: restore it"),
        ("91.10", "91,10", "cannot read the paper's numbers"),
        ("91.10", "9l.10", "cannot read the paper's numbers"),
    ],
)
def test_a_csv_that_was_changed_is_answered_in_one_line(tmp_path, monkeypatch, old, new, words):
    shutil.copytree(report.repo_path("data", "paper"), tmp_path / "data" / "paper")
    path = tmp_path / "data" / "paper" / "table2.csv"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    with pytest.raises(ResultError) as caught:
        report.paper_table(2)
    said = str(caught.value)
    assert str(path) in said and words in said and "\n" not in said


# --- tables -----------------------------------------------------------------------------------------


def test_ours_are_means_over_seeds(small):
    row = report.table(1, small, "quick").loc["gn-s-1.0x"]
    assert row[report.OUR_ACCURACY] == 32.0
    assert row[report.OUR_SD] == pytest.approx(8**0.5)
    assert (row["n"], row["epochs"]) == (2, 2)
    assert row[report.OUR_PARAMETERS] == 0.483554
    assert row[report.PAPER_ACCURACY] == 91.37


def test_deltas_pair_the_seeds_that_both_have(small):
    row = report.table(2, small, "quick").loc["gn-s-1.0x<resnet50"]
    assert row["n"] == 3
    assert row[report.OUR_ACCURACY] == 39.0
    assert row["pairs"] == 2
    assert row[report.OUR_DELTA] == 1.5  # seeds 0 and 1: +1 and +2; not 39 - 32
    assert row[report.DELTA_SD] == pytest.approx(0.5**0.5)
    assert row[report.PAPER_DELTA] == -0.16


def test_one_seed_has_no_spread(small):
    row = report.table(4, small, "quick").loc["gn-d<ensemble"]
    assert (row["n"], row["pairs"], row[report.OUR_DELTA]) == (1, 1, -0.5)
    assert np.isnan(row[report.OUR_SD]) and np.isnan(row[report.DELTA_SD])


def test_best_and_last_epoch_are_kept_apart(tmp_path):
    store.save_result(fake_result("gn-d", accuracies=(40.0, 30.0)), tmp_path)
    store.save_result(fake_result("gn-d", accuracies=(44.0, 30.0), seed=1), tmp_path)
    store.save_result(fake_result("gn-d<vgg13", accuracies=(30.0, 35.0)), tmp_path)
    frame = store.load_results(tmp_path)
    baseline = report.table(1, frame, "quick").loc["gn-d"]
    assert (baseline[report.OUR_BEST], baseline[report.OUR_ACCURACY], baseline[report.OUR_SD]) == (42.0, 30.0, 0.0)
    assert report.table(2, frame, "quick").loc["gn-d<vgg13", report.OUR_DELTA] == 5.0


def test_a_delta_needs_the_baseline(tmp_path):
    store.save_result(fake_result("gn-d<vgg13"), tmp_path)
    row = report.table(2, store.load_results(tmp_path), "quick").loc["gn-d<vgg13"]
    assert (row["n"], row["pairs"]) == (1, 0)
    assert np.isnan(row[report.OUR_DELTA])


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_an_empty_store_gives_the_papers_rows_and_none_of_ours(empty, n):
    frame = report.table(n, empty, "quick")
    assert len(frame) == len(report.paper_table(n))
    assert (frame["n"] == 0).all()
    assert frame[[report.OUR_ACCURACY, report.OUR_BEST, report.OUR_SD]].isna().all(axis=None)
    assert "none of these rows has been run" in frame.attrs["caption"]


def test_profiles_and_recipes_never_mix(tmp_path):
    fake_store(tmp_path, {"gn-d": {0: 25.0}, "gn-d<ta": {0: 24.0}})
    fake_store(tmp_path, {"gn-d": {0: 91.0}}, profile=PROFILES["full"])
    fake_store(tmp_path, {"gn-d<ta": {0: 60.0}}, recipe="repaired")
    frame = store.load_results(tmp_path)

    def ours(n, key, *arguments):
        return report.table(n, frame, *arguments).loc[key, report.OUR_ACCURACY]

    assert ours(1, "gn-d", "quick") == ours(1, "gn-d", QUICK) == 25.0
    assert ours(1, "gn-d", "full") == 91.0
    assert ours(3, "gn-d<ta", "quick") == 24.0
    assert ours(3, "gn-d<ta", "quick", "repaired") == 60.0
    assert np.isnan(ours(3, "gn-d<ta", "full", "repaired"))


def test_what_two_recipes_train_alike_is_shown_under_both(tmp_path):
    fake_store(tmp_path, {"gn-d": {0: 25.0}, "gn-d<vgg13": {0: 26.0}})
    fake_store(tmp_path, {"gn-d<ta": {0: 20.0}}, recipe="as_run")
    frame = store.load_results(tmp_path)
    assert report.table(2, frame, "quick", "as_run").loc["gn-d<vgg13", report.OUR_DELTA] == 1.0
    chain = report.table(3, frame, "quick", "as_run")
    assert chain.loc["gn-d<ta", report.OUR_DELTA] == -5.0  # against the shuffled baseline, as in the paper
    assert "recipe 'as_run' (rows that it trains alike are those of 'paper')" in chain.attrs["caption"]
    assert np.isnan(report.table(2, frame, "quick", "repaired").loc["gn-d<vgg13", report.OUR_ACCURACY])


def test_an_older_result_without_a_setting_stands_beside_a_newer_one(tmp_path):
    """Results name their profile's settings; one that came later is at its default in the older."""
    older = fake_result("gn-d")
    del older["profile"]["test_images"]
    store.save_result(older, tmp_path)
    store.save_result(fake_result("gn-d<vgg13"), tmp_path)
    assert report.table(2, store.load_results(tmp_path), "quick").loc["gn-d<vgg13", "pairs"] == 1


# --- verdicts -----------------------------------------------------------------------------------------


def test_verdicts_stand_beside_their_numbers(every_row):
    text = report.verdicts_table(every_row, "full").to_markdown()
    lines = [line for line in text.splitlines() if line.startswith("| gn-")]
    assert len(lines) == 15 and all(len(line.split("|")) == 9 for line in lines)
    assert "recipe 'paper'" in text and "| 3 | cannot be told apart |" in text
    assert all("none: the quick profile" in line for line in verdict_lines(every_row, "quick"))


def verdict_lines(frame, *arguments):
    text = report.verdicts_table(frame, *arguments).to_markdown()
    return [line for line in text.splitlines() if line.startswith("| gn-")]


def test_unshuffled_rows_are_judged_against_both_baselines(tmp_path, empty):
    fake_store(tmp_path, {"gn-s-1.0x": {0: 91.0}}, profile=PROFILES["full"], test_images=10_000)
    fake_store(tmp_path, {"gn-s-1.0x": {0: 91.0}}, profile=PROFILES["full"], test_images=10_000, recipe="unshuffled")
    fake_store(tmp_path, {"gn-s-1.0x<ta": {0: 90.0}}, profile=PROFILES["full"], test_images=10_000, recipe="as_run")
    lines = verdict_lines(store.load_results(tmp_path), "full", "as_run")
    assert len(lines) == 15 + 8  # EfficientNetV2's row, four of Table III and three of Table IV stand twice
    chain = [line for line in lines if line.startswith("| gn-s-1.0x<ta |")]
    assert [line.split(" | ")[1] for line in chain] == ["shuffled", "unshuffled"]
    assert all("none: only 1 seed, 3 are needed" in line for line in chain)
    assert all("not run" in line for line in verdict_lines(empty, "full"))


# --- what cannot be compared ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"profile": resized("quick", train_images=777)}, "the profile's settings differ"),
        ({"accuracies": (1.0, 2.0, 3.0)}, "the epochs of the GhostNets differ"),
        ({"test_images": 500}, "the data differ"),
        ({"dataset": "synthetic"}, "the data differ"),
    ],
)
def test_runs_that_were_not_trained_alike_are_not_set_side_by_side(tmp_path, options, words):
    store.save_result(fake_result("gn-d"), tmp_path)
    store.save_result(fake_result("gn-d<vgg13", **options), tmp_path)
    with pytest.raises(ResultError) as caught:
        report.table(2, store.load_results(tmp_path), "quick")
    assert words in str(caught.value)
    assert "gn-d_from_vgg13.quick.paper.seed0" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_big_networks_may_train_for_epochs_of_their_own(tmp_path):
    store.save_result(fake_result("gn-d"), tmp_path)
    store.save_result(fake_result("resnet50", accuracies=(20.0,)), tmp_path)
    frame = report.table(1, store.load_results(tmp_path), "quick")
    assert frame.loc["gn-d", "epochs"] == 2
    assert frame.loc["resnet50", "epochs"] == 1


def test_the_caption_says_what_really_ran(tmp_path):
    shrunk = resized("quick", train_images=1234)
    fake_store(tmp_path, {"gn-d": {0: 25.0}}, profile=shrunk, dataset="synthetic")
    caption = report.table(1, store.load_results(tmp_path), "quick").attrs["caption"]
    assert "1,234 training images" in caption
    assert "not a reproduction" in caption
    assert "SYNTHETIC" in caption
    assert "1 of 15 rows run" in caption
    assert "recipe 'paper'" in caption


# --- tables as people see them ------------------------------------------------------------------------


class TableReader(HTMLParser):
    """The cells, scopes and caption of one HTML table."""

    def __init__(self, text: str):
        super().__init__()
        self.rows, self.scopes, self.caption, self.open = [], [], "", None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.open = tag
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")
            self.scopes.append(dict(attributes).get("scope"))

    def handle_endtag(self, tag):
        self.open = None

    def handle_data(self, data):
        if self.open in ("th", "td"):
            self.rows[-1][-1] += data
        if self.open == "caption":
            self.caption += data


def test_html_says_what_the_frame_says(small):
    shown = report.show_table(2, small, "quick")
    read = TableReader(shown._repr_html_())
    head, *body = read.rows
    assert len(body) == 8
    cells = dict(zip(head, body[1], strict=True))
    assert cells["student"] == "GN-S (1.0x)"
    assert cells["teacher"] == "ResNet50"
    assert cells[report.PAPER_ACCURACY] == "91.21"
    assert cells[report.OUR_ACCURACY] == "39.00"
    assert cells[report.OUR_DELTA] == "+1.50"
    assert (cells["n"], cells["pairs"]) == ("3", "2")
    assert read.caption == shown.caption
    assert read.caption.startswith("Table II.")


def test_html_is_accessible_and_brings_no_colours(small):
    text = report.show_table(1, small, "quick")._repr_html_()
    read = TableReader(text)
    assert read.scopes.count("col") == len(read.rows[0])
    assert read.scopes.count("row") == len(read.rows) - 1
    assert "color" not in text and "background" not in text


def test_rows_that_were_not_run_say_so(small):
    head, *body = TableReader(report.show_table(1, small, "quick")._repr_html_()).rows
    cells = dict(zip(head, body[1], strict=True))
    assert cells[report.OUR_ACCURACY] == "not run"
    assert cells[report.OUR_BEST] == cells[report.OUR_SD] == cells["epochs"] == "–"
    assert cells["n"] == "0"
    assert "nan" not in report.show_table(1, small, "quick")._repr_html_().lower()


def test_notes_stand_below_with_their_marks(empty):
    text = report.show_table(4, empty, "quick").to_markdown()
    assert "| GN-S (1.0x) (a) |" in text
    assert "- (a) exchanged with the GN-D row" in text
    assert "- (c) exchanged with the GN-S (1.0x) row" in text


def test_markdown_is_one_table(small):
    text = repr(report.show_table(3, small, "quick"))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 4
    assert len({row.count("|") for row in rows}) == 1


# --- figures ------------------------------------------------------------------------------------------


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
    heights = report._apart([0.1, 0.11, 0.9, 0.95, 0.99], 0.075)
    assert min(np.diff(heights)) > 0.0749
    assert max(heights) <= 1.0


@pytest.mark.parametrize("keys", [[], ["gn-d"] * 8, ["gn-e"]])
def test_learning_curves_refuse_what_they_cannot_draw(empty, keys):
    with pytest.raises(ValueError):
        report.learning_curves(empty, keys, "quick")


def draw_all(frame: pd.DataFrame, profile: str) -> list:
    return [
        report.figure_1(frame, profile),
        report.deltas_figure(frame, profile),
        report.learning_curves(frame, ["gn-s-1.0x", "gn-d", "resnet50"], profile),
    ]


def test_figures_of_an_empty_store_say_that_nothing_ran(empty):
    for figure in draw_all(empty, "quick"):
        assert "not run yet" in written(figure.axes[-1])
        assert "none of these rows has been run" in figure.get_supxlabel()
    assert look.png(figure)


def test_every_figure_has_words_and_its_profile_and_stays_small(every_row):
    for profile in ("quick", "full"):
        for figure in draw_all(every_row, profile):
            assert PROFILES[profile].label in figure.get_supxlabel()
            assert PROFILES[profile].label in look.alt_text(figure)
            assert profile == "quick" or len(look.png(figure)) < 60_000  # full has the error bars


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


def test_show_gives_a_figure_with_alt_and_caption():
    figure = report.Figure(figsize=(1, 1), label="GN-D 91.23 %")
    text = look.show(figure, alt='a "small" <figure>', caption="See the peak").data
    assert 'alt="a &quot;small&quot; &lt;figure&gt;"' in text
    assert "<figcaption>See the peak</figcaption>" in text
    assert re.match(r"<figure[^>]*><img ", text)
    png = base64.b64decode(re.search(r"base64,([^\"]+)", text)[1])
    assert png.startswith(b"\x89PNG")
    text = look.show(figure).data
    assert 'alt="GN-D 91.23 %"' in text and "<figcaption>GN-D 91.23 %</figcaption>" in text


def test_a_figure_without_words_is_refused():
    with pytest.raises(ValueError, match="alt text"):
        look.show(report.Figure())


def test_saved_figures_are_repeatable_and_hold_no_metadata(every_row, tmp_path):
    first = look.save_figure(report.figure_1(every_row, "quick"), "quick/fig1", tmp_path)
    second = look.save_figure(report.figure_1(every_row, "quick"), "again", tmp_path)
    assert first == tmp_path / "quick" / "fig1.png"
    assert first.read_bytes() == second.read_bytes()
    assert chunks(first.read_bytes()).isdisjoint({b"tEXt", b"iTXt", b"zTXt", b"tIME", b"eXIf"})


def chunks(png: bytes) -> set[bytes]:
    kinds, place = set(), 8
    while place < len(png):
        length, kind = struct.unpack(">I4s", png[place : place + 8])
        kinds.add(kind)
        place += length + 12
    return kinds


@pytest.mark.parametrize("name", ["../fig1", "/fig1", "fig 1", "", "fig1.png"])
def test_a_figure_needs_a_plain_name(tmp_path, name):
    with pytest.raises(ValueError, match="cannot name a figure"):
        look.save_figure(report.Figure(), name, tmp_path)


# --- the whole report ---------------------------------------------------------------------------------


def test_write_report_writes_a_folder_a_profile(every_row, tmp_path):
    paths = report.write_report(every_row, tmp_path)
    names = {
        "fig1.png",
        "deltas.png",
        "curves.png",
        "verdicts.md",
        *(f"table{n}.{kind}" for n in (1, 2, 3, 4) for kind in ("csv", "md")),
    }
    assert {str(path.relative_to(tmp_path)) for path in paths} == {
        f"{profile}/{name}" for profile in ("quick", "full") for name in names
    }
    assert all(path.stat().st_size > 0 for path in paths)
    read = pd.read_csv(tmp_path / "full" / "table2.csv", index_col="key")
    ours = report.table(2, every_row, "full")
    np.testing.assert_allclose(read[report.OUR_DELTA], ours[report.OUR_DELTA], atol=1e-4)
    assert "not a reproduction" in (tmp_path / "quick" / "table3.md").read_text()


def test_write_report_with_nothing_to_report_says_so(empty, tmp_path):
    with pytest.raises(ResultError, match="run python -m course_lib study first"):
        report.write_report(empty, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_write_report_writes_nothing_where_a_table_cannot_be_drawn(tmp_path):
    store.save_result(fake_result("gn-d"), tmp_path / "store")
    store.save_result(fake_result("gn-d<ensemble", test_images=7), tmp_path / "store")
    with pytest.raises(ResultError, match="cannot be drawn"):
        report.write_report(store.load_results(tmp_path / "store"), tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_the_control_is_reported_with_its_own_rows(tmp_path):
    fake_store(tmp_path / "store", {"gn-d": {0: 80.0, 1: 82.0}, "resnet18": {0: 90.0}})
    fake_store(tmp_path / "store", {"gn-d": {0: 77.5}}, recipe="unshuffled")
    frame = store.load_results(tmp_path / "store")
    assert "recipe 'unshuffled': 1 of 5 table rows run, 1 seed" in report.summary(frame)
    report.write_report(frame, tmp_path / "figures")
    text = (tmp_path / "figures" / "quick" / "unshuffled.md").read_text()
    assert "| gn-d | 81.00 | 77.50 | -2.50 | 1 |" in text and "not a reproduction" in text
    assert "| gn-s-1.0x | not run | not run | – | 0 |" in text and "resnet18" not in text


def test_summary_counts_rows_and_seeds(every_row, empty, small):
    assert report.summary(empty) == "no finished runs"
    full, quick = report.summary(every_row).splitlines()
    assert full.endswith("30 of 30 table rows run, 3 seeds")
    assert quick.startswith(QUICK.label)
    assert quick.endswith("30 of 30 table rows run, 1 seed")
    assert "4 of 30" in report.summary(small)
    assert report.available_profiles(every_row) == ["full", "quick"]
    assert report.available_profiles(every_row, "repaired") == []


def test_deltas_in_words_names_those_that_were_run_with_their_n(small, empty):
    assert report.deltas_in_words(2, small) == "Ours, quick profile: gn-s-1.0x<resnet50 +1.50 (n = 2)"
    assert report.deltas_in_words(4, small) == "Ours, quick profile: gn-d<ensemble -0.50 (n = 1)"
    assert report.deltas_in_words(3, small) == "Ours, quick profile: not run"
    assert report.deltas_in_words(3, empty) == "Ours: not run"


def test_what_is_available_is_in_order_and_paper_comes_first(every_row, empty, tmp_path):
    assert report.available(empty) == []
    assert report.available(every_row) == report.available(every_row, 1) == [("full", "paper"), ("quick", "paper")]
    laptop = PROFILES["laptop"]
    fake_store(tmp_path, {"gn-d": {0: 25.0}, "resnet18": {0: 30.0}})
    fake_store(tmp_path, {"gn-d": {0: 60.0}}, profile=laptop)
    fake_store(tmp_path, {"gn-d<ta": {0: 59.0}}, profile=laptop, recipe="repaired")
    fake_store(tmp_path, {"gn-d<ta": {0: 24.0}, "gn-s-2.8x<efficientnetv2_s": {0: 20.0}}, recipe="as_run")
    fake_store(tmp_path, {"gn-d": {0: 22.0}}, recipe="unshuffled")  # a control is no set of its own
    frame = store.load_results(tmp_path)
    ours = [("laptop", "paper"), ("quick", "paper")]
    repeated, repaired = ("quick", "as_run"), ("laptop", "repaired")
    assert report.available(frame) == [*ours, repeated, repaired]
    # Table I is the same in all; of Tables II to IV there is another one where a row was trained otherwise.
    tables = {n: report.available(frame, n) for n in report.TITLES}
    assert tables == {1: ours, 2: [*ours, repeated], 3: [*ours, repeated, repaired], 4: ours}
    for n, sets in tables.items():
        captions = [report.show_table(n, frame, *each).caption for each in sets]
        assert all(f"{name} profile" in words for (name, _), words in zip(sets, captions, strict=True))
        assert all(f"recipe {recipe!r}" in words for (_, recipe), words in zip(sets, captions, strict=True))
    assert report.set_name(*ours[0]) == "laptop profile"
    assert report.deltas_in_words(3, frame).splitlines() == [
        "Ours, laptop profile: not run",
        "Ours, quick profile: not run",
        "Ours, quick profile, recipe 'as_run': gn-d<ta -1.00 (n = 1)",
        "Ours, laptop profile, recipe 'repaired': gn-d<ta -1.00 (n = 1)",
    ]
