"""The problem in the plane: its truth, its points, its stacks of networks, and how they are taught."""

import math

import pytest
import torch
import torch.nn.functional as F

from classroom import toy
from course_lib.training.losses import distillation_loss


def test_points_lie_in_the_disc_and_follow_their_seed():
    points = toy.draw_points(5_000, seed=3)
    assert points.x.shape == (5_000, 2) and points.labels.shape == (5_000,)
    assert (points.x.norm(dim=1) <= 1).all()
    assert (points.x.norm(dim=1) < 0.5).double().mean() == pytest.approx(0.25, abs=0.03)  # even over the area
    again, other = toy.draw_points(5_000, seed=3), toy.draw_points(5_000, seed=4)
    assert torch.equal(points.x, again.x) and torch.equal(points.labels, again.labels)
    assert not torch.equal(points.x, other.x)


def test_labels_follow_the_truth():
    points = toy.draw_points(20_000, seed=0)
    p = toy.true_logits(points.x).softmax(dim=1)
    drawn = F.one_hot(points.labels, 3).float()
    assert torch.allclose(drawn.mean(dim=0), p.mean(dim=0), atol=0.01)
    sure = p.max(dim=1).values > 0.9
    right = p.argmax(dim=1) == points.labels
    assert right[sure].double().mean() == pytest.approx(p.max(dim=1).values[sure].mean().item(), abs=0.01)


def test_the_truth_at_a_place():
    logits = toy.true_logits(torch.tensor([0.0, 1.0]))
    angle = math.pi / 2 - toy.TWIST
    assert logits.tolist() == pytest.approx([4 * math.cos(angle - 2 * math.pi * k / 3) for k in range(3)], abs=1e-5)


def test_a_network_of_a_stack_does_not_depend_on_its_neighbours():
    one, three = toy.Stack(5, seeds=1), toy.Stack(5, seeds=3)
    x = toy.draw_points(10, seed=0).x
    assert three(x).shape == (3, 10, 3)
    assert torch.allclose(one(x)[0], three(x)[0], atol=1e-6)
    w1, b1, w2, b2 = (weight[2] for weight in three.weights)
    assert torch.allclose(three(x)[2], torch.relu(x @ w1 + b1) @ w2 + b2, atol=1e-6)


@pytest.mark.parametrize(("hidden", "seeds"), [(0, 1), (4, 0)])
def test_an_impossible_stack_is_refused(hidden, seeds):
    with pytest.raises(ValueError, match="must be at least 1"):
        toy.Stack(hidden, seeds)


def test_teaching_lowers_the_loss_and_leaves_the_teacher_alone():
    points = toy.training_points(40, seeds=2)
    teacher = toy.teach(16, points, steps=60)
    before = [weight.clone() for weight in teacher.weights]
    student = toy.teach(6, points, teacher, steps=60)
    assert all(torch.equal(old, new) for old, new in zip(before, teacher.weights, strict=True))
    assert all(weight.grad is None for weight in teacher.weights)
    fresh = toy.scores(toy.Stack(6, seeds=2), toy.Points(points.x, points.labels), teacher)
    assert (toy.scores(student, points, teacher).kl < fresh.kl).all()
    assert toy.scores(teacher, points).accuracy.min() > 50


def test_scores_by_hand():
    points = toy.draw_points(50, seed=1)
    network, other = toy.Stack(4, seeds=2), toy.Stack(9, seeds=2)
    found = toy.scores(network, points, other)
    mine, theirs = network(points.x)[1], other(points.x)[1]
    assert found.accuracy[1] == pytest.approx(100 * (mine.argmax(1) == points.labels).double().mean().item())
    assert found.agreement[1] == pytest.approx(100 * (mine.argmax(1) == theirs.argmax(1)).double().mean().item())
    kl = distillation_loss(mine, theirs, points.labels, 1.0, 0.0).total.item()
    assert found.kl[1].item() == pytest.approx(kl, rel=1e-4)
    assert toy.scores(network, points).kl.isnan().all()
    assert toy.scores(network, points, network).agreement.tolist() == [100, 100]
