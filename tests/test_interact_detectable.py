"""The slider over seeds and test images: its formula against scipy and a simulation, its words and pictures."""

import re
import statistics
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy.stats import norm

from classroom import sliders
from classroom.sliders import detectable_difference, difference_variance
from course_lib import look, report

LIMIT_MS = 500  # of processor time for a redraw; loose, for slow machines


def part(box, name):
    """The slider with the class ``course-<name>``."""
    (found,) = [child for child in box.children if f"course-{name}" in child._dom_classes]
    return found


def seen(box) -> tuple[str, str, str]:
    """Image, alt text and text line."""
    image, words = box.children[-2].value, box.children[-1].value
    return image, re.search(r'alt="([^"]*)"', image)[1], re.sub(r"<[^>]*>", "", words)


@pytest.fixture(scope="module")
def box():
    return sliders.detectable_explorer()


def test_one_perfectly_steady_seed_leaves_the_test_images():
    z = norm.ppf(0.975) + norm.ppf(0.8)
    assert detectable_difference(1, 10_000, 0.0, 0.08) == pytest.approx(z * 100 * np.sqrt(0.08 / 10_000))
    assert difference_variance(1, 10_000, 0.0) == (0.0, pytest.approx(0.08))


def test_endless_images_leave_the_formula_for_seeds():
    assert detectable_difference(7, 10_000, 0.2, 0) == pytest.approx(2.801585 * np.sqrt(2 * 0.2**2 / 7), rel=1e-5)


def test_more_seeds_more_images_less_spread_and_less_power_find_smaller_differences():
    base = detectable_difference(4, 10_000, 0.2)
    assert detectable_difference(8, 10_000, 0.2) == pytest.approx(base / np.sqrt(2))
    for smaller in (
        detectable_difference(4, 20_000, 0.2),
        detectable_difference(4, 10_000, 0.1),
        detectable_difference(4, 10_000, 0.2, power=0.5),
        detectable_difference(4, 10_000, 0.2, level=0.1),
    ):
        assert smaller < base


def test_the_variance_is_that_of_simulated_trainings():
    rng = np.random.default_rng(0)
    seeds, images, spread, studies = 3, 400, 2.0, 4_000
    ease = np.where(np.arange(images) < images // 2, 0.98, 0.8)  # on some images a network is right by chance
    disagreement = (2 * ease * (1 - ease)).mean()
    means = np.zeros((2, studies))
    for method in range(2):
        for _ in range(seeds):
            luck = rng.normal(0, spread / 100, (studies, 1))  # what a seed does to every image alike
            right = rng.random((studies, images)) < np.clip(ease + luck, 0, 1)
            means[method] += 100 * right.mean(axis=1) / seeds
    variance = np.var(means[0] - means[1])
    assert sum(difference_variance(seeds, images, spread, disagreement)) == pytest.approx(variance, rel=0.1)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((0, 10_000, 0.1), "at least one of each"),
        ((1, 0, 0.1), "at least one of each"),
        ((1, 10_000, -0.1), "must not be negative"),
        ((1, 10_000, 0.1, 1.2), "between 0 and 1"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(arguments, complaint):
    with pytest.raises(ValueError, match=rf"^[^\n]*{complaint}[^\n]*$"):
        detectable_difference(*arguments)


@pytest.mark.parametrize("change", [{"power": 1.0}, {"level": 0}])
def test_power_and_level_are_probabilities(change):
    with pytest.raises(ValueError, match="power .* and level"):
        detectable_difference(1, 100, 0.1, **change)


@pytest.mark.parametrize("change", [{"seeds": 0}, {"seeds": 31}, {"images": 1234}, {"spread": 0.6}])
def test_the_explorer_refuses_positions_that_its_sliders_lack(change):
    with pytest.raises(ValueError, match="no position of the sliders"):
        sliders.detectable_explorer(**change)


@pytest.mark.parametrize(("name", "other"), [("seeds", 9), ("images", 50_000), ("spread", 0.3)])
def test_each_slider_moves_picture_words_and_alt_text_and_back(box, name, other):
    before, slider = seen(box), part(box, name)
    start = slider.value
    slider.value = other
    after = seen(box)
    assert all(one != two for one, two in zip(before, after, strict=True))
    slider.value = start
    assert seen(box) == before


def test_words_give_the_numbers_of_the_formula(box):
    words = seen(box)[2]
    assert f"difference of {detectable_difference(1, 10_000, 0.1):.2f} points" in words
    deltas = np.concatenate([report.paper_table(n)["delta"] for n in (2, 3, 4)])
    larger = (np.abs(deltas) >= detectable_difference(1, 10_000, 0.1)).sum()
    assert words.endswith(f"of the paper&#x27;s 15 deltas: {larger}.") or words.endswith(f"15 deltas: {larger}.")


def test_ends_of_the_sliders_can_be_drawn_without_a_warning(recwarn):
    for seeds in (1, 30):
        for images in (500, 100_000):
            for spread in (0.0, 0.5):
                alt = look.alt_text(sliders.detectable_figure(seeds, images, spread))
                assert f"{images:,} test images" in alt
    assert not recwarn.list


def test_a_redraw_is_fast(box):
    slider, times = part(box, "seeds"), []
    for seeds in range(2, 12):
        started = time.process_time()
        slider.value = seeds
        times.append(1000 * (time.process_time() - started))
    slider.value = 1
    assert statistics.median(times) < LIMIT_MS


def test_drawing_needs_no_ipywidgets():
    code = (
        "import sys; from course_lib import interact; sliders.detectable_figure(); "
        "print([name for name in ('ipywidgets', 'IPython', 'matplotlib.pyplot', 'scipy') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
