"""Tables say what the store, the paper's files and its authors' logs say, and nothing else."""

from html.parser import HTMLParser

import numpy as np
import pytest
from fabricated import fake_result, fake_store, resized

from course_lib import report
from course_lib.files import ResultError
from course_lib.profiles import PROFILES
from course_lib.report import tables
from course_lib.study import store
from course_lib.study.experiments import table_rows
from course_lib.study.protocols import STUDENTS
from tools.stored import summary

pytest_plugins = "stores"


def test_ours_are_means_over_seeds(small):
    row = report.table(1, small, "laptop").loc["gn-s-1.0x"]
    assert row[report.OUR_ACCURACY] == 32.0
    assert row[tables.OUR_SD] == pytest.approx(8**0.5)
    assert (row["n"], row["epochs"]) == (2, 2)
    assert row[tables.OUR_PARAMETERS] == 0.483554
    assert row[report.PAPER_ACCURACY] == 91.37


def test_deltas_pair_the_seeds_that_both_have(small):
    row = report.table(2, small, "laptop").loc["gn-s-1.0x<resnet50"]
    assert row["n"] == 3
    assert row[report.OUR_ACCURACY] == 39.0
    assert row["pairs"] == 2
    assert row[report.OUR_DELTA] == 1.5  # seeds 0 and 1: +1 and +2; not 39 - 32
    assert row[tables.DELTA_SD] == pytest.approx(0.5**0.5)
    assert row[report.PAPER_DELTA] == -0.16


def test_one_seed_has_no_spread(small):
    row = report.table(4, small, "laptop").loc["gn-d<ensemble"]
    assert (row["n"], row["pairs"], row[report.OUR_DELTA]) == (1, 1, -0.5)
    assert np.isnan(row[tables.OUR_SD]) and np.isnan(row[tables.DELTA_SD])


def test_best_and_last_epoch_are_kept_apart(tmp_path):
    store.save_result(fake_result("gn-d", accuracies=(40.0, 30.0)), tmp_path)
    store.save_result(fake_result("gn-d", accuracies=(44.0, 30.0), seed=1), tmp_path)
    store.save_result(fake_result("gn-d<vgg13", accuracies=(30.0, 35.0)), tmp_path)
    frame = store.load_results(tmp_path)
    baseline = report.table(1, frame, "quick").loc["gn-d"]
    assert (baseline[tables.OUR_BEST], baseline[report.OUR_ACCURACY], baseline[tables.OUR_SD]) == (42.0, 30.0, 0.0)
    assert report.table(2, frame, "quick").loc["gn-d<vgg13", report.OUR_DELTA] == 5.0


def test_the_authors_last_epochs_stand_between_the_papers_and_ours(small):
    first, second = (report.table(n, small, "laptop") for n in (1, 2))
    assert (
        first[report.AUTHORS_ACCURACY].notna().sum() == 8 and first.loc["gn-s-1.0x", report.AUTHORS_ACCURACY] == 91.25
    )
    row = second.loc["gn-s-1.0x<resnet50"]
    assert row[report.AUTHORS_ACCURACY] == 91.05 and row[report.AUTHORS_DELTA] == pytest.approx(-0.2)
    names = list(second)
    for three in (
        [report.PAPER_ACCURACY, report.AUTHORS_ACCURACY, report.OUR_ACCURACY],
        [report.PAPER_DELTA, report.AUTHORS_DELTA, report.OUR_DELTA],
    ):
        start = names.index(three[0])
        assert names[start : start + 3] == three


@pytest.mark.parametrize(
    ("n", "arguments", "words"),
    [
        (5, ("quick",), "unknown table 5"),
        (1, ("Quick",), "unknown profile 'Quick': choose one of quick, laptop, full"),
        (2, ("quick", "repared"), "unknown recipe 'repared'"),
    ],
)
def test_what_is_misspelt_is_refused_and_not_shown_as_not_run(small, n, arguments, words):
    with pytest.raises(ValueError, match=words):
        report.table(n, small, *arguments)


def test_a_delta_needs_the_baseline(tmp_path):
    store.save_result(fake_result("gn-d<vgg13"), tmp_path)
    row = report.table(2, store.load_results(tmp_path), "quick").loc["gn-d<vgg13"]
    assert (row["n"], row["pairs"]) == (1, 0)
    assert np.isnan(row[report.OUR_DELTA])
    assert "| no pair |" in repr(report.show_table(2, store.load_results(tmp_path), "quick"))


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_an_empty_store_gives_the_papers_rows_and_none_of_ours(empty, n):
    frame = report.table(n, empty, "laptop")
    assert len(frame) == len(report.paper_table(n))
    assert (frame["n"] == 0).all()
    assert frame[[report.OUR_ACCURACY, tables.OUR_BEST, tables.OUR_SD]].isna().all(axis=None)
    assert "none of these rows has been run" in frame.attrs["caption"]


def test_profiles_and_recipes_never_mix(tmp_path):
    fake_store(tmp_path, {"gn-d": {0: 25.0}, "gn-d<ta": {0: 24.0}})
    fake_store(tmp_path, {"gn-d": {0: 91.0}}, profile=PROFILES["full"])
    fake_store(tmp_path, {"gn-d<ta": {0: 60.0}}, recipe="repaired")
    frame = store.load_results(tmp_path)

    def ours(n, key, *arguments):
        return report.table(n, frame, *arguments).loc[key, report.OUR_ACCURACY]

    assert ours(1, "gn-d", "quick") == 25.0
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
    text, lines = report.verdicts_table(every_row, "full").to_markdown(), verdict_lines(every_row, "full")
    assert len(lines) == 15 + 7 and all(len(line) == 8 for line in lines)
    assert "recipe 'paper'" in text and "| 3 | cannot be told apart |" in text
    theirs = [line for line in verdict_lines(every_row, "laptop") if line[2] != "not in the paper"]
    assert len(theirs) == 15 and all("none: only 1 seed" in line[7] and line[5] == "–" for line in theirs)


def test_verdicts_come_question_by_question_and_say_which_students_were_not_shuffled(every_row):
    lines = verdict_lines(every_row, "full")
    questions = list(dict.fromkeys(line[0] for line in lines))
    assert questions == ["one teacher", "a chain of assistants", "an ensemble"]
    assert [line[0] for line in lines] == sorted((line[0] for line in lines), key=questions.index)
    marked = [line[1] for line in lines if line[2].endswith(" *")]
    assert len(marked) == 8 and marked[0] == "GN-S (2.8x) from EfficientNetV2"


def verdict_lines(frame, *arguments):
    """The cells of each row."""
    text = report.verdicts_table(frame, *arguments).to_markdown()
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return rows[2:]  # without the names and the line below them


def test_unshuffled_rows_are_judged_against_both_baselines(tmp_path, empty):
    fake_store(tmp_path, {"gn-s-1.0x": {0: 91.0}}, profile=PROFILES["full"], test_images=10_000)
    fake_store(tmp_path, {"gn-s-1.0x": {0: 91.0}}, profile=PROFILES["full"], test_images=10_000, recipe="unshuffled")
    fake_store(tmp_path, {"gn-s-1.0x<ta": {0: 90.0}}, profile=PROFILES["full"], test_images=10_000, recipe="as_run")
    lines = verdict_lines(store.load_results(tmp_path), "full", "as_run")
    assert len(lines) == 15 + 8 + 7  # EfficientNetV2's row, four of Table III and three of Table IV stand twice
    chain = [line for line in lines if line[1] == "GN-S (1.0x) from assistants"]
    assert [line[2] for line in chain] == ["shuffled", "unshuffled"]
    assert all(line[8] == "none: only 1 seed, 3 are needed" for line in chain)
    assert all((line[4], line[7]) == ("not run", "–") for line in verdict_lines(empty, "full"))


# --- what cannot be compared ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"profile": resized("quick", train_images=777)}, "the profile's settings differ"),
        ({"accuracies": (1.0, 2.0, 3.0)}, "the epochs of the GhostNets differ"),
        ({"test_images": 500}, "the data differ"),
        ({"dataset": "cifar100"}, "the data differ"),
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
    fake_store(tmp_path, {"gn-d": {0: 25.0}}, profile=shrunk)
    caption = report.table(1, store.load_results(tmp_path), "quick").attrs["caption"]
    assert "1,234 training images" in caption
    assert "not a reproduction" in caption
    assert "CIFAR-10, 1,000 test images" in caption
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
    shown = report.show_table(2, small, "laptop")
    read = TableReader(shown._repr_html_())
    head, *body = read.rows
    assert len(body) == 8 + 1 + 5
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
    text = report.show_table(1, small, "laptop")._repr_html_()
    read = TableReader(text)
    assert read.scopes.count("col") == len(read.rows[0])
    assert read.scopes.count("row") == len(read.rows) - 1
    assert "color" not in text and "background" not in text


def test_rows_that_were_not_run_say_so(small):
    head, *body = TableReader(report.show_table(1, small, "laptop")._repr_html_()).rows
    cells = dict(zip(head, body[1], strict=True))
    assert cells[report.OUR_ACCURACY] == "not run"
    assert cells[tables.OUR_BEST] == cells[tables.OUR_SD] == cells["epochs"] == "–"
    assert cells["n"] == "0"
    authors = [dict(zip(head, line, strict=True))[report.AUTHORS_ACCURACY] for line in body]
    assert authors[7:9] == ["91.17", "no log"], "GN-D has a log of the authors', ResNet18 has none"
    assert "nan" not in report.show_table(1, small, "laptop")._repr_html_().lower()


def test_notes_stand_below_with_their_marks(empty):
    shown = report.show_table(4, empty, "laptop")
    text = shown.to_markdown()
    assert "| GN-S (1.0x) (a) |" in text
    assert "- (a) exchanged with the GN-D row" in text
    assert "- (c) exchanged with the GN-S (1.0x) row" in text
    assert (
        "<br>(c) exchanged with the GN-S (1.0x) row" in shown._repr_html_()
    )  # not left to a list, which Jupyter numbers


def test_markdown_is_a_table_a_block(small):
    text = repr(report.show_table(3, small, "laptop"))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 4 + 2 + 2
    assert len({row.count("|") for row in rows}) == 1


# --- the second block ---------------------------------------------------------------------------------


def test_our_students_of_published_teachers_stand_below_at_each_t_that_was_run(own):
    theirs, ours = (make(2, own, "laptop") for make in (report.table, report.own_table))
    assert list(theirs.columns) == list(ours.columns) and list(theirs.index) == list(report.paper_table(2).index)
    twice = ours.loc["gn-s-1.0x<resnet56"]
    assert list(twice["teacher"]) == ["ResNet56, T = 1", "ResNet56, T = 4"]
    assert list(twice[report.OUR_DELTA]) == [0.25, pytest.approx(6.5 / 3)] and list(twice["pairs"]) == [3, 3]
    assert set(ours["teacher"][2:]) == {"ResNet56, T = 1", "ResNet20, T = 1", "ResNet20, trained here, T = 1"}
    assert report.own_table(1, own, "laptop").empty
    repaired = report.own_table(2, own, "laptop", "repaired")  # the recipe's own lines first; the others where run
    assert list(repaired["teacher"][:2]) == ["ResNet56, T = 1", "ResNet56, T = 4"]
    assert all(words.endswith("T = 4") for words in repaired["teacher"][2:])
    assert list(report.own_table(3, own, "laptop")["student"]) == [
        "GN-S (1.0x) from ResNet20, taught by ResNet56, T = 1",
        "GN-S (1.0x) from ResNet20, trained here, T = 1",
    ]


def test_a_student_that_learned_at_one_t_only_has_one_line(tmp_path):
    chain = {"gn-s-1.0x": {0: 30.0}, "gn-s-1.0x<resnet20<resnet56": {0: 34.0}}
    fake_store(tmp_path, chain, profile=PROFILES["laptop"], test_images=10_000, recipe="repaired")
    lines = report.own_table(3, store.load_results(tmp_path), "laptop")
    assert list(lines["student"]) == [
        f"GN-S (1.0x) from ResNet20, {how}" for how in ("taught by ResNet56, T = 4", "trained here, T = 1")
    ]
    assert list(lines["n"]) == [1, 0]


def test_every_student_of_a_published_teacher_has_a_place():
    shown = {key for keys in report.OWN_ROWS.values() for key in keys}
    ours = {row.key for row in table_rows("ours") if row.teachers and row.student in STUDENTS}
    assert ours - shown == {"gn-s-2.8x<efficientnetv2_s-pretrained"} and shown <= ours


def test_the_second_block_says_what_it_is(own):
    shown = report.show_table(2, own, "laptop")
    assert "0 of 8 rows run" in shown.caption
    assert (
        "Second block, with published teachers; not in the paper: 2 of 6 rows run; at T = 4 recipe 'repaired'."
        in shown.caption
    )
    read = TableReader(shown._repr_html_())
    head, body = read.rows[0], read.rows[9:]
    assert body[0] == ["With published teachers; not in the paper"] and "rowgroup" in read.scopes
    cells = dict(zip(head, body[2], strict=True))
    assert cells["teacher"] == "ResNet56, T = 4" and cells[report.OUR_ACCURACY] == "80.17"
    assert (cells[report.PAPER_ACCURACY], cells[report.AUTHORS_ACCURACY]) == ("not in the paper", "–")
    assert cells[report.PAPER_DELTA] == cells[report.AUTHORS_DELTA] == "–" and cells[report.OUR_DELTA] == "+2.17"
    cells = dict(zip(head, body[3], strict=True))
    assert cells[report.OUR_ACCURACY] == cells[report.OUR_DELTA] == "not run"
    _, _, markdown = repr(shown).partition("With published teachers; not in the paper:\n\n| student |")
    assert markdown.count("not in the paper") == 6


def test_verdicts_judge_them_too(own):
    lines = verdict_lines(own, "laptop")
    assert len(lines) == 15 + 8
    twice = [line for line in lines if line[1].startswith("GN-S (1.0x) from ResNet56,")]
    assert [line[1][-5:] for line in twice] == ["T = 1", "T = 4"]
    assert all(line[2:4] == ["not in the paper", "–"] and line[6] == "3" for line in twice)
    caption = report.verdicts_table(own, "laptop").caption
    assert "0 of 15 lines of the paper run, 2 of 8 with published teachers; not in the paper" in caption


# --- what there is -----------------------------------------------------------------------------------


def test_summary_counts_rows_and_seeds_of_what_may_be_shown(every_row, empty, small, own):
    laptop = PROFILES["laptop"].label
    assert summary(empty) == f"{laptop}; recipe 'paper': 0 of 30 table rows run, 0 of 7 with published teachers"
    full, other = summary(every_row).splitlines()
    assert full.endswith("30 of 30 table rows run, 0 of 7 with published teachers, 3 seeds")
    assert other.startswith(laptop) and other.endswith(
        "30 of 30 table rows run, 0 of 7 with published teachers, 1 seed"
    )
    assert "4 of 30" in summary(small)
    plain, softened = summary(own).splitlines()
    assert plain.endswith("1 of 30 table rows run, 1 of 7 with published teachers, 3 seeds")
    assert softened.endswith("recipe 'repaired': 0 of 15 table rows run, 1 of 7 with published teachers, 3 seeds")


def test_the_control_is_counted_with_its_own_rows(tmp_path):
    fake_store(tmp_path, {"gn-d": {0: 77.5}}, recipe="unshuffled", profile=PROFILES["full"])
    words = summary(store.load_results(tmp_path))
    assert "recipe 'unshuffled': 1 of 5 table rows run, 1 seed" in words


def test_quick_is_no_evidence(tmp_path, every_row, own):
    fake_store(tmp_path, {"gn-d": {0: 25.0}, "gn-d<ta": {0: 24.0}})
    fake_store(tmp_path, {"gn-d<ta": {0: 24.0}}, recipe="as_run")
    quick = store.load_results(tmp_path)
    assert report.available(quick) == [("laptop", "paper")] and report.available_profiles(quick) == ["laptop"]
    assert report.available_profiles(quick, "as_run") == [] and "quick" not in summary(quick)
    assert report.available_profiles(every_row) == ["full", "laptop"]
    assert "quick" not in summary(every_row)
    assert report.available(own) == [("laptop", "paper")], "our own rows stand in the paper's tables at every T"


def test_what_is_available_is_in_order_and_paper_comes_first(every_row, tmp_path):
    assert report.available(every_row) == report.available(every_row, 1) == [("full", "paper"), ("laptop", "paper")]
    laptop, full = PROFILES["laptop"], PROFILES["full"]
    fake_store(tmp_path, {"gn-d": {0: 25.0}, "resnet18": {0: 30.0}}, profile=laptop)
    fake_store(tmp_path, {"gn-d": {0: 60.0}}, profile=full)
    fake_store(tmp_path, {"gn-d<ta": {0: 59.0}}, profile=full, recipe="repaired")
    fake_store(
        tmp_path, {"gn-d<ta": {0: 24.0}, "gn-s-2.8x<efficientnetv2_s": {0: 20.0}}, profile=laptop, recipe="as_run"
    )
    fake_store(tmp_path, {"gn-d": {0: 22.0}}, profile=laptop, recipe="unshuffled")  # a control is no set of its own
    frame = store.load_results(tmp_path)
    ours = [("full", "paper"), ("laptop", "paper")]
    repeated, repaired = ("laptop", "as_run"), ("full", "repaired")
    assert report.available(frame) == [*ours, repeated, repaired]
    # Table I is the same in all; of Tables II to IV there is another one where a row was trained otherwise.
    tables = {n: report.available(frame, n) for n in report.TITLES}
    assert tables == {1: ours, 2: [*ours, repeated], 3: [*ours, repeated, repaired], 4: ours}
    for n, sets in tables.items():
        captions = [report.show_table(n, frame, *each).caption for each in sets]
        assert all(f"{name} profile" in words for (name, _), words in zip(sets, captions, strict=True))
        assert all(f"recipe {recipe!r}" in words for (_, recipe), words in zip(sets, captions, strict=True))
