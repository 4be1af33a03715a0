"""Checkers of lesson 03: soft targets, Eq. 1 and its gradient, four bugs from real scripts, calibration."""

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import Tensor

from classroom.calibration import reliability
from classroom.checks.declared import compare, declared, tell
from classroom.checks.reading import close, numbers, pair, tensor
from classroom.checks.stand_ins import CLASSES, Watched, noise, seeded
from classroom.checks.verdict import checker, require

V, Z = 2.5 * noise(2, 6, CLASSES)  # logits of a teacher and of a student
LABELS = torch.tensor([8, 2, 0, 9, 3, 5])


@declared(
    [(V, 1.0), (V, 4.0), (V, 0.5), (1000 * V, 1.0)],
    "softened, and safe for logits in the thousands.",
    hint="each row must be softmax(logits / T)",
)
def check_soften(v, T):
    """``my_soften(logits, T)``: (N, C) logits to (N, C) probabilities."""
    large, maximum = bool(v.abs().max() > 1000), "subtract each row's maximum before you exponentiate"
    return (v / T).softmax(1), {
        "these are logarithms: take softmax, not log_softmax": (v / T).log_softmax(1),
        "the temperature has no effect: divide the logits by T before the softmax": v.softmax(1),
        "you multiply by T: that sharpens. Divide the logits by T": (v * T).softmax(1),
        "each column sums to 1, not each row: softmax over dim=1, the classes": (v / T).softmax(0),
        f"large logits overflow to inf or nan: {maximum}": large and (lambda found: not found.isfinite().all()),
        f"logits in the thousands come out wrong: rather than capping them or repairing nan, {maximum}": large,
    }


@declared(
    [V.softmax(1), torch.eye(CLASSES)],
    "in bits, one number an image, and 0 for a certain class.",
    hint="minus the sum of p log2 p, a row each; a certain class has entropy 0",
    shape="sum over the classes (dim=1) only. If one number came for the whole batch: one number an image is wanted",
)
def check_entropy(p):
    """``my_entropy(p)``: (N, C) probabilities to (N,) entropies in bits."""
    nats = -torch.xlogy(p, p).sum(1)
    bits = nats / torch.tensor(2.0).log()
    return bits, {
        "this is in nats: use log2, or divide by log(2)": nats,
        "the sign is turned: probabilities are below 1, so their logarithms are negative": -bits,
        "a certain class gives nan, as 0 · log 0 is nan: let it add nothing": lambda found: bool(found.isnan().any()),
    }


def _kl(z: Tensor, v: Tensor, T: float, dim: int = 1) -> Tensor:
    """KL(softmax(v / T) || softmax(z / T)) with the softmax along ``dim``, a mean over the batch."""
    log_p, log_q = F.log_softmax(v / T, dim), F.log_softmax(z / T, dim)
    return (log_p.exp() * (log_p - log_q)).sum(1).mean()


@declared(
    [(Z, V, 4.0), (Z, V, 1.0), (Z, V, 2.0)],
    "T² · KL(teacher ‖ student), a mean over the batch only.",
    hint="T² · KL, summed over classes, mean over the batch",
)
def check_soft_loss(z, v, T):
    """``my_soft_loss(z, v, T)``: T^2 KL(teacher || student) of student logits z and teacher logits v, batch mean."""
    log_p, log_q = (v / T).log_softmax(1), (z / T).log_softmax(1)
    p, q, kl = log_p.exp(), log_q.exp(), _kl(z, v, T)
    right, as_logarithms = T**2 * kl, (p.exp() * (p - log_q)).sum(1).mean()
    logarithms = "log_target=True says that the teacher comes as logarithms too: give it log_softmax of both"
    classes = "your KL is averaged over classes as well: divide by the batch only (reduction='batchmean')"
    return right, {
        "this is nan: F.kl_div takes its second argument for probabilities, unless log_target=True": math.isnan,
        classes: right / CLASSES,
        "your KL is summed over the batch: divide by the number of images": right * len(v),
        "T² is forgotten": kl,
        f"T² is forgotten, and {classes}": kl / CLASSES,
        "T stands where T² belongs": T * kl,
        "T² is there, but the logits are not divided by T": T**2 * _kl(z, v, 1.0),
        "only the teacher is softened: divide the student's logits too": T**2 * _kl(z * T, v, T),
        "only the student is softened: the teacher's logits too": T**2 * _kl(z, v * T, T),
        "teacher and student are exchanged: in KL(p ‖ q) p is the teacher's": T**2 * _kl(v, z, T),
        "F.kl_div wants the student's logarithms: give it log_softmax": T**2 * (p * (log_p - q)).sum(1).mean(),
        logarithms: T**2 * as_logarithms,
        "your softmax runs over the images: take it over the classes, dim=1": T**2 * _kl(z, v, T, dim=0),
        "this is the soft cross-entropy: subtract the teacher's own entropy": -(T**2) * (p * log_q).sum(1).mean(),
    }


@declared(
    [(Z, V, LABELS, 4.0, 0.25), (Z, V, LABELS, 1.0, 0.9), (Z, V, LABELS, 4.0, 1.0)],
    "Eq. 1: the label's term plain, the teacher's softened, with T² and 1 - alpha.",
    hint="this is not Eq. 1",
)
def check_eq_1(z, v, labels, T, alpha):
    """``my_loss(z, v, labels, T, alpha)``: Eq. 1 with alpha on the hard term; a find-the-bug exercise."""
    kl, hard, warm = _kl(z, v, T), F.cross_entropy(z, labels), F.cross_entropy(z / T, labels)
    soft = (1 - alpha) * T**2 * kl
    return alpha * hard + soft, {
        "the hard term is softened as well: label and plain softmax belong together, without T": alpha * warm + soft,
        "T² multiplies both terms: it belongs to the soft one only": T**2 * (alpha * hard + (1 - alpha) * kl),
        "alpha weighs the teacher: in Eq. 1 it is the weight of the label's term": (
            (1 - alpha) * hard + alpha * T**2 * kl
        ),
        "T² is forgotten": alpha * hard + (1 - alpha) * kl,
        "T stands where T² belongs": alpha * hard + (1 - alpha) * T * kl,
        "both bugs are still there: alpha weighs the teacher, and T² is forgotten": (1 - alpha) * hard + alpha * kl,
        "your KL is averaged over classes as well: divide by the batch only": alpha * hard + soft / CLASSES,
        "teacher and student are exchanged in the KL": alpha * hard + (1 - alpha) * T**2 * _kl(v, z, T),
    }


@declared(
    [(Z, V, 1.0), (Z, V, 4.0)],
    "T (q - p): what the teacher's part of a step pulls at, with the sign turned.",
    hint="at every T it is T (q - p), both softened by T",
)
def check_soft_gradient(z, v, T):
    """``my_gradient(z, v, T)``: (N, C), how T^2 KL of each image changes with the student's logits z."""
    q, p = (z / T).softmax(1), (v / T).softmax(1)
    return T * (q - p), {
        "the sign is turned: the loss grows where the student gives more than the teacher, q - p": T * (p - q),
        "this is the gradient of KL without T²: T² times 1/T leaves T": (q - p) / T,
        "this is q - p: KL has 1/T in front of it, and T² times that leaves T": q - p,
        "p and q are not softened: take them at temperature T": T * (z.softmax(1) - v.softmax(1)),
        "these are the limits at high T. Exact is T (q - p)": (z - v) / CLASSES,
    }


@checker
def check_teacher_answer(answer) -> str:
    """``my_answer(model, images)``: a teacher's logits; a find-the-bug exercise."""
    model, images = Watched(seed=1, side=4), noise(8, 3, 4, 4, seed=2)
    with torch.no_grad():
        right = model.eval()(images)
    model.train()  # as a careless script leaves it
    before = [buffer.clone() for buffer in model.buffers()]
    given = answer(model, images.clone())
    tensor(given, "the logits")
    moved = not all(torch.equal(old, new) for old, new in zip(before, model.buffers(), strict=True))
    with torch.no_grad():
        late = model.eval()(images)
    mistakes = {
        "the teacher's batch-norm statistics have moved: switch to eval mode before it sees an image": moved and late,
        "these are probabilities: the loss softens logits, so return those": right.softmax(1),
        "the answer depends on its neighbours: batch norm is in train mode. Call model.eval() first": moved,
    }
    compare(given, right, mistakes, "the logits", "these are not the model's logits in eval mode")
    require(not given.requires_grad, "the answers carry a graph, and backward would go through it: torch.no_grad()")
    return "eval mode, no graph, and the teacher is what it was."


@checker
def check_one_view(answer) -> str:
    """``my_logits(student, teacher, images, augment)``: both networks' logits; a find-the-bug exercise."""
    asked_about_one_view(lambda student, teachers, *rest: answer(student, *teachers, *rest), teachers=1)
    return "one draw, one view, both networks."


def asked_about_one_view(answer: Callable, teachers: int) -> None:
    """Raise Wrong unless ``answer(student, teachers, images, augment)`` gives student's and mean teacher's logits."""
    random = seeded(3)
    images, drawn = torch.rand(6, 3, 4, 4, generator=random), []
    student, *taught = networks = [Watched(seed, side=4).eval() for seed in range(4, 5 + teachers)]
    names = ["student", *(f"teacher {place}" if teachers > 1 else "teacher" for place in range(teachers))]

    def augment(batch: Tensor) -> Tensor:
        drawn.append(batch + torch.rand(batch.shape, generator=random))
        return drawn[-1]

    both = answer(student, taught, images.clone(), augment)
    logits = pair(both, "return two things: the student's logits, and the teacher's or the mean of the teachers'")
    require(all(network.seen for network in networks), "ask every network, once each, about the whole batch")
    require(bool(drawn), "nobody sees an augmented image: call augment(images)")
    seen = {name: network.seen[-1] for name, network in zip(names, networks, strict=True)}
    plain = [name for name, batch in seen.items() if close(batch, images)]
    require(not plain, f"plain images reach the {' and the '.join(plain)}: give all what augment returned")
    others = [name for name, batch in seen.items() if not close(batch, drawn[0])]
    words = f"crop and flip are drawn {len(drawn)} times: augment once, and give all networks what it returned"
    require(len(drawn) == 1, words)
    require(not others, f"the {' and the '.join(others)} must see what augment returned, and nothing else")
    with torch.no_grad():
        own, every = student(drawn[0]), torch.stack([teacher(drawn[0]) for teacher in taught])
    found = torch.stack([numbers(tensor(part, "logits"), own.shape, "logits") for part in logits])
    right = torch.stack([own, every.mean(0)])
    mistakes = {
        "these are probabilities: return the logits, the loss takes the softmax": right.softmax(2),
        "the target is a mean of probabilities: stay with logits": torch.stack([own, every.softmax(2).mean(0)]),
        "the teachers' logits are added up: take their mean": torch.stack([own, every.sum(0)]),
        "the answers come in the wrong order: the student's logits first": right.flip(0),
    }
    compare(found, right, mistakes, "the logits", "these are not the networks' logits for the view that they saw")
    words = "the student's logits carry no graph, so it cannot learn: torch.no_grad() is for teachers alone"
    require(logits[0].requires_grad, words)


@checker
def check_order(answer) -> str:
    """``my_order(count, epoch, seed)``: the order of the training images in an epoch; a find-the-bug exercise."""
    count, state = 1000, torch.get_rng_state()
    plain = torch.arange(count).double()

    def order(epoch: int, seed: int) -> Tensor:
        words = f"every image must come exactly once: return the numbers 0 to {count - 1} in some order"
        found = numbers(answer(count, epoch, seed), (count,), "the order", words)
        require(torch.equal(found.sort().values, plain), words)
        return found

    first, second, other, again = (order(*place) for place in ((1, 0), (2, 0), (1, 1), (1, 0)))
    reseeded = not torch.equal(state, torch.get_rng_state())
    torch.set_rng_state(state)
    neighbours = int(((first[1:] - first[:-1]).abs() == 1).sum())
    words = f"{neighbours} of {count} images still come right after their neighbour: shuffle them, do not only shift"
    mistakes = {
        "the images come in their stored order: every epoch then has the same batches": plain,
        words: neighbours >= count / 10,
        "epochs 1 and 2 have the same order, and the same batches: let the epoch into the seed": second,
        "two seeds give the same order: let the seed into the generator's seed": other,
        "asked twice, epoch 1 comes in two orders: seed a torch.Generator of your own": not torch.equal(first, again),
    }
    tell(mistakes, first)
    tell({"epoch 2 of seed 0 is epoch 1 of seed 1: seed + epoch collides. Multiply the seed first": other}, second)
    words = "epoch 100 of seed 0 is epoch 0 of seed 1: multiply the seed by a number larger than any epoch"
    tell({words: order(0, 1)}, order(100, 0))
    words = (
        "the order is right, but you seed torch's own generator, and crops and dropout are set back in every epoch: "
        "use a torch.Generator of your own"
    )
    require(not reseeded, words)
    return "shuffled anew in every epoch, and the same again for the same seed."


def _badly_calibrated(images: int = 2000) -> tuple[Tensor, Tensor]:
    """Logits that are too sure in some bins and not sure enough in others, and labels: no two rules agree on them."""
    random = seeded(6)
    likely = torch.randint(CLASSES, (images,), generator=random)
    logits = torch.randn(images, CLASSES, generator=random) * 1.5
    logits[torch.arange(images), likely] += torch.randn(images, generator=random) * 2 + 1.5
    confidence, guess = logits.softmax(1).max(1)
    accuracy = (confidence + 0.25 * torch.sin(25 * confidence)).clamp(0, 1)
    hit = torch.rand(images, generator=random) < accuracy
    return logits, torch.where(hit, guess, (guess + 1) % CLASSES)


@declared(
    [(*_badly_calibrated(), bins) for bins in (10, 15)],
    "bins weighed by their images, gaps without their sign.",
    hint="bins of equal width: mean of |accuracy - confidence|, weighed by each bin's images",
    tolerance=1e-3,
)
def check_ece(logits, labels, bins):
    """``my_ece(logits, labels, bins)``: expected calibration error, 0 to 1, over equal bins of the confidence."""
    ten, rows = (np.array(reliability(logits.softmax(1), labels, n)).T for n in (10, bins))
    gaps, share = rows[1] - rows[0], rows[2]
    expected, signed = share @ abs(gaps), share @ gaps
    weigh = "bins with few images count as much as full ones: weigh each gap by its share of the images"
    cancel = "gaps of both signs cancel: take the absolute value of each bin's gap"
    return expected, {
        weigh: lambda found: any(close(found, abs(gaps).sum() / n, 1e-3) for n in (1, len(gaps), bins)),
        cancel: lambda found: close(abs(found), abs(signed), 1e-3),
        "this counts images where a share belongs: divide by the number of images": expected * len(labels),
        "this is in percent: give a share from 0 to 1": 100 * expected,
        "this is the largest gap (MCE): the expected one is the mean, weighed by the images": abs(gaps).max(),
        f"these are 10 bins, and {bins} were asked for: use the argument": ten[2] @ abs(ten[1] - ten[0]),
    }


def _miscalibrated(factor: float) -> tuple[Tensor, Tensor]:
    """Logits that are ``factor`` times too large, and labels."""
    random = seeded(7)
    calm = torch.randn(4000, CLASSES, generator=random) * 1.5
    return factor * calm, torch.multinomial(calm.softmax(1), 1, generator=random).flatten()


@declared(
    [_miscalibrated(3.0), _miscalibrated(0.5)],
    "the temperature of the lowest cross-entropy; no answer changed, only its confidence.",
    tolerance=0.06,
)
def check_fitted_temperature(logits, labels):
    """``my_temperature(logits, labels)``: the T > 0 that makes softmax(logits / T) the likeliest for the labels."""
    found = minimize_scalar(lambda T: F.cross_entropy(logits / T, labels).item(), bounds=(0.1, 10), method="bounded")
    best = float(found.x)
    lowest = f"the cross-entropy of logits / T is lowest near {best:.2f}"
    return best, {
        "T must be above 0": lambda found: found <= 0,
        "this is 1, the temperature that changes nothing: minimise over T": 1.0,
        "this is 1/T: the logits are divided by T, not multiplied": 1 / best,
        f"this is too high: {lowest}": lambda found: found > best,
        f"this is too low: {lowest}": lambda found: found < best,
    }


@declared(
    [V.softmax(1)],
    "how sure the teacher is, and nothing of what it would have said next.",
    hint="the first choice is not kept, or the rest not shared evenly",
)
def check_without_dark_knowledge(p):
    """``my_targets(p)``: the first choice keeps its probability, the nine others share the rest evenly."""
    top, place = p.max(1, keepdim=True)

    def first_and(rest: Tensor) -> Tensor:
        return rest.expand_as(p).scatter(1, place, top)

    return first_and((1 - top) / (CLASSES - 1)), {
        "this is the teacher as it was: level the nine others": p,
        "this is a label: the first choice keeps its own probability, not 1": F.one_hot(place[:, 0], CLASSES),
        "the rest is shared among ten: there are nine other classes": first_and((1 - top) / CLASSES),
        "the nine others got nothing: share what the first choice leaves": first_and(torch.zeros(len(p), 1)),
        "all ten are equal now: the first choice keeps its probability": torch.full_like(p, 1 / CLASSES),
        "each row must sum to 1": lambda found: not close(found.sum(1), torch.ones(len(p))),
    }
