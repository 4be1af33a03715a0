"""Lesson 02's checkers: right answers, and typical wrong ones with the words they get (run by test_checks.py)."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from classroom.checks import baselines
from course_lib.data.augment import MEAN, STD, crop_and_flip, draw_views, normalise
from course_lib.training.recipe import learning_rate

MEAN_T, STD_T = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))


def window(images, views):
    padded = F.pad(images, (4, 4, 4, 4))
    cut = [padded[i, :, r : r + 32, c : c + 32] for i, (r, c, _) in enumerate(views.tolist())]
    return torch.stack([one.flip(-1) if flip else one for one, flip in zip(cut, views[:, 2], strict=True)])


def draws(limits, size=None):
    def draw(n, generator):
        columns = [torch.randint(limit, (n if size is None else size,), generator=generator) for limit in limits]
        return torch.stack([column.expand(n) for column in columns], dim=1)

    return draw


def diagonal(n, generator):
    offset, flip = (torch.randint(limit, (n,), generator=generator) for limit in (9, 2))
    return torch.stack([offset, offset, flip], dim=1)


def steps_at(first, second, factor=0.1):
    def rate(step, steps, top):
        return top * (1 if step < first * steps else factor if step < second * steps else factor**2)

    return rate


def rates(number, total=lambda epochs, each: epochs * each):
    def rates_of_a_run(epochs, each, recipe):
        places = [(epoch, step) for epoch in range(epochs) for step in range(each)]
        return [learning_rate(number(e, s, each), total(epochs, each), recipe) for e, s in places]

    return rates_of_a_run


def nesterov(w, v, gradient, rate, momentum, decay):
    gradient = gradient + decay * w
    v = momentum * v + gradient
    return w - rate * (gradient + momentum * v), v


def classical(w, v, gradient, rate, momentum, decay):
    v = momentum * v + gradient + decay * w
    return w - rate * v, v


def rate_inside(w, v, gradient, rate, momentum, decay):
    gradient = gradient + decay * w
    velocity = momentum * v + gradient
    return w - rate * (gradient + momentum * velocity), rate * velocity


def old_velocity(w, v, gradient, rate, momentum, decay):
    gradient = gradient + decay * w
    return w - rate * (gradient + momentum * v), momentum * v + gradient


def decoupled(w, v, gradient, rate, momentum, decay):
    moved, velocity = nesterov(w, v, gradient, rate, momentum, 0)
    return moved - rate * decay * w, velocity


def descend(model, images, labels, rate, steps, zero="before"):
    optimizer, losses = torch.optim.SGD(model.parameters(), lr=rate), []
    for _ in range(steps):
        loss = F.cross_entropy(model(images), labels)
        if zero == "before":
            optimizer.zero_grad()
        loss.backward()
        if zero == "between":
            optimizer.zero_grad()
        optimizer.step()
        losses.append(loss.item())
    return losses


@torch.no_grad()
def accuracy_of(model, images, labels, batch_size, eval_mode=True, restore=True, mean=False):
    was = model.training
    if eval_mode:
        model.eval()
    batches = list(zip(images.split(batch_size), labels.split(batch_size), strict=True))
    right = [(model(x).argmax(dim=1) == y).float() for x, y in batches]
    if restore:
        model.train(was)
    return 100 * (torch.stack([part.mean() for part in right]) if mean else torch.cat(right)).mean().item()


def without_last_batch(model, images, labels, batch_size):
    whole = len(labels) // batch_size * batch_size
    return accuracy_of(model, images[:whole], labels[:whole], batch_size) * whole / len(labels)


def always_back_to_training(*given):
    share = accuracy_of(*given)
    given[0].train()
    return share


def images_needed(first, second, errors=2.0):
    return errors**2 * (first * (100 - first) + second * (100 - second)) / (first - second) ** 2


def flattery(epochs, sd, trials=20_000):
    draws = np.random.default_rng(0).normal(0, sd, size=(trials, epochs))
    return draws.max(axis=1).mean()


def largest_of_all(epochs, sd):
    return 0 if epochs == 1 else np.random.default_rng(0).normal(0, sd, (9000, epochs)).max()


def by_dimension(model, decay):
    free = [p for p in model.parameters() if p.ndim == 1]
    held = [p for p in model.parameters() if p.ndim > 1]
    return [{"params": held, "weight_decay": decay}, {"params": free, "weight_decay": 0.0}]


def by_name(*endings):
    def groups(model, decay):
        named = list(model.named_parameters())
        free = [p for name, p in named if any(part in name for part in endings)]
        held = [p for name, p in named if not any(part in name for part in endings)]
        return [{"params": held, "weight_decay": decay}, {"params": free, "weight_decay": 0.0}]

    return groups


def by_type(model, decay):
    free = [p for part in model.modules() if isinstance(part, nn.BatchNorm2d) for p in part.parameters()]
    ids = {id(p) for p in free}
    held = [p for p in model.parameters() if id(p) not in ids]
    return [{"params": held, "weight_decay": decay}, {"params": free, "weight_decay": 0.0}]


def darkens(images, views):
    prepared = normalise(crop_and_flip(images, views))
    images.zero_()
    return prepared


RIGHT = {
    baselines.check_prepare: lambda images, views: (window(images, views).float() / 255 - MEAN_T) / STD_T,
    baselines.check_draws: draw_views,
    baselines.check_step_schedule: steps_at(0.5, 0.75),
    baselines.check_rates: rates(lambda e, s, each: e * each + s),
    baselines.check_nesterov: nesterov,
    baselines.check_descend: descend,
    baselines.check_accuracy: accuracy_of,
    baselines.check_images_needed: images_needed,
    baselines.check_flattery: flattery,
    baselines.check_groups: by_dimension,
}
MISTAKES = {
    baselines.check_prepare: [
        (lambda images, views: window(normalise(images), views), "rim is grey"),
        (lambda images, views: (normalise(crop_and_flip(images, views)) - MEAN_T) / STD_T, "normalised twice"),
        (lambda images, views: (crop_and_flip(images, views).float() - MEAN_T) / STD_T, "divide by 255"),
        (lambda images, views: normalise(crop_and_flip(images, views[:1].expand(6, 3))), "first image's view"),
        (lambda images, views: normalise(images), "no image was cropped"),
        (lambda images, views: crop_and_flip(images, views), "float32"),
        (lambda images, views: normalise(window(images, views).flip(-1)), "some pixels"),
        (lambda images, views: normalise(crop_and_flip(images, views)).double(), "float32"),
        (darkens, "changes what it was given"),
    ],
    baselines.check_draws: [
        (draws((9, 9, 2), size=1), "share one draw"),
        (draws((8, 8, 2)), "never reaches 8"),
        (draws((9, 9, 1)), "flip is the same"),
        (diagonal, "never come up"),
        (lambda n, generator: draw_views(n, torch.Generator().manual_seed(torch.seed() % 1000)), "generator="),
        (lambda n, generator: draw_views(n, generator).float(), "int64"),
    ],
    baselines.check_step_schedule: [
        (lambda step, steps, top: steps_at(0.5, 0.75)(step, steps, 1.0), "the factor"),
        (lambda step, steps, top: top if step < steps / 2 else top / 10, "second drop"),
        (lambda step, steps, top: top * (1 if step <= 100 else 0.1 if step <= 150 else 0.01), "not later"),
        (steps_at(0.5, 0.75, factor=0.5), "for step = 100, steps = 200"),
        (lambda step, steps, top: top * (1 if step < 100 else 0.1 if step < 150 else 0.01), "another run"),
        (lambda step, steps, top: steps_at(0.5, 0.75)(step, steps, 0.1), "another run"),
    ],
    baselines.check_rates: [
        (rates(lambda e, s, each: e, total=lambda epochs, each: epochs), "stands still within an epoch"),
        (rates(lambda e, s, each: e * each), "stands still within an epoch"),
        (rates(lambda e, s, each: s, total=lambda epochs, each: each), "starts again in every epoch"),
        (rates(lambda e, s, each: e * each + s + 1), "begin at 1"),
        (rates(lambda e, s, each: e * each + s, total=lambda epochs, each: 5 * epochs * each), "ends at a high rate"),
        (lambda epochs, each, recipe: [learning_rate(e, epochs, recipe) for e in range(epochs)], "one rate an epoch"),
    ],
    baselines.check_nesterov: [
        (classical, "classical momentum"),
        (old_velocity, "(the old v)"),
        (lambda w, v, g, rate, momentum, decay: nesterov(w, v, g, rate, momentum, 0), "decay is missing"),
        (lambda w, v, g, rate, momentum, decay: nesterov(w, v, g, -rate, momentum, decay), "sign is wrong"),
        (rate_inside, "the rate is inside your velocity"),
        (decoupled, "decoupled decay"),
        (lambda *given: nesterov(*given)[0], "two things"),
    ],
    baselines.check_descend: [
        (lambda *given: descend(*given, zero="never"), "still in .grad"),
        (lambda *given: descend(*given, zero="between"), "nothing is left"),
        (lambda model, images, labels, rate, steps: descend(model, images, labels, rate, steps + 1), "too many"),
        (lambda model, images, labels, rate, steps: descend(model, images, labels, rate / 2, steps), "differ from"),
        (lambda *given: descend(*given)[1:], "five losses"),
    ],
    baselines.check_accuracy: [
        (lambda *given: accuracy_of(*given, eval_mode=False), "model.eval()"),
        (lambda *given: accuracy_of(*given, mean=True), "average over batches"),
        (lambda *given: accuracy_of(*given) / 100, "in percent"),
        (lambda *given: accuracy_of(*given, restore=False), "left in eval mode"),
        (without_last_batch, "last batch is lost"),
        (always_back_to_training, "note model.training first"),
    ],
    baselines.check_images_needed: [
        (lambda first, second: 4 * first * (100 - first) / (first - second) ** 2, "one network only"),
        (lambda first, second: images_needed(first, second, errors=1), "one standard error"),
        (lambda first, second: images_needed(first, second) / 2, "not squared"),
        (lambda first, second: images_needed(first, second) * 1e-4, "mixed"),
        (lambda first, second: 10_000, "solve"),
        (lambda first, second: "many", "a number, not"),
    ],
    baselines.check_flattery: [
        (lambda epochs, sd: -flattery(epochs, sd), "worst epoch"),
        (lambda epochs, sd: flattery(epochs, 1.0), "spread sd"),
        (lambda epochs, sd: np.abs(np.random.default_rng(0).normal(0, sd, (20_000, epochs))).max(1).mean(), "abs()"),
        (lambda epochs, sd: np.random.default_rng(0).normal(0, sd, (20_000, epochs)).mean(), "about 0"),
        (largest_of_all, "all trials"),
    ],
    baselines.check_groups: [
        (by_name(".bias"), "still have decay on their factor"),
        (by_name(".bn.", "bias"), "still have decay on their factor"),
        (by_type, "biases of batch norms, linear layers"),
        (lambda model, decay: by_dimension(model, decay)[:1], "in no group"),
        (lambda model, decay: [*by_dimension(model, decay), by_dimension(model, 0)[0]], "two groups"),
        (lambda model, decay: by_dimension(model, 0), "lost their decay"),
        (lambda model, decay: [{"params": model.parameters()}], "list of dicts"),
        (lambda model, decay: list(model.parameters()), "list of dicts"),
    ],
}
WRONG = [(check, *row) for check, rows in MISTAKES.items() for row in rows]


def named_groups(model, decay):
    rows = list(model.named_parameters())
    return [
        {"params": [row for row in rows if row[1].ndim > 1], "weight_decay": decay},
        {"params": [row for row in rows if row[1].ndim == 1], "weight_decay": 0},
    ]


def test_right_answers_may_come_in_other_forms():
    assert baselines.check_rates(lambda *given: np.array(rates(lambda e, s, each: e * each + s)(*given)))
    assert baselines.check_groups(named_groups)


def test_the_words_of_praise_know_the_numbers():
    assert "42,881" in baselines.check_images_needed(images_needed).words
