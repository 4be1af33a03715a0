"""The schedule slider: its expected losses against chance drawn many times, and what it shows at every position."""

import re
import statistics
import time

import numpy as np
import pytest
import torch

from classroom.sliders import expected_losses, schedule, schedule_explorer, schedule_figure, shrinking
from course_lib import look
from course_lib.training.recipe import Recipe, learning_rate

LIMIT_MS = 500  # of processor time for a redraw; loose, for slow machines


def test_expected_losses_are_the_mean_of_many_noisy_descents():
    rates, draws, random = np.linspace(0.005, 0.02, 30), 4_000, np.random.default_rng(0)
    h = schedule.CURVATURES
    x, v = np.tile(1 / np.sqrt(h), (draws, 1)), np.zeros((draws, len(h)))
    for rate in rates:
        g = h * x + random.normal(0, schedule.NOISE, x.shape)
        v = 0.9 * v + g
        x = x - rate * (g + 0.9 * v)
    losses = 0.5 * x**2 @ h
    error = losses.std() / np.sqrt(draws)
    assert abs(losses.mean() - expected_losses(rates)[-1]) < 4 * error


def test_without_noise_it_is_torchs_nesterov(monkeypatch):
    monkeypatch.setattr(schedule, "NOISE", 0.0)
    h = torch.tensor(schedule.CURVATURES)
    x = (1 / h.sqrt()).requires_grad_()
    optimizer = torch.optim.SGD([x], lr=0.01, momentum=0.9, nesterov=True)
    expected = expected_losses(np.full(20, 0.01))
    for step in range(21):
        loss = (0.5 * h * x**2).sum()
        assert loss.item() == pytest.approx(expected[step])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def test_several_schedules_at_once_are_each_alone():
    both = np.stack([np.full(10, 0.01), np.linspace(0, 0.02, 10)])
    np.testing.assert_allclose(expected_losses(both)[1], expected_losses(both[1]))


def test_shrinking_is_about_what_decay_alone_leaves():
    recipe, steps = Recipe(lr=0.02, warmup=0.3), 5_000
    w, v = 1.0, 0.0
    for step in range(steps):
        rate, g = learning_rate(step, steps, recipe), 0.01 * w
        v = 0.9 * v + g
        w -= rate * (g + 0.9 * v)
    assert w == pytest.approx(shrinking(0.02, steps=steps), rel=0.1)


@pytest.mark.parametrize(("warmup", "peak"), [(0.0, 0.001), (0.3, 0.01), (0.9, 0.05)])
def test_the_figure_says_what_it_shows(warmup, peak):
    words = look.alt_text(schedule_figure(warmup, peak))
    assert f"{100 * warmup:.0f} % of 400 steps" in words and f"{peak:.4f}" in words
    assert ("diverges" in words) == (peak == 0.05)


@pytest.mark.parametrize("setting", [{"warmup": 1.2}, {"warmup": -0.1}, {"peak": 0.5}, {"peak": 0}])
def test_impossible_positions_are_refused_in_one_line(setting):
    with pytest.raises(ValueError, match=r"^(warmup|peak)=.*no position of the slider[^\n]*$"):
        schedule_explorer(**setting)
    with pytest.raises(ValueError):
        schedule_figure(**{"warmup": 1.2} if "warmup" in setting else {"peak": -1})


def test_a_move_redraws_picture_alt_text_and_words_and_fast():
    box = schedule_explorer()
    warmup, peak, image, words = box.children
    times = []
    for slider, value in ((warmup, 0.0), (warmup, 0.6), (peak, 0.03), (peak, 0.002)):
        before = image.value, words.value
        started = time.process_time()
        slider.value = value
        times.append(1000 * (time.process_time() - started))
        assert image.value != before[0] and words.value != before[1]
        assert re.search(r'alt="A learning-rate schedule', image.value) and "Warm-up over" in words.value
    assert statistics.median(times) < LIMIT_MS
