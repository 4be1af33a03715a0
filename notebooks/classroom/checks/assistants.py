"""Checkers of lesson 4: agreement, steps and bounds of a chain, its training, one step of it, and fair comparisons."""

import copy
import math

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from classroom.checks.reading import items, number, pair
from classroom.checks.verdict import ReturnedNothing, Wrong, checker, require
from course_lib.training.losses import distillation_loss


@checker
def check_agreement(answer) -> str:
    """``answer(student_logits, teacher_logits)``: the share (0 to 1) of images that both put in the same class."""
    generator = torch.Generator().manual_seed(0)
    teacher = torch.randn(40, 10, generator=generator)
    student = teacher.clone()
    student[:10] = -teacher[:10]  # the first ten disagree
    share = number(answer(student.clone(), teacher.clone()), "the agreement")
    require(
        not math.isclose(share, 75, rel_tol=1e-6),
        "that is the percentage: return the share, between 0 and 1",
    )
    require(not math.isclose(share, 30, rel_tol=1e-6), "that is a count: divide by the number of images")
    require(
        not math.isclose(share, 0.25, rel_tol=1e-6),
        "that is the disagreement: count where both choose the same class",
    )
    by_columns = (student.argmax(dim=0) == teacher.argmax(dim=0)).double().mean().item()
    require(
        not math.isclose(share, by_columns, rel_tol=1e-6),
        "your argmax runs over the images: take it over the classes, dim=1",
    )
    scaled = number(answer(3 * teacher, teacher.clone()), "the agreement")
    require(
        math.isclose(scaled, 1.0),
        "a network with three times the logits chooses the same classes, so it agrees always: compare the chosen "
        "classes, not the logits",
    )
    require(
        math.isclose(share, 0.75, rel_tol=1e-6),
        f"30 of 40 images in the same class should give 0.75, not {share:.4f}",
    )
    return "agreement compares decisions only; the KL also compares how sure they are."


@checker
def check_equal_steps(answer) -> str:
    """``answer(largest, smallest, assistants)``: the assistants' sizes, largest first, in steps of equal ratio."""
    sizes = _sizes(answer(64.0, 1.0, 2))
    require(len(sizes) != 4, "return the assistants only, without teacher and student")
    require(all(size > 0 for size in sizes), "sizes are above 0")
    require(len(sizes) == 2, f"two assistants were asked for, {len(sizes)} came")
    linear = [64 - 63 / 3, 64 - 2 * 63 / 3]
    close = [math.isclose(a, b, rel_tol=1e-3) for a, b in zip(sizes, linear, strict=True)]
    require(
        not all(close),
        "those are equal differences: from 64 to 43 a third goes, from 22 to 1 nearly all. Take equal *ratios*",
    )
    require(sizes[0] > sizes[1], "the largest assistant comes first: it stands next to the teacher")
    ratios = [64 / sizes[0], sizes[0] / sizes[1], sizes[1] / 1]
    require(
        max(ratios) / min(ratios) < 1.01,
        "from 64 to 1 your steps have the ratios " + ", ".join(f"{r:.2f}" for r in ratios) + ": all should be 4",
    )
    require(_sizes(answer(64.0, 1.0, 0)) == [], "without assistants the list is empty")
    longer = _sizes(answer(23_520_842, 483_554, 3))
    require(
        len(longer) == 3,
        "with three assistants three sizes should come: the root depends on their number",
    )
    ratio = (23_520_842 / 483_554) ** (1 / 4)
    require(
        math.isclose(longer[0], 23_520_842 / ratio, rel_tol=0.01),
        "with three assistants there are four steps: the ratio is the fourth root",
    )
    return "k assistants make k + 1 steps, each of the (k + 1)-th root of the whole ratio."


def _sizes(result: object) -> list[float]:
    words = "return the assistants' sizes, a list of numbers"
    return [number(size, "sizes") for size in items(result, words)]


@checker
def check_disagreement_bounds(answer) -> str:
    """``answer(steps)``: lowest and highest share on which first and last network of a chain can disagree."""
    low, high = _bounds(answer([0.10, 0.05]))
    require(
        not math.isclose(high, 1 - 0.9 * 0.95, rel_tol=1e-6),
        "1 - (1 - d1)(1 - d2) supposes that the steps err independently; a bound may suppose nothing: add them",
    )
    require(
        math.isclose(high, 0.15, rel_tol=1e-6),
        f"steps of 0.10 and 0.05 can add up to 0.15, not {high:.4f}",
    )
    require(
        not math.isclose(low, 0.0, abs_tol=1e-9),
        "0 is too low: the second step changes 5 % of the answers and cannot take back a change of 10 %",
    )
    require(math.isclose(low, 0.05, rel_tol=1e-6), f"at least 0.10 - 0.05 = 0.05 stays, not {low:.4f}")
    low, high = _bounds(answer([0.7, 0.6]))
    require(high <= 1, "a share cannot exceed 1: cap the sum")
    low, high = _bounds(answer([0.05, 0.30, 0.10]))
    require(
        math.isclose(low, 0.15, rel_tol=1e-6),
        "for steps 0.05, 0.30, 0.10 the lowest is 0.15: the largest step (here the middle one) minus all others",
    )
    low, high = _bounds(answer([0.1, 0.1, 0.1]))
    require(low >= 0, "a share cannot be below 0: three equal steps can undo one another as far as that")
    require(math.isclose(high, 0.3, rel_tol=1e-6), "three steps of 0.1 can add up to 0.3")
    return "disagreement adds up at most; this is the most that a chain can lose, and it needs no assumption at all."


def _bounds(result: object) -> tuple[float, float]:
    low, high = pair(result, "return two numbers: the lowest and the highest")
    return number(low, "the lowest share"), number(high, "the highest share")


class _Recorder:
    """Stands in for training: every network is a name, and remembers who taught it."""

    def __init__(self):
        self.calls: list[tuple[str, object]] = []

    def __call__(self, name: str, teacher: object = None) -> str:
        require(isinstance(name, str), "call learn(name, teacher) with a name of the chain first")
        self.calls.append((name, teacher))
        return f"trained {name}"


@checker
def check_chain(answer) -> str:
    """``answer(names, learn)``: trains the chain by ``learn(name, teacher)`` and returns the last network."""
    learn = _Recorder()
    names = ["resnet50", "resnet34", "resnet18", "student"]
    last = answer(names, learn)
    trained, taught_by = [name for name, _ in learn.calls], dict(learn.calls)
    require(trained != names[::-1], "you start with the student: its teacher must be trained first")
    require(
        trained == names,
        f"train each network once, in the order of the chain; you trained {', '.join(trained)}",
    )
    require(taught_by["resnet50"] is None, "the first network has no teacher: it learns from the labels")
    middle = [taught_by["resnet34"], taught_by["resnet18"]]
    require(
        middle != [None, None],
        "the assistants learn from labels only: they are plain small networks, and the chain is broken",
    )
    require(
        taught_by["student"] is not None,
        "the student learns from labels only: hand it the assistant",
    )
    require(
        not all(taught_by[name] == "trained resnet50" for name in names[1:]),
        "everyone learns from resnet50: the teacher is never replaced by the network that was just trained",
    )
    require(
        not any(taught_by[name] in names for name in names[1:]),
        "you hand over the *name* of the teacher: hand over what learn() returned, the trained network",
    )
    require(
        [taught_by[name] for name in names[1:]] == [f"trained {name}" for name in names[:-1]],
        "each network should learn from the one just before it: "
        + str([taught_by[name] for name in names[1:]])
        + " came",
    )
    require(last == "trained student", "return the last network: the student is what we wanted")
    return "every link has one teacher, the network trained just before it."


class _Tiny(nn.Module):
    """Batch-norm and dropout: everything that a teacher in train mode would give away by."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.was_training, self.recorded = self.training, torch.is_grad_enabled()
        return self.body(x)


@checker
def check_link_step(answer) -> str:
    """``answer(student, teacher, images, labels, temperature, alpha, lr)``: one SGD step; returns the loss."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        student, teacher = _Tiny(), _Tiny()
        images, labels = torch.randn(16, 6), torch.randint(4, (16,))
        student.body[2].p = 0.0  # without dropout the right loss is known
        (
            teacher.train(),
            student.train(),
        )  # as a link leaves them: the assistant was a student a moment ago
        before, fresh = copy.deepcopy(teacher.state_dict()), copy.deepcopy(student)
        loss = number(answer(student, teacher, images.clone(), labels.clone(), 4.0, 0.3, 0.1), "the loss")
    _teacher_untouched(teacher, before)
    with torch.no_grad():
        answers = teacher.eval()(images)
    stepped, expected = _one_step(fresh, images, answers, labels)
    moved = not _same_weights(student, fresh)
    words = (
        "the student has not learned: are backward() and optimizer.step() both there, and is nothing set to zero "
        "between them?"
    )
    require(moved, words)
    require(
        student.was_training,
        "the student learned in eval mode: its batch-norm must see the batch, student.train()",
    )
    terms = distillation_loss(copy.deepcopy(fresh)(images), answers, labels, 4.0, 0.3)
    require(
        not math.isclose(loss, terms.hard.item(), rel_tol=1e-4),
        "that is the cross-entropy with the labels only: the teacher's answer does not enter the loss",
    )
    exchanged = distillation_loss(copy.deepcopy(fresh)(images), answers, labels, 4.0, 0.7).total.item()
    require(
        not math.isclose(loss, exchanged, rel_tol=1e-4),
        "alpha is exchanged: distillation_loss weighs the labels' term by alpha, as Eq. 1 does, so hand it on as it is",
    )
    require(
        math.isclose(loss, expected, rel_tol=1e-3),
        f"the loss of this batch should be {expected:.4f} by Eq. 1 (before the step), not {loss:.4f}",
    )
    ascended, _ = _one_step(fresh, images, answers, labels, rate=-0.1)
    require(not _same_weights(student, ascended), "the student climbs: step against the gradient")
    words = "the loss is right, the step is not: one step of torch.optim.SGD with rate lr, and nothing else in it"
    require(_same_weights(student, stepped), words)
    return "a teacher only answers: eval mode, no gradients, none of its weights in the optimiser."


def _teacher_untouched(teacher: _Tiny, before: dict[str, torch.Tensor]) -> None:
    """Raise Wrong where the teacher learned, answered in train mode or was recorded for gradients."""
    after = teacher.state_dict()
    require(
        all(torch.equal(before[name], after[name]) for name, _ in teacher.named_parameters()),
        "the teacher's weights have changed: the optimiser must be given the student's parameters alone",
    )
    require(hasattr(teacher, "recorded"), "the teacher was not asked: teacher(images)")
    require(
        all(torch.equal(before[name], after[name]) for name in before) and not teacher.was_training,
        "the assistant answered in train mode: dropout garbles its answers and its batch-norm statistics move. "
        "Call teacher.eval() first",
    )
    require(
        not teacher.recorded and all(value.grad is None for value in teacher.parameters()),
        "the teacher's answer was recorded for gradients: ask it inside torch.no_grad(), that saves memory and time",
    )


def _one_step(student: _Tiny, images, answers, labels, rate: float = 0.1) -> tuple[_Tiny, float]:
    """A copy of the student after one SGD step with Eq. 1 (T = 4, alpha = 0.3), and the loss before it."""
    student = copy.deepcopy(student).train()
    optimizer = torch.optim.SGD(student.parameters(), lr=abs(rate), maximize=rate < 0)
    loss = distillation_loss(student(images), answers, labels, 4.0, 0.3).total
    loss.backward()
    optimizer.step()
    return student, loss.item()


def _same_weights(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in pairs)


def _some_runs() -> pd.DataFrame:
    columns = ["key", "student", "teacher", "shuffle", "seed", "last_accuracy", "best_accuracy"]
    rows = [
        ("gn-s-1.0x", "gn-s-1.0x", None, True, 0, 91.0, 91.4),
        ("gn-s-1.0x", "gn-s-1.0x", None, True, 1, 91.4, 91.6),
        ("gn-s-1.0x", "gn-s-1.0x", None, False, 0, 90.2, 90.9),
        ("gn-s-1.0x", "gn-s-1.0x", None, False, 1, 90.6, 90.7),
        ("gn-s-1.3x", "gn-s-1.3x", None, False, 0, 92.0, 92.2),
        ("gn-s-1.0x<ta", "gn-s-1.0x", "ta", False, 0, 90.5, 90.6),
        ("gn-s-1.0x<ta", "gn-s-1.0x", "ta", False, 1, 90.5, 91.0),
        ("gn-s-1.6x", "gn-s-1.6x", None, True, 0, 93.0, 93.1),
        ("gn-s-1.6x<ta", "gn-s-1.6x", "ta", False, 0, 92.4, 92.5),
    ]
    return pd.DataFrame(rows, columns=columns)


@checker
def check_fair_delta(answer) -> str:
    """``answer(runs, key)``: mean paired delta against the like-trained baseline, last epoch; NaN without one."""
    runs = _some_runs()
    delta = number(answer(runs.copy(), "gn-s-1.0x<ta"), "the delta")
    known = {
        90.5 - 91.2: "that is against the *shuffled* baseline: two things differ then, the chain and the order of the "
        "batches. Compare with runs of the same shuffle",
        90.5 - 90.8: "the baseline is a mean over shuffled and unshuffled runs: take those with the same shuffle only",
        90.8 - 90.8: "those are best epochs, chosen by their test accuracy: take last_accuracy",
        90.5 - (92.0 + 90.2 + 90.6) / 3: "another width stands among the baselines: same student, please",
        90.4 - 90.5: "the sign: the chain minus its baseline",
    }
    for value, words in known.items():
        require(not math.isclose(delta, value, abs_tol=1e-6), words)
    require(
        math.isclose(delta, 0.1, abs_tol=1e-6),
        f"seeds 0 and 1 gain +0.3 and -0.1, on average +0.1, not {delta:+.3f}",
    )
    more = pd.concat(
        [
            runs,
            runs[(runs["key"] == "gn-s-1.0x") & ~runs["shuffle"]].assign(seed=7, last_accuracy=50.0),
        ]
    )
    paired = number(answer(more, "gn-s-1.0x<ta"), "the delta")
    require(
        math.isclose(paired, 0.1, abs_tol=1e-6),
        "a baseline whose seed the chain has not run changes your delta: pair seed with seed first, then average",
    )
    try:
        missing = number(answer(runs.copy(), "gn-s-1.6x<ta"), "the delta", finite=False)
    except ReturnedNothing:
        raise Wrong("gn-s-1.6x has no unshuffled baseline, and None came: return math.nan, which is a number") from None
    require(
        math.isnan(missing),
        f"gn-s-1.6x has no unshuffled baseline, yet {missing:+.2f} came: return math.nan",
    )
    return "one thing differs between the two sides, and where the control is missing you say so."


@checker
def check_choose_chain(answer) -> str:
    """``answer(validation, test)``: the chain chosen on validation, and the accuracy to report for it."""
    validation = {"direct": 71.0, "32": 72.5, "16": 71.8, "32-16": 72.0}
    test = {"direct": 71.2, "32": 71.5, "16": 73.0, "32-16": 71.9}
    name, accuracy = pair(answer(dict(validation), dict(test)), "return two things: the chain's name and its accuracy")
    require(
        isinstance(name, str),
        f"the chain's name comes first, as text; yours is {type(name).__name__}",
    )
    require(
        name != "16",
        "you chose by test accuracy: the best of four test results is partly luck. Choose on validation",
    )
    require(name != "direct", "that is the lowest on validation: take the highest")
    require(name == "32", f"the highest on validation is '32', not {name!r}")
    accuracy = number(accuracy, "its accuracy")
    require(
        not math.isclose(accuracy, 72.5),
        "that is the validation accuracy, which was used to choose and is too kind: report the test accuracy",
    )
    require(
        not math.isclose(accuracy, 73.0),
        "that is the best test accuracy of all chains: report the chosen chain's own",
    )
    require(math.isclose(accuracy, 71.5), f"the chosen chain has 71.5 on the test set, not {accuracy}")
    return "the test set was asked once, about one chain."


@checker
def check_dense_loss(answer) -> str:
    """``answer(student_logits, teachers_logits, labels, temperature, alpha)``: densely guided loss."""
    generator = torch.Generator().manual_seed(1)
    student, labels = torch.randn(12, 10, generator=generator), torch.arange(12) % 10
    teachers = [scale * torch.randn(12, 10, generator=generator) for scale in (1.0, 2.0, 4.0)]
    t, alpha = 4.0, 0.3
    hard = F.cross_entropy(student, labels).item()
    soft = [distillation_loss(student, teacher, labels, t, 0.0).total.item() for teacher in teachers]
    came = number(answer(student.clone(), [z.clone() for z in teachers], labels.clone(), t, alpha), "the loss")

    def total(part: float) -> float:
        return alpha * hard + (1 - alpha) * part

    ensemble = distillation_loss(student, torch.stack(teachers).mean(dim=0), labels, t, 0.0).total.item()
    mean = sum(soft) / 3
    swapped = sum(distillation_loss(teacher, student, labels, t, 0.0).total.item() for teacher in teachers) / 3
    warm = F.cross_entropy(student / t, labels).item()
    known = {
        total(
            sum(soft)
        ): "you add the teachers' terms: with three of them the soft part weighs three times. Average them",
        total(
            ensemble
        ): "you average the teachers' logits first: that is the ensemble of lesson 5. Here each teacher has a "
        "KL of its own, and the KLs are averaged",
        total(mean / t**2): "the factor T² is missing",
        total(mean / 10): "your KL is averaged over classes as well: divide by the batch only (batchmean)",
        total(swapped): "student and teacher are exchanged in the KL: the teachers' probabilities weigh the logarithms",
        alpha * warm + (1 - alpha) * mean: "the hard term is softened as well: the labels get the logits as they are",
        total(soft[-1]): "only the last teacher counts: that is the plain chain",
        (1 - alpha) * hard
        + alpha * mean: "alpha is the weight of the labels here, as in Eq. 1: you have exchanged the two",
    }
    for value, words in known.items():
        require(not math.isclose(came, value, rel_tol=1e-5), words)
    require(
        math.isclose(came, total(mean), rel_tol=1e-4),
        f"the loss should be {total(mean):.4f}, not {came:.4f}: alpha * CE + (1 - alpha) * mean of T² KL",
    )
    one = number(answer(student.clone(), teachers[:1], labels.clone(), t, alpha), "the loss")
    require(
        math.isclose(one, total(soft[0]), rel_tol=1e-4),
        "with one teacher it should be Eq. 1 itself",
    )
    return "with one teacher it is Eq. 1; with several, every one of them pulls, however long the chain."
