"""Checkers for the exercises of lesson 05: means of teachers, diversity, and three mistakes to find."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from classroom.checks.declared import compare, declared
from classroom.checks.distillation import asked_about_one_view
from classroom.checks.reading import close, numbers
from classroom.checks.stand_ins import CLASSES, Watched, noise, seeded
from classroom.checks.verdict import checker, require

IMAGES = 12
MEMBERS_ONLY = "average over the members, not over images or classes"
BY_THREE = "you divide by 3, however many members there are: divide by their number"


def _members(seed: int, count: int = 3) -> list[Tensor]:
    """Made-up logits (N, C) of members that are loud to different degrees."""
    return [(1 + k) * noise(IMAGES, CLASSES, seed=10 * seed + k) for k in range(count)]


@declared(
    [(_members(0), 4.0), (_members(1, 1), 1.0), (_members(2, 4), 0.5)],
    "softmax(mean of logits / T), for any number of members and any T.",
    hint="the softmax of the mean logits over T: average over the members, divide by T, softmax",
    shape=MEMBERS_ONLY,
)
def check_soft_target(members, temperature):
    """``answer(members, temperature)``: the (N, C) soft target of an ensemble, from the mean of its logits."""
    stacked = torch.stack(members)
    mean, probabilities = stacked.mean(0), stacked.softmax(2).mean(0)
    vote, other = F.one_hot(stacked.argmax(2), CLASSES).double(), (stacked / temperature).softmax(2)
    return (mean / temperature).softmax(1), {
        "you averaged after argmax, a vote that forgets how sure each was: average the logits": vote.mean(0),
        "you divided probabilities by T, so rows do not add up to 1: divide the logits": probabilities / temperature,
        "these are logits, not probabilities: a softmax over the classes is missing": mean / temperature,
        "that is a softmax of probabilities, softmax twice: take it once": (probabilities / temperature).softmax(1),
        "you summed the logits: average them, else the temperature is T / K": (stacked.sum(0) / temperature).softmax(1),
        BY_THREE: (stacked.sum(0) / 3 / temperature).softmax(1),
        "that is the mean of probabilities, the other ensemble: average logits": other.mean(0),
        "the temperature is missing: divide the mean logits by T before the softmax": mean.softmax(1),
        "your softmax runs over the images: take it over the classes, dim=1": (mean / temperature).softmax(0),
        "a row of probabilities must add up to 1": lambda found: not close(found.sum(1), torch.ones(IMAGES)),
    }


@declared(
    [(_members(seed, count), torch.arange(IMAGES) % CLASSES) for seed, count in ((4, 3), (5, 4), (6, 1))],
    "the gap is what averaging saves, and it is never negative.",
    hint="the members' mean loss minus that of their mean of probabilities",
)
def check_jensen_gap(members, labels):
    """``answer(members, labels)``: mean of the members' cross-entropies minus that of their mean of probabilities."""
    losses, stacked = torch.stack([F.cross_entropy(z, labels) for z in members]), torch.stack(members)
    p = stacked.softmax(2).mean(0)
    loss = F.nll_loss(p.log(), labels)
    of_logits = losses.mean() - F.cross_entropy(stacked.mean(0), labels)
    thirds = F.nll_loss((p * len(members) / 3).log(), labels)
    return losses.mean() - loss, {
        "the sign is turned round: members' mean minus ensemble, so that a gain is positive": loss - losses.mean(),
        "that is the gap of the mean of logits: Jensen's inequality is about probabilities": of_logits,
        "you compared with the best member: the theorem is about the mean of the members' losses": losses.min() - loss,
        "cross_entropy takes a softmax of its own: nll_loss on logarithms": losses.mean() - F.cross_entropy(p, labels),
        "that is the sum of the members' losses: take their mean": losses.sum() - loss,
        BY_THREE: losses.sum() / 3 - loss,
        "you divide by 3 in both means: divide by the number of members": losses.sum() / 3 - thirds,
        "that is the ensemble's loss alone": loss,
    }


def _entropy(p: Tensor) -> Tensor:
    return -(p * p.log2()).sum(-1).mean()


@declared(
    [*(_members(6, count) for count in (3, 4, 1)), 2 * _members(6, 1)],
    "nothing for equal members, at most log2 K bits for K of them: the Jensen-Shannon divergence.",
    hint="in bits; two equal members do not disagree",
)
def check_disagreement_in_bits(members):
    """``answer(members)``: entropy of the mean of probabilities minus mean entropy, in bits, averaged over images."""
    stacked, count = torch.stack(members), len(members)
    p = stacked.softmax(2)
    own, together = _entropy(p), _entropy(p.mean(0))
    return together - own, {
        "that is in nats: use log2, or divide by log(2)": (together - own) * math.log(2),
        "the sign is turned round: the mean of probabilities has the larger entropy": own - together,
        "that is the entropy of the mean alone: subtract the mean of the members' entropies": together,
        BY_THREE: _entropy(p.sum(0) / 3) - own * count / 3,
        "you used the mean of logits: take the mean of probabilities": _entropy(stacked.mean(0).softmax(1)) - own,
    }


def _right_of_two() -> tuple[Tensor, Tensor]:
    generator = seeded(7)
    shared = torch.rand(200, generator=generator)
    return tuple(0.6 * shared + 0.4 * torch.rand(200, generator=generator) > 0.45 for _ in range(2))


RIGHT_A, RIGHT_B = _right_of_two()


@declared(
    [(RIGHT_A, RIGHT_B), (RIGHT_A, ~RIGHT_A)],
    "1 for networks that fail together, 0 for independent ones, -1 for those that never fail together.",
    hint="count both right, only one (twice), none; -1 for two that are never right together",
)
def check_q_statistic(right_a, right_b):
    """``answer(right_a, right_b)``: Yule's Q of two networks from who was right (N,) on each image, as bool."""
    a, b = right_a, right_b
    both, only_a, only_b, none = ((x & y).sum().double() for x, y in ((a, b), (a, ~b), (~a, b), (~a, ~b)))
    together, apart, agree = both * none, only_a * only_b, (a == b).double().mean()
    share_a, share_b = a.double().mean(), b.double().mean()
    chance = share_a * share_b + (1 - share_a) * (1 - share_b)
    q = (together - apart) / (together + apart)
    return q, {
        "the sign is turned round: Q is positive where both tend to be right, and wrong, together": -q,
        "that is the share of images on which exactly one is right": 1 - agree,
        "that is the share of images on which both are right or both wrong": agree,
        "that is the correlation (phi), with another denominator": torch.corrcoef(torch.stack([a, b]).double())[0, 1],
        "that is Cohen's kappa: Q compares the products of the four counts": (agree - chance) / (1 - chance),
        "the denominator is missing": together - apart,
        "that is the odds ratio: Q = (odds - 1) / (odds + 1)": together / apart,
    }


def _networks(count: int = 3) -> list[Watched]:
    """In train mode, as every network is that is made."""
    return [Watched(seed, side=4) for seed in range(count)]


INPUTS = noise(6, 3, 4, 4, seed=8)


@declared(
    [([network.eval().requires_grad_(False) for network in _networks(count)], INPUTS) for count in (3, 1, 4)],
    "the scale of the target no longer depends on the number of teachers.",
    hint="this is not the mean of the teachers' logits",
    shape=MEMBERS_ONLY,
)
def check_mean_of_teachers(teachers, images):
    """``answer(teachers, images)``: the (N, C) mean logits of the teachers; the broken one adds them up."""
    every, count = torch.stack([teacher(images) for teacher in teachers]), len(teachers)
    total, by_number = every.sum(0), "whatever the number of teachers: divide by how many there are"
    return every.mean(0), {
        f"with {count} teachers the logits are {count} times too large: they are added up, as if T were smaller": total,
        "you averaged probabilities, and the caller takes a softmax: it must get logits": every.softmax(2).mean(0),
        "you averaged the winners (argmax): the doubts are lost": F.one_hot(every.argmax(2), CLASSES).double().mean(0),
        f"you divide by 2, {by_number}": total / 2,
        f"you divide by 3, {by_number}": total / 3,
        "only the last teacher is heard": every[-1],
        "only the first teacher is heard": every[0],
    }


@checker
def check_teachers_answer(answer) -> str:
    """``answer(models, images)``: mean logits of trained models that may still be in train mode; nothing must move."""
    models = _networks()
    before = [model.norm.running_mean.clone() for model in models]
    z = answer(list(models), INPUTS.clone())
    pairs = zip(before, models, strict=True)
    awake = [str(place) for place, (old, model) in enumerate(pairs) if not torch.equal(old, model.norm.running_mean)]
    words = "every model's statistics moved while it answered: torch.no_grad() stops gradients only, add eval mode"
    require(len(awake) < 3, words)
    words = f"still in train mode: model {', '.join(awake)}, counted from 0. Put every model in eval mode, not some"
    require(not awake, words)
    every = torch.stack([model.eval()(INPUTS) for model in _networks()])
    mistakes = {"the logits are added up: take their mean": every.sum(0)}
    hint = "this is not the mean of the models' logits in eval mode"
    compare(z, every.mean(0), mistakes, "the ensemble's answer", hint, shape=MEMBERS_ONLY)
    words = "the answer still carries gradients, and remembers every activation: ask under torch.no_grad()"
    require(not (isinstance(z, Tensor) and z.requires_grad), words)
    alone = numbers(answer(_networks(), INPUTS[:1].clone()), (1, CLASSES), "the answer for one image", MEMBERS_ONLY)
    words = "the answer for an image depends on the batch it comes in: some model is not in eval"
    require(close(alone[0], every.mean(0)[0]), words)
    return "the answer for an image is the same in any batch, and no statistics moved."


@checker
def check_one_view(answer) -> str:
    """``answer(student, teachers, images, augment)``: student logits and mean teacher logits for the same view."""
    asked_about_one_view(answer, teachers=3)
    return "student and teachers speak of the same picture."
