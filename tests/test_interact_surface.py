"""The surface slider: its gradients against autograd, every position, and the same drawing standing still."""

import html
import re
import statistics
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from classroom import sliders
from classroom.sliders import surface
from course_lib import look
from course_lib.data import CLASSES, load_dataset, sample_test_rows
from course_lib.study.store import load_logits
from course_lib.training.losses import distillation_loss

LIMIT_MS = 500  # of processor time for a redraw; loose, for slow machines. The promise is 100

TEACHER, STUDENT = np.random.default_rng(0).normal(0, 3, (2, 10))


@pytest.fixture(scope="module")
def parts():
    """The shipped networks' logits, and the sample's images."""
    return {
        "teacher": load_logits("resnet18"),
        "student": load_logits("gn-s-1.0x"),
        "images": load_dataset("cifar10", "sample").test.images,
        "classes": CLASSES,
        "rows": sample_test_rows(),
    }


@pytest.fixture(scope="module")
def box(parts):
    return sliders.surface_explorer(**parts)


def part(box, name):
    (found,) = [widget for widget in box.children if f"course-{name}" in widget._dom_classes]
    return found


def seen(box) -> tuple[str, str, str]:
    """Picture, alt text and words as the page has them."""
    tag = part(box, "image").value
    alt = html.unescape(re.search('alt="([^"]*)"', tag).group(1))
    return re.search('base64,([^"]*)"', tag).group(1), alt, html.unescape(part(box, "text").value)


def autograd(temperature: float, alpha: float, label: int) -> tuple[float, np.ndarray]:
    student = torch.tensor(STUDENT[None], requires_grad=True)
    terms = distillation_loss(student, torch.tensor(TEACHER[None]), torch.tensor([label]), temperature, alpha)
    return terms.total.item(), torch.autograd.grad(terms.total, student)[0][0].numpy()


@pytest.mark.parametrize("temperature", [0.5, 1, 4, 20])
@pytest.mark.parametrize("label", [0, 7])
def test_gradient_terms_are_those_of_training(temperature, label):
    hard, soft = sliders.gradient_terms(TEACHER, STUDENT, label, temperature)
    for alpha in (0.0, 0.3, 1.0):
        np.testing.assert_allclose(alpha * hard + (1 - alpha) * soft, autograd(temperature, alpha, label)[1], atol=1e-9)


def test_the_soft_gradient_becomes_that_of_copying_logits():
    _, soft = sliders.gradient_terms(TEACHER, STUDENT, 0, 1e5)
    difference = STUDENT - TEACHER
    np.testing.assert_allclose(soft, (difference - difference.mean()) / 10, atol=1e-4)


def test_the_surfaces_hold_eq_1_and_its_gradients_size():
    losses, sizes = sliders.loss_surface(TEACHER, STUDENT, 3)
    assert losses.shape == sizes.shape == (len(surface.ALPHAS), len(surface.TEMPERATURES))
    for row, column in ((0, 0), (-1, 0), (20, 50), (0, -1)):
        total, gradient = autograd(surface.TEMPERATURES[column], surface.ALPHAS[row], 3)
        assert losses[row, column] == pytest.approx(total)
        assert sizes[row, column] == pytest.approx(np.linalg.norm(gradient))


@pytest.mark.parametrize("hook", ["temperature", "alpha", "picture"])
def test_every_position_draws_a_picture_words_and_alt_text_of_its_own(box, hook):
    slider = part(box, f"surface-{hook}")
    start, shown, milliseconds = slider.value, {}, []
    slider.value = slider.max
    for position in np.round(np.arange(slider.min, slider.max + slider.step / 2, slider.step), 10).tolist():
        begin = time.process_time()  # of this process: other jobs on the machine do not count
        slider.value = int(position) if hook == "picture" else position
        milliseconds.append(1000 * (time.process_time() - begin))
        shown[position] = seen(box)
    slider.value = start
    print(f"\n{hook}: median {statistics.median(milliseconds):.0f} ms, slowest {max(milliseconds):.0f}")
    for what in zip(*shown.values(), strict=True):
        assert len(set(what)) == len(shown)
    assert statistics.median(milliseconds) < LIMIT_MS


def test_a_way_back_shows_what_was_shown_before(box):
    before = seen(box)
    for hook, value in (("picture", 3), ("temperature", 12)):
        slider = part(box, f"surface-{hook}")
        start, slider.value = slider.value, value
        assert seen(box) != before
        slider.value = start
    assert seen(box) == before


def test_slider_and_still_figure_say_the_same(box, parts):
    assert look.alt_text(sliders.surface_figure(**parts)) == seen(box)[1]
    assert 'aria-live="polite"' in part(box, "text").value


def test_words_give_eq_1_the_gradient_and_its_parts(parts):
    words = look.alt_text(sliders.surface_figure(**parts, temperature=2.0, alpha=0.25, picture=30))
    row = int(re.search(r"test image (\d+) ", words).group(1))
    label = parts["teacher"].labels[row]
    v, z = (parts[role].logits[row].double() for role in ("teacher", "student"))
    hard = 0.25 * (z.softmax(0) - F.one_hot(label, 10))
    soft = 0.75 * 2 * ((z / 2).softmax(0) - (v / 2).softmax(0))
    total = distillation_loss(z[None], v[None], label[None], 2.0, 0.25).total
    assert f"Eq. 1 gives {total:.2f} (" in words
    assert f"gradient has size {(hard + soft).norm():.2f} (" in words
    assert f"the label's part {hard.norm():.2f}, the teacher's part {soft.norm():.2f}" in words
    assert f"cosine between the two {F.cosine_similarity(hard, soft, dim=0):+.2f}" in words
    assert f"Pulled up most: {CLASSES[(hard + soft).argmin()]}" in words


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"temperature": 0}, "temperature must be a number above 0"),
        ({"alpha": 1.5}, "alpha must lie between 0"),
        ({"picture": 40}, "there is no picture 40: choose 0 to 39"),
        ({"classes": CLASSES[:9]}, "logits of 10 classes do not fit 9 class names"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(change, complaint, parts):
    with pytest.raises(ValueError, match=rf"^[^\n]*{complaint}[^\n]*$"):
        sliders.surface_figure(**(parts | change))


@pytest.mark.parametrize("change", [{"temperature": 0.1}, {"temperature": 30}, {"alpha": -0.1}, {"picture": -1}])
def test_the_explorer_refuses_positions_that_its_sliders_lack(change, parts):
    with pytest.raises(ValueError):
        sliders.surface_explorer(**(parts | change))


@pytest.mark.parametrize(("size", "end"), [(0.0, 0.01), (0.09, 0.1), (0.21, 0.5), (1.01, 2), (20, 20), (1e9, 1e9)])
def test_the_pulls_axis_ends_at_a_round_number_above_them(size, end):
    assert surface._round_above(size) == pytest.approx(end)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 8.0, 20.0])
def test_the_pulls_fill_their_axis_at_every_temperature(temperature, parts):
    panel = surface._SurfacePicture(surface.choose(**parts))
    panel.draw(temperature, 0.5, panel.middle)
    longest = np.abs(panel.total.get_xdata()).max()
    longest = max(longest, *(abs(x) for bars in (panel.hard, panel.soft) for x in np.ravel(bars.get_segments())[2::4]))
    assert 0.39 < longest <= 1
