"""Eq. 1 by hand: softened probabilities, entropy, KL, the loss's terms and pulls, against torch and scipy."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.special import softmax
from scipy.stats import entropy

from classroom import sliders
from classroom.sliders import entropy_bits, kl_divergence, loss_terms, softened, surface
from course_lib.training.losses import distillation_loss

TEACHER, STUDENT = np.random.default_rng(0).normal(0, 3, (2, 50, 10))


@pytest.mark.parametrize("temperature", [0.5, 1, 4, 20, 1000])
def test_probabilities_entropy_and_kl_agree_with_scipy(temperature):
    p, q = softened(TEACHER, temperature), softened(STUDENT, temperature)
    np.testing.assert_allclose(p, softmax(TEACHER / temperature, axis=1), atol=1e-14)
    np.testing.assert_allclose(entropy_bits(p), entropy(p, base=2, axis=1), atol=1e-12)
    np.testing.assert_allclose(kl_divergence(TEACHER, STUDENT, temperature), entropy(p, q, axis=1), atol=1e-12)


def test_extreme_temperatures_and_logits_stay_finite():
    np.testing.assert_allclose(softened(TEACHER, 1e9), 0.1, atol=1e-6)
    np.testing.assert_array_equal(softened(TEACHER, 1e-4).argmax(axis=1), TEACHER.argmax(axis=1))
    assert softened(np.array([1e5, 0.0, -1e5]), 0.5).tolist() == [1.0, 0.0, 0.0]
    assert kl_divergence(np.array([2000.0, 0.0]), np.array([0.0, 2000.0]), 1) == pytest.approx(2000)


def test_entropy_and_kl_at_their_ends():
    assert entropy_bits([0, 1, 0, 0]) == 0
    assert entropy_bits(np.full(10, 0.1)) == pytest.approx(np.log2(10))
    np.testing.assert_array_equal(kl_divergence(TEACHER, TEACHER, 4), 0)
    assert not np.allclose(kl_divergence(STUDENT, TEACHER, 4), kl_divergence(TEACHER, STUDENT, 4)), "teacher first"


@pytest.mark.parametrize("wrong", [TEACHER, 100 * softened(TEACHER, 1), [[0.5, np.nan]], [[0.5, 0.2]], []])
def test_the_entropy_of_no_probabilities_is_refused_in_one_line(wrong):
    with pytest.raises(ValueError, match=r"^[^\n]*(probabilities|percentages)[^\n]*$"):
        entropy_bits(wrong)


def autograd(row: int, temperature: float, alpha: float, label: int) -> tuple[list[float], np.ndarray]:
    """Terms and gradient of the loss that training minimises."""
    student = torch.tensor(STUDENT[row][None], requires_grad=True)
    terms = distillation_loss(student, torch.tensor(TEACHER[row][None]), torch.tensor([label]), temperature, alpha)
    return [term.item() for term in terms], torch.autograd.grad(terms.total, student)[0][0].numpy()


@pytest.mark.parametrize(("temperature", "alpha"), [(1, 0.5), (4, 0.1), (0.5, 0), (20, 1)])
def test_terms_and_pulls_are_those_that_training_minimises(temperature, alpha):
    for row in range(5):
        trained, gradient = autograd(row, temperature, alpha, row)
        ours = loss_terms(TEACHER[row], STUDENT[row], row, temperature, alpha)
        assert tuple(ours) == pytest.approx(trained)
        assert ours.hard == pytest.approx(F.cross_entropy(torch.tensor(STUDENT[row]), torch.tensor(row)).item())
        hard, soft = sliders.gradient_terms(TEACHER[row], STUDENT[row], row, temperature)
        np.testing.assert_allclose(alpha * hard + (1 - alpha) * soft, gradient, atol=1e-9)


def test_the_soft_gradient_becomes_that_of_copying_logits():
    _, soft = sliders.gradient_terms(TEACHER[0], STUDENT[0], 0, 1e5)
    difference = STUDENT[0] - TEACHER[0]
    np.testing.assert_allclose(soft, (difference - difference.mean()) / 10, atol=1e-4)


def test_the_surface_holds_the_size_of_eq_1s_gradient():
    sizes = sliders.gradient_surface(TEACHER[0], STUDENT[0], 3)
    assert sizes.shape == (len(surface.ALPHAS), len(surface.TEMPERATURES))
    for row, column in ((0, 0), (-1, 0), (20, 50), (0, -1)):
        _, gradient = autograd(0, surface.TEMPERATURES[column], surface.ALPHAS[row], 3)
        assert sizes[row, column] == pytest.approx(np.linalg.norm(gradient))


@pytest.mark.parametrize("temperature", [0, -1, float("nan"), float("inf"), "4"])
def test_impossible_temperatures_are_refused_in_one_line(temperature):
    for refuse in (
        lambda: softened(TEACHER, temperature),
        lambda: kl_divergence(TEACHER, STUDENT, temperature),
        lambda: loss_terms(TEACHER[0], STUDENT[0], 0, temperature, 0.5),
    ):
        with pytest.raises(ValueError, match="^temperature must be a number above 0[^\n]*$"):
            refuse()


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_alpha_outside_0_to_1_is_refused_in_one_line(alpha):
    with pytest.raises(ValueError, match="^alpha must lie between 0[^\n]*$"):
        loss_terms(TEACHER[0], STUDENT[0], 0, 4, alpha)


@pytest.mark.parametrize(
    ("size", "end"), [(0.0, 0.001), (0.003, 0.005), (0.09, 0.1), (0.21, 0.5), (1.01, 2), (20, 20), (1e9, 1e9)]
)
def test_the_pulls_axis_ends_at_a_round_number_above_them(size, end):
    assert surface._round_above(size) == pytest.approx(end)
