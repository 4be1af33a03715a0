"""Lesson 4's checkers: the right answer passes, the stub is not done, typical mistakes are named in words."""

import math

import numpy as np
import torch

from classroom.checks import assistants as checks
from course_lib.training.losses import distillation_loss

# --- right answers ------------------------------------------------------------------------------------------------


def agreement(student, teacher):
    return (student.argmax(dim=1) == teacher.argmax(dim=1)).double().mean().item()


def equal_steps(largest, smallest, assistants):
    ratio = (largest / smallest) ** (1 / (assistants + 1))
    return [largest / ratio**step for step in range(1, assistants + 1)]


def bounds(steps):
    total, largest = sum(steps), max(steps)
    return max(0.0, largest - (total - largest)), min(1.0, total)


def chain(names, learn):
    teacher = None
    for name in names:
        teacher = learn(name, teacher)
    return teacher


def link_step(student, teacher, images, labels, temperature, alpha, lr):
    teacher.eval()
    student.train()
    optimizer = torch.optim.SGD(student.parameters(), lr=lr)
    with torch.no_grad():
        answers = teacher(images)
    loss = distillation_loss(student(images), answers, labels, temperature, alpha).total
    loss.backward()
    optimizer.step()
    return loss.item()


def fair_delta(runs, key):
    own = runs[runs["key"] == key]
    row = own.iloc[0]
    alike = (runs["student"] == row["student"]) & runs["teacher"].isna() & (runs["shuffle"] == row["shuffle"])
    pairs = own.set_index("seed")["last_accuracy"] - runs[alike].set_index("seed")["last_accuracy"]
    return pairs.mean() if pairs.notna().any() else math.nan


def choose_chain(validation, test):
    name = max(validation, key=validation.get)
    return name, test[name]


RIGHT = {
    checks.check_agreement: agreement,
    checks.check_equal_steps: equal_steps,
    checks.check_disagreement_bounds: bounds,
    checks.check_chain: chain,
    checks.check_link_step: link_step,
    checks.check_fair_delta: fair_delta,
    checks.check_choose_chain: choose_chain,
}


# --- typical mistakes ---------------------------------------------------------------------------------------------


def step_variant(*, both=False, grad=False, train_teacher=False, no_step=False, labels_only=False, eval_student=False):
    """link_step with mistakes to choose from."""

    def step(student, teacher, images, labels, temperature, alpha, lr):
        teacher.train(train_teacher)
        student.train(not eval_student)
        parameters = [*student.parameters(), *(teacher.parameters() if both else [])]
        optimizer = torch.optim.SGD(parameters, lr=lr)
        with torch.set_grad_enabled(grad or both):
            answers = teacher(images)
        terms = distillation_loss(student(images), answers, labels, temperature, alpha)
        loss = terms.hard if labels_only else terms.total
        loss.backward()
        if not no_step:
            optimizer.step()
        return loss.item()

    return step


def other_step(rate=lambda lr: lr, optimiser=torch.optim.SGD, alpha_of=lambda alpha: alpha, zero=False, **settings):
    """link_step with another optimiser, rate or alpha, or with the gradients lost."""

    def step(student, teacher, images, labels, temperature, alpha, lr):
        teacher.eval(), student.train()
        optimizer = optimiser(student.parameters(), lr=rate(lr), **settings)
        with torch.no_grad():
            answers = teacher(images)
        loss = distillation_loss(student(images), answers, labels, temperature, alpha_of(alpha)).total
        loss.backward()
        if zero:
            optimizer.zero_grad()
        optimizer.step()
        return loss

    return step


def delta_of(runs, key, column="last_accuracy", same_shuffle=True, same_student=True, shuffled=None, sign=1):
    own = runs[runs["key"] == key]
    row, base = own.iloc[0], runs[runs["teacher"].isna()]
    if same_student:
        base = base[base["student"] == row["student"]]
    if shuffled is not None:
        base = base[base["shuffle"] == shuffled]
    elif same_shuffle:
        base = base[base["shuffle"] == row["shuffle"]]
    return sign * (own[column].mean() - base[column].mean())


def all_from_first(names, learn):
    first = learn(names[0])
    return [learn(name, first) for name in names[1:]][-1]


def assistants_from_labels(names, learn):
    *before, student = names
    trained = [learn(name) for name in before]
    return learn(student, trained[-1])


def names_as_teachers(names, learn):
    return [learn(name, names[place - 1] if place else None) for place, name in enumerate(names)][-1]


def none_without_baseline(runs, key):
    delta = fair_delta(runs, key)
    return None if math.isnan(delta) else delta


WRONG = [
    (checks.check_agreement, lambda s, t: 100 * agreement(s, t), "percentage"),
    (checks.check_agreement, lambda s, t: 1 - agreement(s, t), "disagreement"),
    (checks.check_agreement, lambda s, t: int((s.argmax(1) == t.argmax(1)).sum()), "divide by the number"),
    (checks.check_agreement, lambda s, t: (s.argmax(0) == t.argmax(0)).double().mean(), "dim=1"),
    (checks.check_agreement, lambda s, t: (s == t).double().mean() * 1.0, "not the logits"),
    (
        checks.check_equal_steps,
        lambda a, b, k: [a - (a - b) * i / (k + 1) for i in range(1, k + 1)],
        "equal difference",
    ),
    (checks.check_equal_steps, lambda a, b, k: [a, *equal_steps(a, b, k), b], "assistants only"),
    (checks.check_equal_steps, lambda a, b, k: equal_steps(a, b, k)[::-1], "largest assistant comes first"),
    (checks.check_equal_steps, lambda a, b, k: [a / (a / b) ** (i / 3) for i in range(1, k + 1)], "fourth root"),
    (checks.check_disagreement_bounds, lambda d: (bounds(d)[0], 1 - math.prod(1 - x for x in d)), "independently"),
    (checks.check_disagreement_bounds, lambda d: (0.0, min(1, sum(d))), "0 is too low"),
    (checks.check_disagreement_bounds, lambda d: (bounds(d)[0], sum(d)), "cap the sum"),
    (checks.check_disagreement_bounds, lambda d: (max(0, d[0] - sum(d[1:])), min(1, sum(d))), "the middle one"),
    (checks.check_disagreement_bounds, lambda d: sum(d), "return two numbers"),
    (checks.check_chain, all_from_first, "never replaced"),
    (checks.check_chain, assistants_from_labels, "chain is broken"),
    (checks.check_chain, names_as_teachers, "the *name*"),
    (checks.check_chain, lambda names, learn: chain(names[::-1], learn), "start with the student"),
    (checks.check_chain, lambda names, learn: bool(chain(names, learn)), "return the last network"),
    (checks.check_link_step, step_variant(both=True), "student's parameters alone"),
    (checks.check_link_step, step_variant(train_teacher=True), "train mode"),
    (checks.check_link_step, step_variant(grad=True), "no_grad"),
    (checks.check_link_step, step_variant(no_step=True), "has not learned"),
    (checks.check_link_step, step_variant(labels_only=True), "labels only"),
    (checks.check_link_step, step_variant(eval_student=True), "eval mode"),
    (checks.check_link_step, other_step(lambda lr: 100 * lr, torch.optim.Adam), "the step is not"),
    (checks.check_link_step, other_step(maximize=True), "climbs"),
    (checks.check_link_step, other_step(alpha_of=lambda alpha: 1 - alpha), "alpha is exchanged"),
    (checks.check_link_step, other_step(zero=True), "set to zero"),
    (checks.check_fair_delta, none_without_baseline, "return math.nan"),
    (checks.check_fair_delta, lambda r, k: delta_of(r, k, shuffled=True), "*shuffled* baseline"),
    (checks.check_fair_delta, lambda r, k: delta_of(r, k, same_shuffle=False), "mean over shuffled and unshuffled"),
    (checks.check_fair_delta, lambda r, k: delta_of(r, k, column="best_accuracy"), "best epochs"),
    (checks.check_fair_delta, lambda r, k: delta_of(r, k, same_student=False), "another width"),
    (checks.check_fair_delta, lambda r, k: delta_of(r, k, sign=-1), "the sign"),
    (checks.check_fair_delta, delta_of, "pair seed with seed"),
    (checks.check_choose_chain, lambda v, t: (max(t, key=t.get), max(t.values())), "chose by test"),
    (checks.check_choose_chain, lambda v, t: (max(v, key=v.get), max(v.values())), "too kind"),
    (checks.check_choose_chain, lambda v, t: (max(v, key=v.get), max(t.values())), "chosen chain's own"),
    (checks.check_choose_chain, lambda v, t: (min(v, key=v.get), 0.0), "take the highest"),
]


def test_bounds_may_come_as_an_array_or_a_tensor():
    assert checks.check_disagreement_bounds(lambda steps: np.array(bounds(steps)))
    assert checks.check_disagreement_bounds(lambda steps: torch.tensor(bounds(steps), dtype=torch.double))
