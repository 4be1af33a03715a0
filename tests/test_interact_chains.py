"""The chain slider: every chain draws picture, words and alt text of its own; its numbers are those of data/toy."""

import html
import io
import itertools
import re
import statistics
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from classroom import sliders
from classroom.sliders import chains
from course_lib import look
from course_lib.errors import DataError
from course_lib.files import repo_path

LIMIT_MS = 500  # of processor time for a redraw; loose, for slow machines


@pytest.fixture(scope="module")
def box():
    return sliders.chain_explorer()


def part(box, name):
    (found,) = [widget for widget in box.children if f"course-{name}" in widget._dom_classes]
    return found


def seen(box) -> tuple[str, str, str]:
    tag = part(box, "image").value
    alt = html.unescape(re.search('alt="([^"]*)"', tag).group(1))
    return re.search('base64,([^"]*)"', tag).group(1), alt, html.unescape(part(box, "text").value)


def set_chain(box, middle) -> None:
    for size in chains.ASSISTANTS:
        part(box, f"assistant-{size}").value = size in middle


def test_every_chain_draws_a_picture_words_and_alt_text_of_its_own_and_fast(box):
    shown, milliseconds = {}, []
    for points in chains.POINTS:
        part(box, "points").value = points
        for length in range(5):
            for middle in itertools.combinations(chains.ASSISTANTS, length):
                set_chain(box, middle)
                shown[points, middle] = seen(box)
    assert len(shown) == 48
    for what in zip(*shown.values(), strict=True):
        assert len(set(what)) == 48
    for value in (True, False) * 5:
        begin = time.process_time()
        part(box, "assistant-8").value = not value
        milliseconds.append(1000 * (time.process_time() - begin))
    print(f"\nchain: median {statistics.median(milliseconds):.0f} ms of processor time")
    assert statistics.median(milliseconds) < LIMIT_MS
    set_chain(box, (32,))
    part(box, "points").value = 100
    assert seen(box) == shown[100, (32,)]


def test_words_tell_the_numbers_of_the_store(box):
    set_chain(box, (32,))
    part(box, "points").value = 100
    words = seen(box)[2]
    rows = pd.read_csv(repo_path("data", "toy", "chains.csv")).query("points == 100").set_index("chain")
    student, direct = (rows.loc[name].set_index("seed")["accuracy"] for name in ("128-32-6", "128-6"))
    gain = student - direct
    error = 2 * gain.std(ddof=1) / len(gain) ** 0.5
    assert f"right at {student.mean():.1f} %" in words
    assert f"{gain.mean():+.2f} ± {error:.2f} points against direct" in words
    assert f"32 units {rows.loc['128-32', 'kl'].mean():.3f}, 6 units {rows.loc['128-32-6', 'kl'].mean():.3f}" in words
    assert f"agrees with the teacher at {rows.loc['128-32-6', 'agreement'].mean():.1f} %" in words
    assert f"without a teacher at {rows.loc['alone', 'accuracy'].mean():.1f} %" in words
    set_chain(box, ())
    assert "taught directly" in seen(box)[2]


def test_the_store_holds_every_chain_with_twenty_seeds():
    frame = sliders.chain_results()
    students = {chains.chain_name(chain) for chain in chains.ALL_CHAINS}
    assert len(students) == 16
    for _, rows in frame.groupby("points"):
        assert students | {"alone", "128"} <= set(rows["chain"])
        assert (rows.groupby("chain")["seed"].nunique() == 20).all()
    linked = frame[frame["chain"].str.contains("-")]
    assert linked["step_kl"].notna().all() and (linked["kl"] > 0).all()
    assert frame.loc[frame["chain"] == "128", "agreement"].eq(100).all()


def test_the_disagreements_of_a_chain_add_up_at_most():
    at = sliders.chain_results().set_index(["points", "chain", "seed"]).sort_index()
    for points in chains.POINTS:
        for chain in chains.ALL_CHAINS:
            names = [chains.chain_name(chain[: end + 1]) for end in range(1, len(chain))]
            steps = sum(100 - at.loc[(points, name), "step_agreement"] for name in names)
            assert (100 - at.loc[(points, names[-1]), "agreement"] <= steps + 1e-6).all()


def test_slider_and_still_figure_are_one_drawing(box):
    set_chain(box, (64, 8))
    part(box, "points").value = 30
    figure = sliders.chain_figure((64, 8), 30)
    assert look.alt_text(figure) == seen(box)[1]
    file = io.BytesIO()
    figure.savefig(file, format="png")
    still = np.asarray(Image.open(file).convert("RGB"))
    assert still.shape == (620, 1000, 3)


def test_maps_are_white_outside_of_the_disc_and_pure_where_certain():
    answer = np.zeros((chains.GRID, chains.GRID, 3))
    answer[..., 1] = 1
    colours = chains.colours_of(answer)
    assert (colours[0, 0] == 1).all()
    np.testing.assert_allclose(colours[chains.GRID // 2, chains.GRID // 2], chains.CLASS_COLOURS[1])


def test_what_is_not_there_is_refused_in_one_line():
    with pytest.raises(ValueError, match="^there is no assistant with 7 hidden units[^\n]*$"):
        sliders.chain_figure((7,))
    with pytest.raises(ValueError, match="^no chain was trained on 50 points[^\n]*$"):
        sliders.chain_explorer((32,), 50)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n"])
def test_damaged_results_are_refused_in_one_line(content, tmp_path):
    broken = tmp_path / "chains.csv"
    broken.write_bytes(content)
    with pytest.raises(DataError, match=r"^[^\n]*chains\.csv is damaged[^\n]*$"):
        sliders.chain_results(broken)
    (tmp_path / "maps.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"^[^\n]*maps\.npz is damaged[^\n]*$"):
        chains._stored_maps(tmp_path / "maps.npz")
