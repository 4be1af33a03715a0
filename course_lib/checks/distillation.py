"""The exercises of lesson 03: soft targets, Eq. 1 and its gradient, four bugs from real scripts, calibration.

Each checker has small fixed numbers of its own. It compares the reader's result with the right one and, when the two
differ, with what the typical mistakes would give.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.checks.verdict import Wrong, checker, require

CLASSES = 10


@checker
def check_soften(answer: Callable) -> str:
    """``my_soften(logits, T)``: (N, C) logits to (N, C) probabilities."""
    v, _, _ = _batch()
    for T in (1.0, 4.0, 0.5):
        found = _numbers(answer(v, T), v.shape)
        mistakes = {
            "these are logarithms: take softmax, not log_softmax": (v / T).log_softmax(1),
            "the temperature has no effect: divide the logits by T before the softmax": v.softmax(1),
            "you multiply by T: that sharpens. Divide the logits by T": (v * T).softmax(1),
            "T divides the probabilities, which then no longer sum to 1: divide the logits, before the exponential": (
                v.softmax(1) / T
            ),
            "the powers are not normalised: divide each row by its sum": (v / T).exp(),
            "each column sums to 1, not each row: softmax over dim=1, the classes": (v / T).softmax(0),
        }
        _compare(found, (v / T).softmax(1), mistakes, "each row must be softmax(logits / T)")
    large = _numbers(answer(1000 * v, 1.0), v.shape)
    words = (
        "large logits overflow to inf or nan: subtract each row's maximum before you exponentiate (no softmax notices)"
    )
    require(bool(large.isfinite().all()), words)
    return "softened, and safe for logits in the thousands."


@checker
def check_entropy(answer: Callable) -> str:
    """``my_entropy(p)``: (N, C) probabilities to (N,) entropies in bits."""
    v, _, _ = _batch()
    p = v.softmax(1)
    nats = -(p * p.log()).sum(1)
    found = torch.as_tensor(answer(p)).double()
    if found.ndim == 0:
        raise Wrong("one number came for the whole batch: sum over the classes (dim=1) only, one number an image")
    mistakes = {
        "this is in nats: use log2, or divide by log(2)": nats,
        "the sign is turned: probabilities are below 1, so their logarithms are negative": -nats
        / torch.tensor(2.0).log(),
        "this is the mean over the classes: the entropy is the sum": nats / torch.tensor(2.0).log() / CLASSES,
    }
    _compare(
        _numbers(found, (len(v),)), nats / torch.tensor(2.0).log(), mistakes, "minus the sum of p log2 p, a row each"
    )
    certain = _numbers(answer(torch.eye(CLASSES)), (CLASSES,))
    words = "a certain class gives nan, for 0 · log 0 is nan to a computer: let a class without probability add nothing"
    require(not bool(certain.isnan().any()), words)
    require(_same(certain, torch.zeros(CLASSES)), "a certain class has entropy 0: add no constant inside the logarithm")
    return "in bits, one number an image, and 0 for a certain class."


@checker
def check_soft_loss(answer: Callable) -> str:
    """``my_soft_loss(z, v, T)``: T^2 KL(teacher || student) of student logits z and teacher logits v, batch mean."""
    v, z, _ = _batch()
    for T in (4.0, 1.0, 2.0):
        log_p, log_q = F.log_softmax(v / T, 1), F.log_softmax(z / T, 1)
        p, q = log_p.exp(), log_q.exp()
        kl = (p * (log_p - log_q)).sum(1).mean()
        right = T**2 * kl
        plain_p, plain_q = F.log_softmax(v, 1), F.log_softmax(z, 1)
        mistakes = {
            "your KL is averaged over classes as well: divide by the batch only (reduction='batchmean')": right
            / CLASSES,
            "your KL is summed over the batch: divide by the number of images": right * len(v),
            "T² is forgotten": kl,
            "T stands where T² belongs": T * kl,
            "T² is there, but the logits are not divided by T": T**2
            * (plain_p.exp() * (plain_p - plain_q)).sum(1).mean(),
            "only the teacher is softened: the student's logits are divided by T too": (
                T**2 * (p * (log_p - plain_q)).sum(1).mean()
            ),
            "only the student is softened: the teacher's logits are divided by T too": (
                T**2 * (plain_p.exp() * (plain_p - log_q)).sum(1).mean()
            ),
            "teacher and student are exchanged: in KL(p ‖ q) the teacher is p, which weighs the logarithms": (
                T**2 * (q * (log_q - log_p)).sum(1).mean()
            ),
            "probabilities stand where F.kl_div wants the student's logarithms: give it log_softmax": (
                T**2 * (p * (log_p - q)).sum(1).mean()
            ),
            "this is the cross-entropy with soft targets. Its gradient is the same, but it is not 0 when both agree: "
            "subtract the teacher's entropy": -(T**2) * (p * log_q).sum(1).mean(),
            "the sign is turned: a divergence is never negative": -right,
        }
        _compare(_numbers(answer(z, v, T), ()), right, mistakes, "T² · KL, summed over classes, mean over the batch")
    return "T² · KL(teacher ‖ student), a mean over the batch only."


@checker
def check_eq_1(answer: Callable) -> str:
    """``my_loss(z, v, labels, T, alpha)``: Eq. 1 with alpha on the hard term; a find-the-bug exercise."""
    v, z, labels = _batch()
    for T, alpha in ((4.0, 0.25), (1.0, 0.9), (4.0, 1.0)):
        log_p, log_q = F.log_softmax(v / T, 1), F.log_softmax(z / T, 1)
        kl = (log_p.exp() * (log_p - log_q)).sum(1).mean()
        hard, warm = F.cross_entropy(z, labels), F.cross_entropy(z / T, labels)
        right = alpha * hard + (1 - alpha) * T**2 * kl
        mistakes = {
            "the hard term is softened as well: label and plain softmax belong together, without T": (
                alpha * warm + (1 - alpha) * T**2 * kl
            ),
            "T² multiplies both terms: it belongs to the soft one only": T**2 * (alpha * hard + (1 - alpha) * kl),
            "T² multiplies the hard term, and the soft one lacks it": alpha * T**2 * hard + (1 - alpha) * kl,
            "alpha weighs the teacher here, as in other codes: in Eq. 1 it is the weight of the label's term": (
                (1 - alpha) * hard + alpha * T**2 * kl
            ),
            "T² is forgotten": alpha * hard + (1 - alpha) * kl,
            "the hard term is softened, and T² multiplies it": (T**2 * (alpha * warm + (1 - alpha) * kl)),
            "both bugs are still there: alpha weighs the teacher's term, and T² is forgotten": (
                (1 - alpha) * hard + alpha * kl
            ),
            "your KL is averaged over classes as well: divide by the batch only": (
                alpha * hard + (1 - alpha) * T**2 * kl / CLASSES
            ),
            "the soft term has the whole weight: multiply it by 1 - alpha": alpha * hard + T**2 * kl,
        }
        words = f"at T = {T:g}, alpha = {alpha:g}"
        _compare(_numbers(answer(z, v, labels, T, alpha), ()), right, mistakes, f"{words} this is not Eq. 1")
    return "Eq. 1: the label's term plain, the teacher's softened, with T² and 1 - alpha."


@checker
def check_soft_gradient(answer: Callable) -> str:
    """``my_gradient(z, v, T)``: (N, C), how T^2 KL of each image changes with the student's logits z."""
    v, z, _ = _batch()
    for T in (1.0, 4.0):
        q, p = (z / T).softmax(1), (v / T).softmax(1)
        mistakes = {
            "the sign is turned: the loss grows where the student gives more than the teacher, q - p": T * (p - q),
            "this is the gradient of KL without T²: T² times 1/T leaves T": (q - p) / T,
            "this is q - p: KL has 1/T in front of it, and T² times that leaves T": q - p,
            "T² stands in front: dividing the logits by T gave 1/T, so T is left": T**2 * (q - p),
            "p and q are not softened: take them at temperature T": T * (z.softmax(1) - v.softmax(1)),
            "this is divided by the batch: the gradient of each image on its own was asked": T * (q - p) / len(z),
            "these are the limits at high T. Exact is T (q - p)": (z - v) / CLASSES,
        }
        _compare(
            _numbers(answer(z, v, T), z.shape), T * (q - p), mistakes, "at every T it is T (q - p), both softened by T"
        )
    return "T (q - p): what the teacher's part of a step pulls at, with the sign turned."


@checker
def check_teacher_answer(answer: Callable) -> str:
    """``my_answer(model, images)``: a teacher's logits; a find-the-bug exercise."""
    model = _small_network(seed=1)
    images = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        right = model.eval()(images)
    model.train()  # as a careless script leaves it
    before = [buffer.clone() for buffer in model.buffers()]
    found = answer(model, images)
    require(isinstance(found, Tensor) and found.shape == right.shape, "return the logits, (N, classes)")
    moved = not all(torch.equal(old, new) for old, new in zip(before, model.buffers(), strict=True))
    with torch.no_grad():
        late = moved and _same(found.detach(), model.eval()(images))
    require(not late, "the teacher's batch-norm statistics have moved: switch to eval mode before it sees an image")
    words = "the answer depends on the neighbours in the batch: batch norm is in train mode. Call model.eval() first"
    require(_same(found.detach(), right), words)
    words = (
        "the answers carry a graph, so the student's backward pass would go through the teacher: use torch.no_grad()"
    )
    require(not found.requires_grad, words)
    return "eval mode, no graph, and the teacher is what it was."


@checker
def check_one_view(answer: Callable) -> str:
    """``my_logits(student, teacher, images, augment)``: both networks' logits; a find-the-bug exercise."""
    random = torch.Generator().manual_seed(3)
    images = torch.rand(6, 3, 4, 4, generator=random)
    student, teacher = _small_network(seed=4).eval(), _small_network(seed=5).eval()
    drawn, seen = [], {}

    def augment(batch: Tensor) -> Tensor:
        drawn.append(batch + torch.rand(batch.shape, generator=random))
        return drawn[-1]

    def watched(name: str, network: nn.Module) -> Callable[[Tensor], Tensor]:
        def ask(batch: Tensor) -> Tensor:
            seen[name] = batch
            return network(batch)

        return ask

    both = answer(watched("student", student), watched("teacher", teacher), images, augment)
    require(isinstance(both, tuple) and len(both) == 2, "return two things: the student's logits, the teacher's logits")
    require(set(seen) == {"student", "teacher"}, "ask both networks, once each")
    require(bool(drawn), "nobody sees an augmented image: call augment(images)")
    for name, batch in seen.items():
        words = f"the {name} sees the plain images and the other one an augmented view: give both the same view"
        require(not _same(batch, images), words)
    words = (
        "crop and flip are drawn twice, apart: the teacher answers to another picture. Augment once, and give both that"
    )
    require(_same(seen["student"], seen["teacher"]), words)
    with torch.no_grad():
        right = student(seen["student"]), teacher(seen["teacher"])
    words = "the answers come in the wrong order: the student's first"
    require(_same(both[0].detach(), right[0]) and _same(both[1].detach(), right[1]), words)
    return "one draw, one view, both networks."


@checker
def check_order(answer: Callable) -> str:
    """``my_order(count, epoch, seed)``: the order of the training images in an epoch; a find-the-bug exercise."""
    count = 1000
    first, second, other = (_order(answer(count, *place)) for place in ((1, 0), (2, 0), (1, 1)))
    for order in (first, second, other):
        whole = order.shape == (count,) and torch.equal(order.sort().values, torch.arange(count))
        require(whole, f"every image must come exactly once: return the numbers 0 to {count - 1} in some order")
    plain = torch.arange(count)
    require(
        not torch.equal(first, plain), "the images come in their stored order: every epoch then has the same batches"
    )
    words = "epochs 1 and 2 have the same order, so every epoch has the same batches: let the epoch into the seed"
    require(not torch.equal(first, second), words)
    require(not torch.equal(first, other), "two seeds give the same order: let the seed into the generator's seed")
    words = "asked twice, epoch 1 comes in two orders: use a torch.Generator of your own, seeded from seed and epoch"
    require(torch.equal(first, _order(answer(count, 1, 0))), words)
    words = "epoch 2 of seed 0 is epoch 1 of seed 1: seed + epoch collides. Multiply the seed by a large number first"
    require(not torch.equal(second, other), words)
    return "shuffled anew in every epoch, and the same again for the same seed."


@checker
def check_ece(answer: Callable) -> str:
    """``my_ece(logits, labels, bins)``: expected calibration error, 0 to 1, over equal bins of the confidence."""
    random = torch.Generator().manual_seed(6)
    labels = torch.randint(CLASSES, (2000,), generator=random)
    logits = torch.randn(2000, CLASSES, generator=random) * 1.5
    logits[torch.arange(2000), labels] += torch.randn(2000, generator=random) * 2 + 1.5
    for bins in (10, 15):
        confidence, guess = logits.softmax(1).max(1)
        right = (guess == labels).double()
        share, gaps = _bin_gaps(confidence.double(), right, bins)
        expected = (share * gaps.abs()).sum()
        every = logits.softmax(1)
        hits = F.one_hot(labels, CLASSES).double()
        all_share, all_gaps = _bin_gaps(every.flatten().double(), hits.flatten(), bins)
        mistakes = {
            "bins with few images count as much as full ones: weigh each gap by its share of the images": (
                gaps[share > 0].abs().mean()
            ),
            "gaps of both signs cancel: take the absolute value of each": (share * gaps).sum().abs(),
            "gaps of both signs cancel: take the absolute value of each bin's gap": (share * gaps).sum(),
            "this counts images where a share belongs: divide by the number of images": expected * len(labels),
            "this is in percent: give a share from 0 to 1": 100 * expected,
            "all ten probabilities are counted: take only the first choice's, the confidence": (
                (all_share * all_gaps.abs()).sum()
            ),
            "this is the largest gap (MCE): the expected one is the mean, weighed by the images": gaps.abs().max(),
        }
        words = f"with {bins} bins of equal width: mean of |accuracy - confidence|, weighed by each bin's images"
        _compare(_numbers(answer(logits, labels, bins), ()), expected, mistakes, words, tolerance=1e-3)
    return "bins weighed by their images, gaps without their sign."


@checker
def check_fitted_temperature(answer: Callable) -> str:
    """``my_temperature(logits, labels)``: the T > 0 that makes softmax(logits / T) the likeliest for the labels."""
    random = torch.Generator().manual_seed(7)
    calm = torch.randn(4000, CLASSES, generator=random) * 1.5
    labels = torch.multinomial(calm.softmax(1), 1, generator=random).flatten()
    grid = torch.logspace(-1, 1, 240)
    for factor in (3.0, 0.5):
        logits = calm * factor
        losses = torch.stack([F.cross_entropy(logits / T, labels) for T in grid])
        best = float(grid[losses.argmin()])
        found = float(_numbers(answer(logits, labels), ()))
        require(found > 0, "T must be above 0")
        require(abs(found - 1) > 0.05, "this is 1, the temperature that changes nothing: minimise over T")
        require(abs(found * best - 1) > 0.05, "this is 1/T: the logits are divided by T, not multiplied")
        edge = "the end of the range you searched" if found > best else "too low"
        words = f"T = {found:.2f} came, {edge}; the cross-entropy of logits / T is lowest near {best:.2f}"
        require(abs(found - best) < 0.06 * best, words)
    return "the temperature of the lowest cross-entropy; no answer changed, only its confidence."


@checker
def check_without_dark_knowledge(answer: Callable) -> str:
    """``my_targets(p)``: the first choice keeps its probability, the nine others share the rest evenly."""
    v, _, _ = _batch()
    p = v.softmax(1)
    found = _numbers(answer(p), p.shape)
    top, place = p.max(1, keepdim=True)
    even = (1 - top) / (CLASSES - 1)
    right = even.expand_as(p).scatter(1, place, top)
    mistakes = {
        "this is the teacher as it was: level the nine others": p,
        "this is a label: the first choice keeps its own probability, not 1": F.one_hot(place[:, 0], CLASSES).float(),
        "the rest is shared among ten: there are nine other classes": (
            ((1 - top) / CLASSES).expand_as(p).scatter(1, place, top)
        ),
        "the nine others got nothing: share what the first choice leaves": torch.zeros_like(p).scatter(1, place, top),
        "all ten are equal now: the first choice keeps its probability": torch.full_like(p, 1 / CLASSES),
    }
    sums = found.sum(1)
    words = f"each row must sum to 1; yours sum to {sums.min():.2f} to {sums.max():.2f}"
    _compare(found, right, mistakes, words if not _same(sums, torch.ones(len(p))) else "the first choice is not kept")
    return "how sure the teacher is, and nothing of what it would have said next."


# --- what they share ------------------------------------------------------------------------------


def _batch() -> tuple[Tensor, Tensor, Tensor]:
    """Teacher logits, student logits (6, 10) and labels (6,): the same every time."""
    random = torch.Generator().manual_seed(0)
    v, z = 2.5 * torch.randn(2, 6, CLASSES, generator=random)
    return v, z, torch.randint(CLASSES, (6,), generator=random)


def _small_network(seed: int) -> nn.Module:
    """A convolution with batch norm, whose statistics are not those of a fresh one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, CLASSES))
        network[1].running_mean.normal_()
    return network


def _bin_gaps(confidence: Tensor, right: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """Share of the images and accuracy minus confidence, a number each bin; 0 where a bin is empty."""
    place = (confidence * bins).ceil().long().clamp(1, bins) - 1
    count, zeros = torch.bincount(place, minlength=bins).double(), torch.zeros(bins, dtype=torch.double)
    gap = zeros.index_add(0, place, right - confidence) / count.clamp(min=1)
    return count / len(place), gap


def _order(result) -> Tensor:
    return torch.as_tensor(result).flatten().long()


def _numbers(result, shape) -> Tensor:
    """The reader's result as float64 of ``shape``, without its graph."""
    try:
        found = torch.as_tensor(result).detach().double()
    except (TypeError, ValueError, RuntimeError) as error:
        raise Wrong(f"a tensor or a number was expected, not {type(result).__name__}") from error
    expected = "a single number" if shape == () else f"the shape {tuple(shape)}"
    require(tuple(found.shape) == tuple(shape), f"{expected} was expected, not the shape {tuple(found.shape)}")
    return found


def _same(found: Tensor, right: Tensor, tolerance: float = 1e-4) -> bool:
    return found.shape == right.shape and torch.allclose(found.double(), right.double(), rtol=tolerance, atol=tolerance)


def _compare(found: Tensor, right: Tensor, mistakes: dict[str, Tensor], words: str, tolerance: float = 1e-4) -> None:
    """Pass where ``found`` is right; else say which mistake it is, or ``words`` where it is none of these.

    Mistakes that give the right numbers in this case (T = 1 hides many) are passed over.
    """
    if _same(found, right, tolerance):
        return
    for name, wrong in mistakes.items():
        require(not _same(found, wrong, tolerance), name)
    shown = f" ({float(found):.4f}, not {float(right):.4f})" if found.ndim == 0 else ""
    raise Wrong(words + shown)
