"""Checkers for the exercises of lesson 05: means of teachers, votes, diversity, and four mistakes to find."""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from classroom.checks.reading import items, number, numbers, pair, recognise, same
from classroom.checks.verdict import Wrong, checker, require
from course_lib.data.augment import crop_and_flip, draw_views, normalise

IMAGES, CLASSES = 12, 10
MEMBERS_ONLY = "average over the members, not over images or classes"


def _members(seed: int, count: int = 3) -> list[Tensor]:
    """Made-up logits (N, C) of members that are loud to different degrees."""
    generator = torch.Generator().manual_seed(seed)
    return [(1 + k) * torch.randn(IMAGES, CLASSES, generator=generator) for k in range(count)]


def _labels(seed: int) -> Tensor:
    return torch.randint(CLASSES, (IMAGES,), generator=torch.Generator().manual_seed(seed))


def _tensor(result: object, shape: tuple[int, ...], what: str) -> Tensor:
    """The reader's result as finite float64 of ``shape``."""
    found = numbers(result, shape, what, MEMBERS_ONLY)
    require(bool(found.isfinite().all()), f"{what} holds a number that is not finite")
    return found


# --- means ----------------------------------------------------------------------------------------


@checker
def check_soft_target(answer) -> str:
    """``answer(members, temperature)``: the (N, C) soft target of an ensemble, from the mean of its logits."""
    for seed, temperature, count in ((0, 4.0, 3), (1, 1.0, 1), (2, 0.5, 4)):
        members = _members(seed, count)
        stacked = torch.stack(members)
        p = _tensor(answer([z.clone() for z in members], temperature), (IMAGES, CLASSES), "the soft target")
        soft, hot = F.softmax(stacked, dim=2), F.softmax(stacked / temperature, dim=2)
        if same(p, F.softmax(stacked.mean(dim=0) / temperature, dim=1)):
            continue
        votes = F.one_hot(stacked.argmax(dim=2), CLASSES).float().mean(dim=0)
        recognise(
            p,
            {
                "you averaged after argmax: a vote keeps who won and throws away how surely, which is what a soft "
                "target is for. Average the logits": votes,
                "you divided probabilities by T. The rows no longer add up to 1, and nothing is softer: divide the "
                "logits by T, then take the softmax": soft.mean(dim=0) / temperature,
                "these are logits, not probabilities: a softmax over the classes is missing": stacked.mean(dim=0)
                / temperature,
                "that is a softmax of probabilities: softmax twice. Average the logits, divide by T, and take the "
                "softmax once, at the end": F.softmax(soft.mean(dim=0) / temperature, dim=1),
                "you summed the logits instead of averaging them: with K members the temperature you really use is "
                "T / K": F.softmax(stacked.sum(dim=0) / temperature, dim=1),
                "you divide by 3, however many members there are: divide by their number": F.softmax(
                    stacked.sum(dim=0) / 3 / temperature, dim=1
                ),
                "that is the mean of the softened probabilities, the other ensemble. Asked for is the authors': mean "
                "of the logits first, softmax at the end": hot.mean(dim=0),
                "the temperature is missing: divide the mean logits by T before the softmax": F.softmax(
                    stacked.mean(dim=0), dim=1
                ),
                "your softmax runs over the images: take it over the classes, dim=1": F.softmax(
                    stacked.mean(dim=0) / temperature, dim=0
                ),
            },
        )
        rows = p.sum(dim=1)
        require(
            same(rows, torch.ones(IMAGES)),
            f"a row of probabilities must add up to 1; yours add up to {rows[0]:.3f}",
        )
        raise Wrong("not the softmax of the mean logits over T: average over the members, divide by T, softmax")
    return "softmax(mean of logits / T), for any number of members and any T."


@checker
def check_equal_voices(answer) -> str:
    """``answer(members)``: the (N, C) mean logits after each member was divided by its own spread."""
    for count in (3, 1, 4):
        members = _members(3, count)
        z = _tensor(answer([m.clone() for m in members]), (IMAGES, CLASSES), "the mean")
        if any(same(z, torch.stack([m / m.std(correction=c) for m in members]).mean(dim=0)) for c in (0, 1)):
            continue
        recognise(z, _unequal_voices(members))
        louder = _tensor(answer([7 * members[0], *members[1:]]), (IMAGES, CLASSES), "the mean")
        require(
            same(z, louder),
            "multiply one member's logits by 7 and your mean changes: its voice is not equal yet",
        )
        raise Wrong("no member is louder than another, but this is not the mean of z / z.std()")
    return "each member's logits have a spread of 1 now, so none is louder than another."


def _unequal_voices(members: list[Tensor]) -> dict[str, Tensor]:
    """What the typical mistakes give for these members' logits."""
    stacked, own = torch.stack(members), torch.stack([z / z.std() for z in members])
    return {
        "that is the plain mean: the loudest member still leads": stacked.mean(dim=0),
        "you divided all members by one common spread, which changes nothing between them: give each its own, "
        "z / z.std()": stacked.mean(dim=0) / stacked.std(),
        "you multiplied by the spread, so the loud ones got louder still: divide": torch.stack(
            [m * m.std() for m in members]
        ).mean(dim=0),
        "you averaged probabilities: stay with logits": F.softmax(own, dim=2).mean(dim=0),
        "you summed: take the mean over the members": own.sum(dim=0),
        "you divide by 3, however many members there are: divide by their number": own.sum(dim=0) / 3,
        "you divided image by image. That also takes away which images a member is sure of: one number for each "
        "member is asked for": torch.stack([m / m.std(dim=1, keepdim=True) for m in members]).mean(dim=0),
    }


@checker
def check_jensen_gap(answer) -> str:
    """``answer(members, labels)``: mean of the members' cross-entropies minus that of their mean of probabilities."""
    for seed, count in ((4, 3), (5, 4), (6, 1)):
        members, labels = _members(seed, count), _labels(seed)
        gap = number(answer([z.clone() for z in members], labels.clone()), "the gap")
        losses = torch.stack([F.cross_entropy(z, labels) for z in members])
        p = torch.stack([F.softmax(z, dim=1) for z in members]).mean(dim=0)
        loss = F.nll_loss(p.log(), labels)
        if same(gap, losses.mean() - loss):
            continue
        recognise(
            gap,
            {
                "the sign is turned round: members' mean minus ensemble, so that a gain is positive": loss
                - losses.mean(),
                "that is the gap of the mean of logits. It is positive too, but Jensen's inequality as proved here is "
                "about the mean of probabilities": losses.mean()
                - F.cross_entropy(torch.stack(members).mean(dim=0), labels),
                "you compared with the best member. The theorem speaks of the mean of the members' losses; against the "
                "best one there is no guarantee": losses.min() - loss,
                "you gave probabilities to cross_entropy, which takes a softmax of its own: use nll_loss on the "
                "logarithm of the mean": losses.mean() - F.cross_entropy(p, labels),
                "that is the sum of the members' losses: take their mean": losses.sum() - loss,
                "you divide by 3, however many members there are: divide by their number": losses.sum() / 3 - loss,
                "you divide by 3 in both means: divide by the number of members": losses.sum() / 3
                - F.nll_loss((p * count / 3).log(), labels),
                "that is the ensemble's loss alone": loss,
            },
        )
        raise Wrong(f"for one set of members the gap is {losses.mean() - loss:.4f}, yours is {gap:.4f}")
    return "the gap is what averaging saves, and it is never negative."


@checker
def check_disagreement_in_bits(answer) -> str:
    """``answer(members)``: entropy of the mean of probabilities minus mean entropy, in bits, averaged over images."""
    for count in (3, 4, 1):
        members = _members(6, count)
        value = number(answer([z.clone() for z in members]), "the disagreement")
        right, mistakes = _bits_and_mistakes(members)
        if not same(value, right):
            recognise(value, mistakes)
            raise Wrong(f"for {count} members it should be {right:.4f} bits, yours is {value:.4f}")
    equal = number(answer([members[0].clone(), members[0].clone()]), "the disagreement")
    require(abs(equal) < 1e-4, f"two equal members do not disagree: 0 bits, not {equal:.4f}")
    return "nothing for equal members, at most log2 K bits for K of them: the Jensen-Shannon divergence."


def _bits_and_mistakes(members: list[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """The Jensen-Shannon divergence in bits, averaged over images, and what the typical mistakes give."""

    def entropy(p: Tensor) -> Tensor:
        return -(p * p.log2()).sum(dim=-1).mean()

    p = F.softmax(torch.stack(members), dim=2)
    own, together = entropy(p), entropy(p.mean(dim=0))
    return together - own, {
        "that is in nats: use log2, or divide by log(2)": (together - own) * math.log(2),
        "the sign is turned round: the mean of probabilities has the larger entropy": own - together,
        "that is the entropy of the mean alone: subtract the mean of the members' entropies": together,
        "you divide by 3, however many members there are: divide by their number": (
            entropy(p.sum(dim=0) / 3) - own * len(members) / 3
        ),
        "you used the mean of logits; the identity holds for the mean of probabilities": (
            entropy(F.softmax(torch.stack(members).mean(dim=0), dim=1)) - own
        ),
    }


# --- votes and diversity --------------------------------------------------------------------------


@checker
def check_majority_right(answer) -> str:
    """``answer(p, k)``: the chance that more than half of ``k`` independent voters are right, each with p."""

    def binomial(p: float, k: int, counts) -> float:
        return sum(math.comb(k, j) * p**j * (1 - p) ** (k - j) for j in counts)

    for p, k in ((0.6, 4), (0.6, 3), (0.7, 5), (0.3, 7), (0.6, 1), (0.9, 11)):
        value = number(answer(p, k), "the probability")
        most = k // 2 + 1  # the smallest majority
        majorities = range(most, k + 1)
        expected = binomial(p, k, majorities)
        if abs(value - expected) < 1e-6:
            continue
        at = f"for p = {p} and k = {k}"
        with_ties = binomial(p, k, range(math.ceil(k / 2), k + 1))
        uncounted = sum(p**j * (1 - p) ** (k - j) for j in majorities)
        mistakes = {
            f"{at} you count a tie as won: more than half means at least {most}": with_ties,
            f"{at} you give the chance of the smallest majority alone: sum over {most} to {k} right voters": binomial(
                p, k, [most]
            ),
            f"{at} you give the chance that all are right: a majority is enough": p**k,
            f"{at} you give the chance that at least one is right: more than half must be": 1 - (1 - p) ** k,
            "the binomial coefficient is missing: there are math.comb(k, j) ways to choose the j right ones": uncounted,
            "you computed the chance that the majority is wrong": 1 - expected,
        }
        for words, wrong in mistakes.items():
            require(abs(value - wrong) > 1e-6, words)
        exact = f"{at} you give {value:.4f}, the exact value is {expected:.4f}"
        require(
            abs(value - expected) > 0.02,
            f"{exact}: neither draw voters nor round, sum the binomial",
        )
        raise Wrong(exact)
    return "Condorcet's jury: above p = 1/2 more voters help, below they harm."


@checker
def check_q_statistic(answer) -> str:
    """``answer(right_a, right_b)``: Yule's Q of two networks from who was right (N,) on each image, as bool."""
    generator = torch.Generator().manual_seed(7)
    shared = torch.rand(200, generator=generator)
    a, b = (0.6 * shared + 0.4 * torch.rand(200, generator=generator) > 0.45 for _ in range(2))
    both, only_a, only_b, none = ((x & y).sum().double() for x, y in ((a, b), (a, ~b), (~a, b), (~a, ~b)))
    q = (both * none - only_a * only_b) / (both * none + only_a * only_b)
    value = number(answer(a.clone(), b.clone()), "Q")
    if not same(value, q):
        phi = torch.corrcoef(torch.stack([a.double(), b.double()]))[0, 1]
        agree = (a == b).double().mean()
        kappa_chance = a.double().mean() * b.double().mean() + (~a).double().mean() * (~b).double().mean()
        recognise(
            value,
            {
                "the sign is turned round: Q is positive where both tend to be right, and wrong, together": -q,
                "that is the share of images on which exactly one is right": 1 - agree,
                "that is the share of images on which both are right or both wrong": agree,
                "that is the correlation of the two columns (phi); Q divides by the sum of the same two products": phi,
                "that is Cohen's kappa, a neighbour: Q compares the products of the four counts": (agree - kappa_chance)
                / (1 - kappa_chance),
                "the denominator is missing": both * none - only_a * only_b,
                "that is the odds ratio: Q = (odds - 1) / (odds + 1)": both * none / (only_a * only_b),
            },
        )
        raise Wrong(f"for one pair Q is {q:.4f}, yours is {value:.4f}: count both right, only one (twice), none")
    opposite = number(answer(a.clone(), ~a), "Q")
    require(
        same(opposite, -1.0),
        f"of two networks that are never right together Q is -1, not {opposite:.4f}",
    )
    return "1 for networks that fail together, 0 for independent ones, -1 for those that never fail together."


# --- find the bug ---------------------------------------------------------------------------------


class _Tiny(nn.Module):
    """A network with batch normalisation that notes down what it was shown."""

    def __init__(self, seed: int):
        super().__init__()
        self.norm, self.linear = nn.BatchNorm2d(3), nn.Linear(3 * 32 * 32, CLASSES, bias=False)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.linear.weight.copy_(0.03 * torch.randn(self.linear.weight.shape, generator=generator))
            self.norm.running_mean.copy_(torch.randn(3, generator=generator))
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images.detach().clone())
        return self.linear(self.norm(images.float()).flatten(1))


def _networks(count: int = 3) -> list[_Tiny]:
    return [_Tiny(seed).train() for seed in range(count)]


def _photographs(count: int = 6) -> Tensor:
    return torch.randint(256, (count, 3, 32, 32), generator=torch.Generator().manual_seed(8)).to(torch.uint8)


@checker
def check_mean_of_teachers(answer) -> str:
    """``answer(teachers, images)``: the (N, C) mean logits of the teachers; the broken one adds them up."""
    images = _photographs().float() / 128 - 1
    for count in (3, 1, 4):
        teachers = [network.eval().requires_grad_(False) for network in _networks(count)]
        every = torch.stack([teacher(images) for teacher in teachers])
        z = _tensor(answer(teachers, images.clone()), (len(images), CLASSES), "the ensemble's answer")
        if same(z, every.mean(dim=0)):
            continue
        recognise(
            z,
            {
                f"with {count} teachers the logits are still {count} times too large: they are added up. The softmax "
                f"then acts as if T were T / {count}, and every new teacher sharpens the target": every.sum(dim=0),
                "you averaged probabilities. That is a fine ensemble, but the caller divides by T and takes a "
                "softmax, so it must get logits": F.softmax(every, dim=2).mean(dim=0),
                "you averaged the winners (argmax): the doubts are lost, and with them the dark knowledge": F.one_hot(
                    every.argmax(dim=2), CLASSES
                )
                .float()
                .mean(dim=0),
                "you divide by 2, whatever the number of teachers: divide by how many there are": every.sum(dim=0) / 2,
                "you divide by 3, whatever the number of teachers: divide by how many there are": every.sum(dim=0) / 3,
                "only the last teacher is heard": every[-1],
                "only the first teacher is heard": every[0],
            },
        )
        raise Wrong("this is not the mean of the teachers' logits")
    return "the scale of the target no longer depends on the number of teachers."


@checker
def check_teachers_answer(answer) -> str:
    """``answer(models, images)``: mean logits of trained models that may still be in train mode; nothing must move."""
    images = _photographs().float() / 128 - 1
    models = _networks()
    before = [model.norm.running_mean.clone() for model in models]
    z = answer(models, images.clone())
    gradients = isinstance(z, Tensor) and z.requires_grad
    z = _tensor(z, (len(images), CLASSES), "the ensemble's answer")
    moved = [not torch.equal(old, model.norm.running_mean) for old, model in zip(before, models, strict=True)]
    require(
        not all(moved),
        "every model's batch-norm statistics moved while it answered: torch.no_grad() stops gradients only, "
        "put the models in eval mode as well",
    )
    awake = ", ".join(str(place) for place, has_moved in enumerate(moved) if has_moved)
    require(
        not awake,
        f"still in train mode: model {awake}, counted from 0. Its batch-norm statistics moved while it answered. Put "
        "every model in eval mode, not only some",
    )
    reference = _networks()
    expected = torch.stack([model.eval()(images) for model in reference]).mean(dim=0)
    recognise(z, {"the logits are added up: take their mean": expected * len(models)})
    require(same(z, expected), "this is not the mean of the models' logits in eval mode")
    require(
        not gradients,
        "the answer still carries gradients: nothing would be wrong with the numbers, but every step would "
        "remember the teachers' activations. Ask them under torch.no_grad()",
    )
    alone = _tensor(answer(_networks(), images[:1].clone()), (1, CLASSES), "the answer for one image")
    require(
        same(alone[0], z[0]),
        "the answer for an image depends on the batch it comes in: some model is not in eval",
    )
    return "the answer for an image is the same in any batch, and no statistics moved."


@checker
def check_one_view(answer) -> str:
    """``answer(student, teachers, images, generator)``: student logits and mean teacher logits of the same views."""
    images = _photographs()
    student, *teachers = [network.eval() for network in _networks(4)]
    result = answer(student, teachers, images.clone(), torch.Generator().manual_seed(0))
    logits = pair(result, "return two things: the student's logits and the mean of the teachers' logits")
    asked = [len(network.seen) == 1 for network in (student, *teachers)]
    require(all(asked), "ask the student and every teacher exactly once, about the whole batch")
    seen = [network.seen[0].float() for network in (student, *teachers)]
    require(
        all(s.shape == images.shape for s in seen),
        "every network must see the whole batch, 32 x 32",
    )
    _one_draw(images, seen)
    z = _tensor(logits[0], (len(images), CLASSES), "the student's logits")
    target = _tensor(logits[1], (len(images), CLASSES), "the target")
    own, every = student(seen[0]), torch.stack([teacher(seen[0]) for teacher in teachers])
    means = every.mean(dim=0)
    turned = same(z, means) and same(target, own)
    require(not turned, "give the student's logits first, the mean of the teachers' second")
    recognise(
        target,
        {
            "the teachers' logits are added up: take their mean": every.sum(dim=0),
            "the target is a mean of probabilities: stay with logits, the loss takes the softmax": (
                F.softmax(every, dim=2).mean(dim=0)
            ),
        },
    )
    words = "the views are right, but these are not the student's logits and the mean of the teachers' logits"
    require(same(z, own) and same(target, means), words)
    words = "the student's logits carry no graph, so it cannot learn: torch.no_grad() is for the teachers alone"
    require(isinstance(logits[0], Tensor) and logits[0].requires_grad, words)
    return "student and teachers speak of the same picture."


def _one_draw(images: Tensor, seen: list[Tensor]) -> None:
    """Raise Wrong unless the student, whose pictures come first, and all teachers saw the generator's first views."""
    shown_alike = [bool(torch.equal(seen[0], other)) for other in seen[1:]]
    alike = all(torch.equal(seen[1], other) for other in seen[2:])
    require(
        all(shown_alike) or not alike,
        "all teachers see one view now, but the student sees another: it would be asked to give their answer to a "
        "picture that it was not shown",
    )
    other = [place for place, equal in enumerate(shown_alike) if not equal]
    require(
        not other,
        f"teacher {sum(other[:1])} sees another crop than the student: draw the views once, before anybody looks",
    )
    views = draw_views(len(images), torch.Generator().manual_seed(0))
    shown = crop_and_flip(images, views)
    recognise(
        seen[0],
        {
            "now nobody sees an augmented picture: keep crop and flip, but draw them once for all": normalise(images),
            "keep normalise(...): the networks were trained on normalised images": shown.float(),
        },
    )
    require(
        same(seen[0], normalise(shown)),
        "all see the same picture, but not the generator's first draw: "
        "normalise(crop_and_flip(images, draw_views(len(images), generator))), once",
    )


@checker
def check_honest_choice(answer) -> str:
    """``answer(validation, validation_labels, test, test_labels)``: (members chosen, accuracy to report in percent).

    ``validation`` and ``test`` are dicts from name to logits. The broken one chooses on the test set.
    """
    validation, test, labels = _lucky_members()
    names = tuple(validation)

    def accuracy(logits: dict, y: Tensor, chosen) -> float:
        mean = torch.stack([logits[name] for name in chosen]).mean(dim=0)
        return 100 * (mean.argmax(dim=1) == y).double().mean().item()

    subsets = [choice for size in range(1, 5) for choice in itertools.combinations(names, size)]
    honest = max(subsets, key=lambda choice: accuracy(validation, labels[0], choice))
    leaking = max(subsets, key=lambda choice: accuracy(test, labels[1], choice))

    def ask(y_test: Tensor) -> tuple[tuple[str, ...], float]:
        given = [{name: z.clone() for name, z in logits.items()} for logits in (validation, test)]
        result = answer(given[0], labels[0].clone(), given[1], y_test.clone())
        words = "return two things: the names chosen, and the accuracy to report in percent"
        chosen, reported = pair(result, words)
        chosen = tuple(sorted(str(name) for name in items(chosen, words)))
        require(bool(chosen) and set(chosen) <= set(names), f"{chosen} are not names of members")
        return chosen, number(reported, "the accuracy")

    chosen, reported = ask(labels[1])
    require(
        chosen != leaking,
        "the members are still chosen by their accuracy on the test set: the exam's answers decide who sits it",
    )
    others = labels[1].roll(3)
    require(
        ask(others)[0] == chosen,
        "other test labels change your choice: the choice must not look at them at all",
    )
    require(chosen != names, "you keep all members: choose the set with the best validation accuracy")
    require(
        chosen == honest,
        f"the best set on the validation images is {', '.join(honest)}, not {', '.join(chosen)}",
    )
    require(
        abs(reported - accuracy(validation, labels[0], chosen)) > 1e-6,
        "you report the validation accuracy, which the choice was made by: it flatters. Report the test accuracy, once",
    )
    shown = accuracy(test, labels[1], chosen)
    words = f"report the test accuracy of the chosen members in percent: {shown:.2f}, not {reported:.2f}"
    require(abs(reported - shown) < 1e-4, words)
    return "chosen on one set, judged once on the other."


def _lucky_members() -> tuple[dict[str, Tensor], dict[str, Tensor], list[Tensor]]:
    """Logits of four members for 400 validation and 500 test images, and the two sets' labels.

    What is best for validation is not what is best for the test: "d" shines there by luck.
    """
    generator = torch.Generator().manual_seed(9)
    labels = [torch.randint(CLASSES, (n,), generator=generator) for n in (400, 500)]
    strength = {"a": (2.5, 1.5), "b": (2.2, 1.2), "c": (1.2, 1.0), "d": (0.4, 3.0)}
    validation, test = {}, {}
    for name, strengths in strength.items():
        for store, y, strong in zip((validation, test), labels, strengths, strict=True):
            noise = torch.randn(len(y), CLASSES, generator=generator)
            store[name] = noise + strong * F.one_hot(y, CLASSES)
    return validation, test, labels
