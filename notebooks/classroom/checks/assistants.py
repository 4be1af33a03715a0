"""Checkers of lesson 4: agreement, steps and bounds of a chain, its training, one step of it, and fair comparisons."""

import copy
import math

import pandas as pd
import torch
from torch import Tensor, nn

from classroom.checks.declared import compare, declared
from classroom.checks.reading import close, items, number, pair
from classroom.checks.stand_ins import CLASSES, Watched, noise
from classroom.checks.verdict import ReturnedNothing, Wrong, checker, require
from course_lib.training.losses import distillation_loss

LOGITS = noise(40, CLASSES)
TEN_OTHERS = torch.cat([-LOGITS[:10], LOGITS[10:]])  # another class for the first ten images


@declared(
    [(TEN_OTHERS, LOGITS), (3 * LOGITS, LOGITS)],
    "agreement compares decisions only; the KL also compares how sure they are.",
    hint="the share of images in the same class",
)
def check_agreement(student_logits, teacher_logits):
    """``answer(student_logits, teacher_logits)``: the share (0 to 1) of images that both put in the same class."""
    student, teacher = student_logits, teacher_logits
    share = float((student.argmax(1) == teacher.argmax(1)).double().mean())
    return share, {
        "compare the chosen classes, not the logits: their size does not matter": (student == teacher).double().mean(),
        "that is the percentage: return the share, between 0 and 1": 100 * share,
        "that is a count: divide by the number of images": len(student) * share,
        "that is the disagreement: count where both choose the same class": 1 - share,
        "your argmax runs over the images: over the classes, dim=1": (
            (student.argmax(0) == teacher.argmax(0)).double().mean()
        ),
    }


def _sizes(result: object) -> list[float]:
    return [number(size, "sizes") for size in items(result, "return the assistants' sizes, a list of numbers")]


@declared(
    [(64.0, 1.0, 2), (64.0, 1.0, 0), (23_520_842.0, 483_554.0, 3)],
    "k assistants make k + 1 steps, each of the (k + 1)-th root of the whole ratio.",
    shape="as many sizes as assistants were asked for, the assistants only, without teacher and student",
    tolerance=1e-3,
    read=_sizes,
)
def check_equal_steps(largest, smallest, assistants):
    """``answer(largest, smallest, assistants)``: the assistants' sizes, largest first, in steps of equal ratio."""
    steps, ratio = torch.arange(1, assistants + 1).double(), smallest / largest
    equal = largest + (smallest - largest) * steps / (assistants + 1)
    return largest * ratio ** (steps / (assistants + 1)), {
        "those are equal differences, nearly all of it in the last step. Take equal *ratios*": (
            lambda found: bool(((found - equal).abs() < 1).all())  # a learner may have rounded
        ),
        "the largest assistant comes first: it stands next to the teacher": lambda found: bool(found[0] < found[-1]),
        "the root depends on the number of assistants: three make four steps, each of the fourth root": (
            largest * ratio ** (steps / 3)
        ),
    }


@checker
def check_disagreement_bounds(answer) -> str:
    """``answer(steps)``: lowest and highest share on which first and last network of a chain can disagree."""
    for steps in ([0.10, 0.05], [0.7, 0.6], [0.05, 0.30, 0.10], [0.1, 0.1, 0.1]):
        ends = pair(answer(list(steps)), "return two numbers: the lowest and the highest")
        alone, total, largest = 1 - math.prod(1 - step for step in steps), sum(steps), max(steps)
        mistakes = {
            "1 - (1 - d1)(1 - d2) supposes that the steps err independently: add them": alone,
            "a share cannot exceed 1: cap the sum": lambda found: found > 1,
        }
        place = f"for steps {steps} the highest: "
        compare(ends[1], min(1, total), mistakes, "the highest share", "steps add up at most", place, tolerance=1e-5)
        mistakes = {
            "a share cannot be below 0: three equal steps can undo one another as far as that": lambda low: low < 0,
            "0 is too low: a small step cannot take back a change by the largest": steps[0] == largest and 0.0,
        }
        place = f"for steps {steps} the lowest: "
        hint = "the largest step (it may be the middle one) minus all others"
        compare(ends[0], max(0, 2 * largest - total), mistakes, "the lowest share", hint, place, tolerance=1e-5)
    return "disagreement adds up at most; this is the most that a chain can lose, and it needs no assumption at all."


@checker
def check_chain(answer) -> str:
    """``answer(names, learn)``: trains the chain by ``learn(name, teacher)`` and returns the last network."""
    calls: list[tuple[str, object]] = []

    def learn(name: str, teacher: object = None) -> str:
        """Stands for training: every network is a name; notes down who taught it."""
        require(isinstance(name, str), "call learn(name, teacher) with a name of the chain first")
        calls.append((name, teacher))
        return f"trained {name}"

    names = ["resnet50", "resnet34", "resnet18", "student"]
    last = answer(list(names), learn)
    trained = [name for name, _ in calls]
    require(trained != names[::-1], "you start with the student: its teacher must be trained first")
    words = f"train each network once, in the order of the chain; you trained {', '.join(trained) or 'none'}"
    require(trained == names, words)
    first, *taught = [each if isinstance(each, str | None) else type(each).__name__ for _, each in calls]
    require(first is None, "the first network has no teacher: it learns from the labels")
    require(taught[:2] != [None, None], "the assistants learn from labels only, and the chain is broken")
    require(taught[2] is not None, "the student learns from labels only: hand it the assistant")
    stays = taught == ["trained resnet50"] * 3
    require(not stays, "everyone learns from resnet50: the teacher is never replaced by the one just trained")
    by_name = any(teacher in names for teacher in taught)
    require(not by_name, "you hand over the *name* of the teacher: hand over the network that learn() returned")
    chained = taught == [f"trained {name}" for name in names[:-1]]
    require(chained, f"each network should learn from the one just before it: {taught} came")
    returned = isinstance(last, str) and last == "trained student"
    require(returned, "return the last network: the student is what we wanted")
    return "every link has one teacher, the network trained just before it."


@checker
def check_link_step(answer) -> str:
    """``answer(student, teacher, images, labels, temperature, alpha, lr)``: one SGD step; returns the loss."""
    student, teacher = Watched(seed=0, side=4), Watched(seed=1, side=4)
    images, labels = noise(16, 3, 4, 4, seed=2), torch.arange(16) % CLASSES
    before, fresh = copy.deepcopy(teacher.state_dict()), copy.deepcopy(student)
    # Both are in train mode, as a link leaves them: the assistant was a student a moment ago.
    loss = number(answer(student, teacher, images.clone(), labels.clone(), 4.0, 0.3, 0.1), "the loss")
    _teacher_untouched(teacher, before)
    with torch.no_grad():
        answers = teacher.eval()(images)

    def step(rate: float = 0.1) -> tuple[Watched, Tensor, Tensor, Tensor]:
        """A copy of the student after one step of Eq. 1, and its loss, the hard term, the loss of another alpha."""
        network = copy.deepcopy(fresh)
        optimizer = torch.optim.SGD(network.parameters(), lr=abs(rate), maximize=rate < 0)
        logits = network(images)
        terms, other = (distillation_loss(logits, answers, labels, 4.0, alpha) for alpha in (0.3, 0.7))
        terms.total.backward()
        optimizer.step()
        return network, terms.total, terms.hard, other.total

    stepped, expected, hard, exchanged = step()
    words = "the student has not learned: are backward() and optimizer.step() there, and nothing set to zero between?"
    require(not _same_weights(student, fresh), words)
    require(student.in_train_mode, "the student learned in eval mode: its batch-norm must see the batch")
    mistakes = {
        "that is the cross-entropy with the labels only: the teacher's answer does not enter the loss": hard,
        "alpha is exchanged: distillation_loss weighs the labels' term by alpha, as Eq. 1 does": exchanged,
    }
    compare(loss, expected, mistakes, "the loss", "Eq. 1, before the step", tolerance=1e-3)
    require(not _same_weights(student, step(-0.1)[0]), "the student climbs: step against the gradient")
    words = "the loss is right, the step is not: one step of torch.optim.SGD with rate lr, and nothing else in it"
    require(_same_weights(student, stepped), words)
    return "a teacher only answers: eval mode, no gradients, none of its weights in the optimiser."


def _teacher_untouched(teacher: Watched, before: dict[str, Tensor]) -> None:
    """Raise Wrong where the teacher learned, answered in train mode or was recorded for gradients."""
    changed = {name for name, value in teacher.state_dict().items() if not torch.equal(before[name], value)}
    learned = any(name in changed for name, _ in teacher.named_parameters())
    require(not learned, "the teacher's weights have changed: the optimiser must get the student's parameters alone")
    require(bool(teacher.seen), "the teacher was not asked: teacher(images)")
    words = "the assistant answered in train mode: the batch leaks into its answers. Call teacher.eval() first"
    require(not changed and not teacher.in_train_mode, words)
    recorded = teacher.recorded or any(value.grad is not None for value in teacher.parameters())
    require(not recorded, "the teacher's answer was recorded for gradients: ask it inside torch.no_grad()")


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
    runs, key = _some_runs(), "gn-s-1.0x<ta"
    mistakes = {
        "that is against the *shuffled* baseline, so two things differ: take the same shuffle": 90.5 - 91.2,
        "the baseline is a mean over shuffled and unshuffled runs: take those with the same shuffle only": 90.5 - 90.8,
        "those are best epochs, chosen by their test accuracy: take last_accuracy": 90.8 - 90.8,
        "another width stands among the baselines: same student, please": 90.5 - (92.0 + 90.2 + 90.6) / 3,
        "the sign: the chain minus its baseline": 90.4 - 90.5,
    }
    compare(answer(runs.copy(), key), 0.1, mistakes, "the delta", "seeds 0 and 1 gain +0.3 and -0.1")
    unpaired = runs[(runs["key"] == "gn-s-1.0x") & ~runs["shuffle"]].assign(seed=7, last_accuracy=50.0)
    paired = number(answer(pd.concat([runs, unpaired]), key), "the delta")
    words = "a baseline whose seed the chain has not run changes your delta: pair seed with seed first, then average"
    require(close(paired, 0.1), words)
    words = "gn-s-1.6x has no unshuffled baseline, and {} came: return math.nan, which is a number"
    try:
        missing = number(answer(runs.copy(), "gn-s-1.6x<ta"), "the delta", finite=False)
    except ReturnedNothing:
        raise Wrong(words.format(None)) from None
    require(math.isnan(missing), words.format(f"{missing:+.2f}"))
    return "one thing differs between the two sides, and where the control is missing you say so."


@checker
def check_choose_chain(answer) -> str:
    """``answer(validation, test)``: the chain chosen on validation, and the accuracy to report for it."""
    validation = {"direct": 71.0, "32": 72.5, "16": 71.8, "32-16": 72.0}
    test = {"direct": 71.2, "32": 71.5, "16": 73.0, "32-16": 71.9}
    name, accuracy = pair(answer(dict(validation), dict(test)), "return two things: the chain's name and its accuracy")
    require(isinstance(name, str), f"the chain's name comes first, as text; yours is {type(name).__name__}")
    require(name != "16", "you chose by test accuracy, which is partly luck: choose on validation")
    require(name != "direct", "that is the lowest on validation: take the highest")
    require(name == "32", f"the highest on validation is '32', not {name!r}")
    mistakes = {
        "that is the validation accuracy, which was used to choose and is too kind: report the test accuracy": 72.5,
        "that is the best test accuracy of all chains: report the chosen chain's own": 73.0,
    }
    compare(accuracy, 71.5, mistakes, "its accuracy", "the test accuracy of the chosen chain")
    return "the test set was asked once, about one chain."
