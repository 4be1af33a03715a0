"""The exercises of lesson 03: soft targets, Eq. 1 and its gradient, four bugs from real scripts, calibration.

Each checker has small fixed numbers of its own. It compares the reader's result with the right one and, when the two
differ, with what the typical mistakes would give.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from classroom.checks.reading import number, numbers, pair, recognise, same, tensor
from classroom.checks.verdict import Wrong, checker, require

CLASSES = 10


@checker
def check_soften(answer: Callable) -> str:
    """``my_soften(logits, T)``: (N, C) logits to (N, C) probabilities."""
    v, _, _ = _batch()
    for T in (1.0, 4.0, 0.5):
        found = numbers(answer(v.clone(), T), v.shape, "the result")
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
    large = numbers(answer(1000 * v, 1.0), v.shape, "the result")
    words = (
        "large logits overflow to inf or nan: subtract each row's maximum before you exponentiate (no softmax notices)"
    )
    require(bool(large.isfinite().all()), words)
    words = (
        "logits in the thousands come out finite, but not as softmax has them: rather than capping them or repairing "
        "nan, subtract each row's maximum before you exponentiate"
    )
    require(same(large, (1000 * v).softmax(1)), words)
    return "softened, and safe for logits in the thousands."


@checker
def check_entropy(answer: Callable) -> str:
    """``my_entropy(p)``: (N, C) probabilities to (N,) entropies in bits."""
    v, _, _ = _batch()
    p = v.softmax(1)
    nats = -(p * p.log()).sum(1)
    hint = "sum over the classes (dim=1) only. If one number came for the whole batch: one number an image is wanted"
    found = numbers(answer(p.clone()), (len(v),), "the entropy", hint)
    mistakes = {
        "this is in nats: use log2, or divide by log(2)": nats,
        "the sign is turned: probabilities are below 1, so their logarithms are negative": -nats
        / torch.tensor(2.0).log(),
        "this is the mean over the classes: the entropy is the sum": nats / torch.tensor(2.0).log() / CLASSES,
    }
    _compare(found, nats / torch.tensor(2.0).log(), mistakes, "minus the sum of p log2 p, a row each")
    certain = numbers(answer(torch.eye(CLASSES)), (CLASSES,), "the entropy")
    words = "a certain class gives nan, for 0 · log 0 is nan to a computer: let a class without probability add nothing"
    require(not bool(certain.isnan().any()), words)
    require(
        same(certain, torch.zeros(CLASSES)),
        "a certain class has entropy 0: add no constant inside the logarithm",
    )
    return "in bits, one number an image, and 0 for a certain class."


@checker
def check_soft_loss(answer: Callable) -> str:
    """``my_soft_loss(z, v, T)``: T^2 KL(teacher || student) of student logits z and teacher logits v, batch mean."""
    v, z, _ = _batch()
    for T in (4.0, 1.0, 2.0):
        found = _single(answer(z.clone(), v.clone(), T))
        words = (
            "this is nan: F.kl_div takes its second argument for probabilities, and their logarithm of a negative "
            "number is nan. Where you hand over log_softmax, say log_target=True"
        )
        require(not found.isnan(), words)
        right = T**2 * _kl(z, v, T)
        _compare(
            found,
            right,
            _soft_loss_mistakes(z, v, T),
            "T² · KL, summed over classes, mean over the batch",
        )
    return "T² · KL(teacher ‖ student), a mean over the batch only."


def _kl(z: Tensor, v: Tensor, T: float, dim: int = 1) -> Tensor:
    """KL(softmax(v / T) || softmax(z / T)) with the softmax along ``dim``, a mean over the batch."""
    log_p, log_q = F.log_softmax(v / T, dim), F.log_softmax(z / T, dim)
    return (log_p.exp() * (log_p - log_q)).sum(1).mean()


def _soft_loss_mistakes(z: Tensor, v: Tensor, T: float) -> dict[str, Tensor]:
    """What the typical mistakes in T^2 KL give for student logits z and teacher logits v."""
    log_p, log_q = F.log_softmax(v / T, 1), F.log_softmax(z / T, 1)
    p, q, plain_p, plain_q = log_p.exp(), log_q.exp(), F.log_softmax(v, 1), F.log_softmax(z, 1)
    kl = _kl(z, v, T)
    right = T**2 * kl
    exponential = "log_target=True says that the teacher comes as logarithms too: give it log_softmax of both"
    return {
        "your KL is averaged over classes as well: divide by the batch only (reduction='batchmean')": right / CLASSES,
        "your KL is summed over the batch: divide by the number of images": right * len(v),
        "T² is forgotten": kl,
        "T² is forgotten, and your KL is averaged over classes as well: divide by the batch only "
        "(reduction='batchmean')": kl / CLASSES,
        "T stands where T² belongs": T * kl,
        "T² is there, but the logits are not divided by T": T**2 * _kl(z, v, 1.0),
        "only the teacher is softened: the student's logits are divided by T too": (
            T**2 * (p * (log_p - plain_q)).sum(1).mean()
        ),
        "only the student is softened: the teacher's logits are divided by T too": (
            T**2 * (plain_p.exp() * (plain_p - log_q)).sum(1).mean()
        ),
        "teacher and student are exchanged: in KL(p ‖ q) the teacher is p, which weighs the logarithms": (
            T**2 * _kl(v, z, T)
        ),
        "probabilities stand where F.kl_div wants the student's logarithms: give it log_softmax": (
            T**2 * (p * (log_p - q)).sum(1).mean()
        ),
        exponential: T**2 * (p.exp() * (p - log_q)).sum(1).mean(),
        f"T² is forgotten, and {exponential}": (p.exp() * (p - log_q)).sum(1).mean(),
        "your softmax runs over the images: take it over the classes, dim=1": T**2 * _kl(z, v, T, dim=0),
        "this is the cross-entropy with soft targets. Its gradient is the same, but it is not 0 when both agree: "
        "subtract the teacher's entropy": -(T**2) * (p * log_q).sum(1).mean(),
        "the sign is turned: a divergence is never negative": -right,
    }


@checker
def check_eq_1(answer: Callable) -> str:
    """``my_loss(z, v, labels, T, alpha)``: Eq. 1 with alpha on the hard term; a find-the-bug exercise."""
    v, z, labels = _batch()
    for T, alpha in ((4.0, 0.25), (1.0, 0.9), (4.0, 1.0)):
        right = alpha * F.cross_entropy(z, labels) + (1 - alpha) * T**2 * _kl(z, v, T)
        found = _single(answer(z.clone(), v.clone(), labels.clone(), T, alpha))
        words = f"at T = {T:g}, alpha = {alpha:g} this is not Eq. 1"
        _compare(found, right, _eq_1_mistakes(z, v, labels, T, alpha), words)
    return "Eq. 1: the label's term plain, the teacher's softened, with T² and 1 - alpha."


def _eq_1_mistakes(z: Tensor, v: Tensor, labels: Tensor, T: float, alpha: float) -> dict[str, Tensor]:
    """What the typical mistakes in Eq. 1 give."""
    kl, hard, warm = _kl(z, v, T), F.cross_entropy(z, labels), F.cross_entropy(z / T, labels)
    soft, twice = (1 - alpha) * T**2 * kl, F.cross_entropy(z.softmax(1), labels)
    return {
        "the hard term is softened as well: label and plain softmax belong together, without T": alpha * warm + soft,
        "T² multiplies both terms: it belongs to the soft one only": T**2 * (alpha * hard + (1 - alpha) * kl),
        "T² multiplies the hard term, and the soft one lacks it": alpha * T**2 * hard + (1 - alpha) * kl,
        "alpha weighs the teacher here, as in other codes: in Eq. 1 it is the weight of the label's term": (
            (1 - alpha) * hard + alpha * T**2 * kl
        ),
        "T² is forgotten": alpha * hard + (1 - alpha) * kl,
        "T stands where T² belongs": alpha * hard + (1 - alpha) * T * kl,
        "the hard term is softened, and T² multiplies it": T**2 * (alpha * warm + (1 - alpha) * kl),
        "both bugs are still there: alpha weighs the teacher's term, and T² is forgotten": (
            (1 - alpha) * hard + alpha * kl
        ),
        "your KL is averaged over classes as well: divide by the batch only": alpha * hard + soft / CLASSES,
        "the soft term has the whole weight: multiply it by 1 - alpha": alpha * hard + T**2 * kl,
        "teacher and student are exchanged in the KL: the teacher's probabilities weigh the logarithms": (
            alpha * hard + (1 - alpha) * T**2 * _kl(v, z, T)
        ),
        "cross_entropy got probabilities: it takes a softmax of its own, so hand it the logits": alpha * twice + soft,
    }


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
        found = numbers(answer(z.clone(), v.clone(), T), z.shape, "the gradient")
        _compare(found, T * (q - p), mistakes, "at every T it is T (q - p), both softened by T")
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
    given = answer(model, images.clone())
    found = numbers(tensor(given, "the logits"), right.shape, "the logits")
    moved = not all(torch.equal(old, new) for old, new in zip(before, model.buffers(), strict=True))
    with torch.no_grad():
        late = moved and same(found, model.eval()(images))
    require(
        not late,
        "the teacher's batch-norm statistics have moved: switch to eval mode before it sees an image",
    )
    require(
        not same(found, right.softmax(1)),
        "these are probabilities: the loss softens logits, so return those",
    )
    words = "the answer depends on the neighbours in the batch: batch norm is in train mode. Call model.eval() first"
    require(same(found, right), words if moved else "these are not the model's logits in eval mode")
    words = (
        "the answers carry a graph, so the student's backward pass would go through the teacher: use torch.no_grad()"
    )
    require(not given.requires_grad, words)
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
            logits = network(batch)
            seen[name] = batch.detach().clone()
            return logits

        return ask

    both = answer(watched("student", student), watched("teacher", teacher), images.clone(), augment)
    logits = pair(both, "return two things: the student's logits, the teacher's logits")
    require(set(seen) == {"student", "teacher"}, "ask both networks, once each")
    _one_draw(images, drawn, seen)
    with torch.no_grad():
        right = [student(seen["student"]), teacher(seen["teacher"])]
    found = [numbers(tensor(part, "logits"), right[0].shape, "logits") for part in logits]
    soft = [same(part, wanted.softmax(1)) for part, wanted in zip(found, right, strict=True)]
    require(not any(soft), "these are probabilities: return the logits, the loss takes the softmax")
    turned = same(found[0], right[1]) and same(found[1], right[0])
    require(not turned, "the answers come in the wrong order: the student's first")
    words = "these are not the two networks' logits for the view that they saw"
    require(same(found[0], right[0]) and same(found[1], right[1]), words)
    words = "the student's logits carry no graph, so it cannot learn: torch.no_grad() is for the teacher alone"
    require(logits[0].requires_grad, words)
    return "one draw, one view, both networks."


def _one_draw(images: Tensor, drawn: list[Tensor], seen: dict[str, Tensor]) -> None:
    """Raise Wrong unless the images were augmented once, and both networks saw that view."""
    require(bool(drawn), "nobody sees an augmented image: call augment(images)")
    plain = [name for name, batch in seen.items() if same(batch, images)]
    words = "augment(images) was called, but both networks see the plain images: hand them what it returned"
    require(len(plain) < 2, words)
    words = f"the {''.join(plain)} sees the plain images and the other one an augmented view: give both the same view"
    require(not plain, words)
    words = (
        "crop and flip are drawn twice, apart: the teacher answers to another picture. Augment once, and give both that"
    )
    require(same(seen["student"], seen["teacher"]), words)
    require(
        len(drawn) == 1,
        f"the images are augmented {len(drawn)} times: once is enough, and give both that view",
    )
    require(
        same(seen["student"], drawn[0]),
        "both see the same, but not what augment returned: change nothing in it",
    )


@checker
def check_order(answer: Callable) -> str:
    """``my_order(count, epoch, seed)``: the order of the training images in an epoch; a find-the-bug exercise."""
    count, state = 1000, torch.get_rng_state()
    places = ((1, 0), (2, 0), (1, 1), (1, 0))
    first, second, other, again = (_order(answer(count, *place), count) for place in places)
    reseeded = not torch.equal(state, torch.get_rng_state())
    torch.set_rng_state(state)
    plain = torch.arange(count)
    require(
        not torch.equal(first, plain),
        "the images come in their stored order: every epoch then has the same batches",
    )
    neighbours = int(((first[1:] - first[:-1]).abs() == 1).sum())
    words = f"{neighbours} of {count} images still come right after their neighbour: shuffle them, do not only shift"
    require(neighbours < count / 10, words)
    words = "epochs 1 and 2 have the same order, so every epoch has the same batches: let the epoch into the seed"
    require(not torch.equal(first, second), words)
    require(
        not torch.equal(first, other),
        "two seeds give the same order: let the seed into the generator's seed",
    )
    words = "asked twice, epoch 1 comes in two orders: use a torch.Generator of your own, seeded from seed and epoch"
    require(torch.equal(first, again), words)
    words = "epoch 2 of seed 0 is epoch 1 of seed 1: seed + epoch collides. Multiply the seed by a large number first"
    require(not torch.equal(second, other), words)
    start = _order(answer(count, 0, 1), count)
    for epoch in (10, 100):
        words = f"epoch {epoch} of seed 0 is epoch 0 of seed 1: multiply the seed by a number larger than any epoch"
        require(not torch.equal(_order(answer(count, epoch, 0), count), start), words)
    words = (
        "the order is right, but you seed torch's own generator: all that is random afterwards, crops and dropout too, "
        "is then set back in every epoch. Use a torch.Generator of your own"
    )
    require(not reseeded, words)
    return "shuffled anew in every epoch, and the same again for the same seed."


@checker
def check_ece(answer: Callable) -> str:
    """``my_ece(logits, labels, bins)``: expected calibration error, 0 to 1, over equal bins of the confidence."""
    logits, labels = _badly_calibrated()
    for bins in (10, 15):
        found = _single(answer(logits.clone(), labels.clone(), bins))
        expected, mistakes = _ece_and_mistakes(logits, labels, bins)
        words = f"with {bins} bins of equal width: mean of |accuracy - confidence|, weighed by each bin's images"
        _compare(found, expected, mistakes, words, tolerance=1e-3)
    return "bins weighed by their images, gaps without their sign."


def _badly_calibrated(images: int = 2000) -> tuple[Tensor, Tensor]:
    """Logits that are too sure in some bins and not sure enough in others, and labels: no two rules agree on them."""
    random = torch.Generator().manual_seed(6)
    likely = torch.randint(CLASSES, (images,), generator=random)
    logits = torch.randn(images, CLASSES, generator=random) * 1.5
    logits[torch.arange(images), likely] += torch.randn(images, generator=random) * 2 + 1.5
    confidence, guess = logits.softmax(1).max(1)
    accuracy = (confidence + 0.25 * torch.sin(25 * confidence)).clamp(0, 1)
    hit = torch.rand(images, generator=random) < accuracy
    return logits, torch.where(hit, guess, (guess + 1) % CLASSES)


def _ece_and_mistakes(logits: Tensor, labels: Tensor, bins: int) -> tuple[Tensor, dict[str, Tensor]]:
    """The expected calibration error, and what the typical mistakes give."""
    every = logits.softmax(1)
    confidence, guess = every.max(1)
    right = (guess == labels).double()
    share, gaps = _bin_gaps(confidence.double(), right, bins)
    ten_share, ten_gaps = _bin_gaps(confidence.double(), right, 10)
    hits = F.one_hot(labels, CLASSES).double()
    all_share, all_gaps = _bin_gaps(every.flatten().double(), hits.flatten(), bins)
    expected = (share * gaps.abs()).sum()
    unweighed = "bins with few images count as much as full ones: weigh each gap by its share of the images"
    return expected, {
        unweighed: gaps[share > 0].abs().mean(),
        f"{unweighed}, not by 1 / bins": gaps.abs().mean(),
        f"the gaps are only added up: {unweighed}": gaps.abs().sum(),
        "gaps of both signs cancel: take the absolute value of each": (share * gaps).sum().abs(),
        "gaps of both signs cancel: take the absolute value of each bin's gap": (share * gaps).sum(),
        "gaps of both signs cancel, and the sign is turned: take the absolute value": -(share * gaps).sum(),
        "this counts images where a share belongs: divide by the number of images": expected * len(labels),
        "this is in percent: give a share from 0 to 1": 100 * expected,
        "all ten probabilities are counted: take only the first choice's, the confidence": (
            (all_share * all_gaps.abs()).sum()
        ),
        "this is the largest gap (MCE): the expected one is the mean, weighed by the images": gaps.abs().max(),
        f"these are 10 bins, and {bins} were asked for: use the argument": (ten_share * ten_gaps.abs()).sum(),
    }


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
        found = number(answer(logits.clone(), labels.clone()), "the temperature")
        require(found > 0, "T must be above 0")
        require(
            abs(found - 1) > 0.05,
            "this is 1, the temperature that changes nothing: minimise over T",
        )
        require(abs(found * best - 1) > 0.05, "this is 1/T: the logits are divided by T, not multiplied")
        side = "too high" if found > best else "too low"
        words = f"T = {found:.2f} came, which is {side}: the cross-entropy of logits / T is lowest near {best:.2f}"
        require(abs(found - best) < 0.06 * best, words)
    return "the temperature of the lowest cross-entropy; no answer changed, only its confidence."


@checker
def check_without_dark_knowledge(answer: Callable) -> str:
    """``my_targets(p)``: the first choice keeps its probability, the nine others share the rest evenly."""
    v, _, _ = _batch()
    p = v.softmax(1)
    found = numbers(answer(p.clone()), p.shape, "the targets")
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
    _compare(
        found,
        right,
        mistakes,
        words if not same(sums, torch.ones(len(p))) else "the first choice is not kept",
    )
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
    count, zeros = (
        torch.bincount(place, minlength=bins).double(),
        torch.zeros(bins, dtype=torch.double),
    )
    gap = zeros.index_add(0, place, right - confidence) / count.clamp(min=1)
    return count / len(place), gap


def _order(result: object, count: int) -> Tensor:
    """The reader's order of ``count`` images as int64; Wrong unless each comes once."""
    words = f"every image must come exactly once: return the numbers 0 to {count - 1} in some order"
    order = numbers(result, (count,), "the order", words)
    require(torch.equal(order.sort().values, torch.arange(count).double()), words)
    return order.long()


def _single(result: object) -> Tensor:
    """The reader's number as a tensor; nan and inf are let through."""
    return torch.tensor(number(result, "the result", finite=False), dtype=torch.double)


def _compare(found: Tensor, right: Tensor, mistakes: dict[str, Tensor], words: str, tolerance: float = 1e-4) -> None:
    """Pass where ``found`` is right; else say which mistake it is, or ``words`` where it is none of these.

    Mistakes that give the right numbers in this case (T = 1 hides many) are passed over.
    """
    if same(found, right, tolerance):
        return
    recognise(found, mistakes, tolerance)
    shown = f" ({float(found):.4f}, not {float(right):.4f})" if found.ndim == 0 else ""
    raise Wrong(words + shown)
