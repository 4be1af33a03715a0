"""The checkers of lesson 05: the right answer, the stub, and typical wrong answers with their words."""

import math

import torch
import torch.nn.functional as F

from classroom.checks import ensembles

# --- right answers --------------------------------------------------------------------------------


def soft_target(members, temperature):
    return F.softmax(torch.stack(members).mean(dim=0) / temperature, dim=1)


def jensen_gap(members, labels):
    losses = torch.stack([F.cross_entropy(z, labels) for z in members])
    p = torch.stack([F.softmax(z, dim=1) for z in members]).mean(dim=0)
    return (losses.mean() - F.nll_loss(p.log(), labels)).item()


def entropy_bits(p):
    return -(p * p.log2()).sum(dim=-1).mean()


def disagreement_in_bits(members):
    p = torch.stack([F.softmax(z, dim=1) for z in members])
    return entropy_bits(p.mean(dim=0)) - entropy_bits(p)


def q_statistic(a, b):
    same = (a & b).sum() * (~a & ~b).sum()
    other = (a & ~b).sum() * (~a & b).sum()
    return (same - other) / (same + other)


def mean_of_teachers(teachers, images):
    return sum(teacher(images) for teacher in teachers) / len(teachers)


def teachers_answer(models, images):
    with torch.no_grad():
        return torch.stack([model.eval()(images) for model in models]).mean(dim=0)


def one_view(student, teachers, images, augment):
    batch = augment(images)
    return student(batch), torch.stack([teacher(batch) for teacher in teachers]).mean(dim=0)


RIGHT = {
    ensembles.check_soft_target: soft_target,
    ensembles.check_jensen_gap: jensen_gap,
    ensembles.check_disagreement_in_bits: disagreement_in_bits,
    ensembles.check_q_statistic: q_statistic,
    ensembles.check_mean_of_teachers: mean_of_teachers,
    ensembles.check_teachers_answer: teachers_answer,
    ensembles.check_one_view: one_view,
}


# --- wrong answers --------------------------------------------------------------------------------


def stacked_softmax(members, temperature=1.0):
    return F.softmax(torch.stack(members) / temperature, dim=2)


def first_in_eval(models, images):
    models[0].eval()
    with torch.no_grad():
        return torch.stack([model(images) for model in models]).mean(dim=0)


def own_views(student, teachers, images, augment):
    return student(augment(images)), torch.stack([teacher(augment(images)) for teacher in teachers]).mean(dim=0)


def views_of_teachers(student, teachers, images, augment):
    mine, theirs = augment(images), augment(images)
    return student(mine), torch.stack([teacher(theirs) for teacher in teachers]).mean(dim=0)


def sum_of_teachers(student, teachers, images, augment):
    z, mean = one_view(student, teachers, images, augment)
    return z, len(teachers) * mean


def mean_of_probabilities(student, teachers, images, augment):
    batch = augment(images)
    return student(batch), torch.stack([teacher(batch).softmax(dim=1) for teacher in teachers]).mean(dim=0)


WRONG = [
    (ensembles.check_soft_target, lambda m, t: F.softmax(sum(m) / t, dim=1), "summed the logits"),
    (ensembles.check_soft_target, lambda m, t: F.softmax(sum(m) / 3 / t, dim=1), "you divide by 3"),
    (
        ensembles.check_jensen_gap,
        lambda m, y: jensen_gap(m, y) + sum(F.cross_entropy(z, y) for z in m) * (1 / 3 - 1 / len(m)),
        "you divide by 3",
    ),
    (
        ensembles.check_disagreement_in_bits,
        lambda m: entropy_bits(stacked_softmax(m).sum(dim=0) / 3) - entropy_bits(stacked_softmax(m)) * len(m) / 3,
        "you divide by 3",
    ),
    (ensembles.check_one_view, torch.no_grad()(one_view), "cannot learn"),
    (ensembles.check_one_view, sum_of_teachers, "are added up"),
    (ensembles.check_one_view, mean_of_probabilities, "mean of probabilities"),
    (ensembles.check_soft_target, lambda m, t: stacked_softmax(m, t).mean(dim=0), "the other ensemble"),
    (ensembles.check_soft_target, lambda m, t: stacked_softmax(m).mean(dim=0) / t, "divided probabilities by T"),
    (ensembles.check_soft_target, lambda m, t: F.softmax(stacked_softmax(m).mean(dim=0) / t, dim=1), "softmax twice"),
    (ensembles.check_soft_target, lambda m, t: F.softmax(torch.stack(m).mean(dim=0), dim=1), "temperature is missing"),
    (ensembles.check_soft_target, lambda m, t: torch.stack(m).mean(dim=0) / t, "logits, not probabilities"),
    (
        ensembles.check_soft_target,
        lambda m, t: F.one_hot(torch.stack(m).argmax(dim=2), 10).float().mean(dim=0),
        "averaged after argmax",
    ),
    (ensembles.check_soft_target, lambda m, t: F.softmax(torch.stack(m).mean(dim=1) / t, dim=1), "not over images"),
    (ensembles.check_jensen_gap, lambda m, y: -jensen_gap(m, y), "sign is turned round"),
    (
        ensembles.check_jensen_gap,
        lambda m, y: (
            torch.stack([F.cross_entropy(z, y) for z in m]).mean() - F.cross_entropy(torch.stack(m).mean(dim=0), y)
        ),
        "mean of logits",
    ),
    (
        ensembles.check_jensen_gap,
        lambda m, y: min(F.cross_entropy(z, y) for z in m) - F.nll_loss(stacked_softmax(m).mean(dim=0).log(), y),
        "best member",
    ),
    (
        ensembles.check_jensen_gap,
        lambda m, y: (
            torch.stack([F.cross_entropy(z, y) for z in m]).mean() - F.cross_entropy(stacked_softmax(m).mean(dim=0), y)
        ),
        "takes a softmax of its own",
    ),
    (ensembles.check_disagreement_in_bits, lambda m: disagreement_in_bits(m) * math.log(2), "in nats"),
    (ensembles.check_disagreement_in_bits, lambda m: entropy_bits(stacked_softmax(m).mean(dim=0)), "of the mean alone"),
    (ensembles.check_disagreement_in_bits, lambda m: -disagreement_in_bits(m), "sign is turned round"),
    (ensembles.check_q_statistic, lambda a, b: -q_statistic(a, b), "sign is turned round"),
    (ensembles.check_q_statistic, lambda a, b: (a != b).double().mean(), "exactly one is right"),
    (
        ensembles.check_q_statistic,
        lambda a, b: torch.corrcoef(torch.stack([a.double(), b.double()]))[0, 1],
        "phi",
    ),
    (ensembles.check_mean_of_teachers, lambda t, x: sum(teacher(x) for teacher in t), "they are added up"),
    (ensembles.check_mean_of_teachers, lambda t, x: sum(teacher(x) for teacher in t) / 3, "you divide by 3"),
    (ensembles.check_mean_of_teachers, lambda t, x: t[-1](x), "only the last teacher"),
    (
        ensembles.check_mean_of_teachers,
        lambda t, x: stacked_softmax([teacher(x) for teacher in t]).mean(dim=0),
        "you averaged probabilities",
    ),
    (ensembles.check_teachers_answer, first_in_eval, "still in train mode: model 1, 2"),
    (
        ensembles.check_teachers_answer,
        torch.no_grad()(lambda m, x: torch.stack([model(x) for model in m]).mean(dim=0)),
        "stops gradients only",
    ),
    (
        ensembles.check_teachers_answer,
        lambda m, x: torch.stack([model.eval()(x) for model in m]).mean(dim=0),
        "still carries gradients",
    ),
    (ensembles.check_teachers_answer, torch.no_grad()(lambda m, x: sum(n.eval()(x) for n in m)), "take their mean"),
    (ensembles.check_one_view, own_views, "drawn 4 times"),
    (ensembles.check_one_view, views_of_teachers, "drawn 2 times"),
    (ensembles.check_one_view, lambda s, t, x, a: one_view(s, t, x, lambda x: x), "nobody sees an augmented image"),
    (ensembles.check_one_view, lambda s, t, x, a: (one_view(s, t, x, a)[0], t[1](x)), "reach the teacher 1"),
    (ensembles.check_one_view, lambda s, t, x, g: one_view(s, t, x, g)[::-1], "student's logits first"),
]


def test_a_result_that_is_no_number_or_tensor_is_told():
    assert "a number, not" in ensembles.check_jensen_gap(lambda m, y: "0.1").words
    assert "must be a tensor" in ensembles.check_soft_target(lambda m, t: "p").words
    assert "stopped with" in ensembles.check_q_statistic(lambda a, b: a.nothing).words
