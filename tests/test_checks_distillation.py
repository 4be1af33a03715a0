"""The checkers of lesson 03: the right answer passes, the stub is not done, typical mistakes are named in words."""

import torch
import torch.nn.functional as F

from classroom.checks import distillation as checks
from course_lib.training.losses import distillation_loss


def log_soft(logits, T):
    return F.log_softmax(logits / T, dim=1)


def kl(z, v, T):
    return F.kl_div(log_soft(z, T), log_soft(v, T), reduction="batchmean", log_target=True)


def entropy(p):
    return -torch.xlogy(p, p).sum(1) / torch.tensor(2.0).log()


def soft_kl(z, v, T):
    return T**2 * kl(z, v, T)


def eq_1(z, v, labels, T, alpha):
    return distillation_loss(z, v, labels, T, alpha).total


def teacher_answer(model, images):
    model.eval()
    with torch.no_grad():
        return model(images)


def one_view(student, teacher, images, augment):
    shown = augment(images)
    return student(shown), teacher(shown)


def order(count, epoch, seed):
    return torch.randperm(count, generator=torch.Generator().manual_seed(1_000_003 * seed + epoch))


def ece(logits, labels, bins, weighed=True, signed=False):
    confidence, guess = logits.softmax(1).max(1)
    right = (guess == labels).float()
    total = 0.0
    for low in torch.arange(bins) / bins:
        inside = (confidence > low) & (confidence <= low + 1 / bins)
        if inside.any():
            gap = right[inside].mean() - confidence[inside].mean()
            share = inside.float().mean() if weighed else 1 / bins
            total += share * (gap if signed else gap.abs())
    return float(total)


def fitted(logits, labels, low=0.1, high=10.0):
    grid = torch.logspace(*torch.tensor([low, high]).log10(), 150)
    return float(grid[torch.stack([F.cross_entropy(logits / T, labels) for T in grid]).argmin()])


def leveled(p, keep=None, others=9):
    top, place = p.max(1, keepdim=True)
    return ((1 - top) / others).expand_as(p).scatter(1, place, top if keep is None else keep)


RIGHT = {
    checks.check_soften: lambda v, T: F.softmax(v / T, dim=1),
    checks.check_entropy: entropy,
    checks.check_soft_loss: soft_kl,
    checks.check_eq_1: eq_1,
    checks.check_soft_gradient: lambda z, v, T: T * ((z / T).softmax(1) - (v / T).softmax(1)),
    checks.check_teacher_answer: teacher_answer,
    checks.check_one_view: one_view,
    checks.check_order: order,
    checks.check_ece: ece,
    checks.check_fitted_temperature: fitted,
    checks.check_without_dark_knowledge: leveled,
}


def forgets_eval(model, images):
    with torch.no_grad():
        return model(images)


def forgets_no_grad(model, images):
    return model.eval()(images)


def evaluates_too_late(model, images):
    with torch.no_grad():
        model(images)
        return model.eval()(images)


def soft_hard_term(z, v, labels, T, alpha):
    return alpha * F.cross_entropy(z / T, labels) + (1 - alpha) * T**2 * kl(z, v, T)


def naive_entropy(p):
    return -(p * p.log2()).sum(1)


def in_place(z, v, T):
    z /= T
    v /= T
    return T**2 * F.kl_div(z.log_softmax(1), v.log_softmax(1), reduction="batchmean", log_target=True) + 0.1


def probabilities_as_logarithms(z, v, T):
    return T**2 * F.kl_div(log_soft(z, T), (v / T).softmax(1), reduction="batchmean", log_target=True)


def softmax_over_images(z, v, T):
    log_q, log_p = F.log_softmax(z / T, 0), F.log_softmax(v / T, 0)
    return T**2 * F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


def swapped_hard(z, v, labels):
    return F.cross_entropy(z, labels) - F.cross_entropy(v, labels)


def reseeds(count, epoch, seed):
    torch.manual_seed(1_000_003 * seed + epoch)
    return torch.randperm(count)


def equal_mass(logits, labels, bins):
    confidence, guess = logits.softmax(1).max(1)
    gap = ((guess == labels).float() - confidence)[confidence.argsort()]
    return sum(part.sum().abs() for part in gap.tensor_split(bins)) / len(gap)


WRONG = [
    (checks.check_soften, lambda v, T: v.softmax(1), "temperature has no effect"),
    (checks.check_soften, lambda v, T: (v * T).softmax(1), "you multiply by T"),
    (checks.check_soften, lambda v, T: (v / T).softmax(0), "each column sums to 1"),
    (checks.check_soften, lambda v, T: log_soft(v, T), "these are logarithms"),
    (checks.check_soften, lambda v, T: (v / T).exp() / (v / T).exp().sum(1, keepdim=True), "large logits overflow"),
    (checks.check_soften, lambda v, T: (v / T).softmax(1)[0], "must have the shape (6, 10)"),
    (checks.check_soften, lambda v, T: ((v / T).exp() / (v / T).exp().sum(1, True)).nan_to_num(), "repairing nan"),
    (checks.check_soften, lambda v, T: (v / T).clamp(-80, 80).softmax(1), "rather than capping"),
    (checks.check_entropy, lambda p: -torch.xlogy(p, p).sum(1), "this is in nats"),
    (checks.check_entropy, lambda p: entropy(p).mean(), "one number came for the whole batch"),
    (checks.check_entropy, naive_entropy, "0 · log 0 is nan"),
    (checks.check_entropy, lambda p: -entropy(p), "the sign is turned"),
    (checks.check_soft_loss, lambda z, v, T: soft_kl(z, v, T) / 10, "averaged over classes as well"),
    (checks.check_soft_loss, lambda z, v, T: kl(z, v, T), "T² is forgotten"),
    (checks.check_soft_loss, lambda z, v, T: soft_kl(v, z, T), "teacher and student are exchanged"),
    (checks.check_soft_loss, lambda z, v, T: soft_kl(z * T, v, T), "only the teacher is softened"),
    (checks.check_soft_loss, lambda z, v, T: soft_kl(z, v * T, T), "only the student is softened"),
    (
        checks.check_soft_loss,
        lambda z, v, T: T**2 * F.kl_div((z / T).softmax(1), (v / T).softmax(1), reduction="batchmean"),
        "give it log_softmax",
    ),
    (checks.check_soft_loss, lambda z, v, T: soft_kl(z, v, T) * len(z), "summed over the batch"),
    (checks.check_soft_loss, lambda z, v, T: "0.3", "a number, not '0.3'"),
    (checks.check_soft_loss, lambda z, v, T: soft_kl(z, v, T) + 1, "it is 5.48"),
    (checks.check_soft_loss, in_place, "T² · KL"),
    (
        checks.check_soft_loss,
        lambda z, v, T: T**2 * F.kl_div(log_soft(z, T), log_soft(v, T), reduction="sum"),
        "log_target=True",
    ),
    (checks.check_soft_loss, lambda z, v, T: kl(z, v, T) / 10, "forgotten, and your KL is averaged"),
    (checks.check_soft_loss, probabilities_as_logarithms, "give it log_softmax of both"),
    (checks.check_soft_loss, softmax_over_images, "over the images"),
    (checks.check_eq_1, lambda z, v, y, T, a: eq_1(v, z, y, T, a) + a * swapped_hard(z, v, y), "exchanged in the KL"),
    (checks.check_eq_1, lambda z, v, y, T, a: a * F.cross_entropy(z, y) + (1 - a) * T * kl(z, v, T), "T stands where"),
    (checks.check_eq_1, soft_hard_term, "the hard term is softened"),
    (checks.check_eq_1, lambda z, v, y, T, a: T**2 * (a * F.cross_entropy(z, y) + (1 - a) * kl(z, v, T)), "both terms"),
    (checks.check_eq_1, lambda z, v, y, T, a: eq_1(z, v, y, T, 1 - a), "weight of the label's term"),
    (checks.check_eq_1, lambda z, v, y, T, a: T**2 * soft_hard_term(z, v / T * T, y, T, a), "not Eq. 1"),
    (
        checks.check_eq_1,
        lambda z, v, y, T, a: a * kl(z, v, T) + (1 - a) * F.cross_entropy(z, y),
        "both bugs are still there",
    ),
    (checks.check_soft_gradient, lambda z, v, T: T * ((v / T).softmax(1) - (z / T).softmax(1)), "sign is turned"),
    (checks.check_soft_gradient, lambda z, v, T: ((z / T).softmax(1) - (v / T).softmax(1)) / T, "without T²"),
    (checks.check_soft_gradient, lambda z, v, T: (z / T).softmax(1) - (v / T).softmax(1), "this is q - p"),
    (checks.check_soft_gradient, lambda z, v, T: (z - v) / 10, "limits at high T"),
    (checks.check_teacher_answer, forgets_eval, "batch norm is in train mode"),
    (checks.check_teacher_answer, lambda model, x: teacher_answer(model, x).softmax(1), "these are probabilities"),
    (checks.check_teacher_answer, forgets_no_grad, "carry a graph"),
    (checks.check_teacher_answer, evaluates_too_late, "statistics have moved"),
    (checks.check_one_view, lambda s, t, x, a: (s(a(x)), t(a(x))), "drawn 2 times"),
    (checks.check_one_view, lambda s, t, x, a: (s(a(x)), t(x)), "plain images reach the teacher"),
    (checks.check_one_view, lambda s, t, x, a: (s(x), t(x)), "nobody sees an augmented image"),
    (checks.check_one_view, lambda s, t, x, a: one_view(s, t, x, a)[::-1], "wrong order"),
    (checks.check_one_view, lambda s, t, x, a: (s(a(x)),), "return two things"),
    (checks.check_one_view, torch.no_grad()(one_view), "cannot learn"),
    (checks.check_one_view, lambda s, t, x, a: one_view(s, t, a(x), a), "drawn 2 times"),
    (checks.check_one_view, lambda s, t, x, a: (a(x), s(x), t(x))[1:], "reach the student and the teacher"),
    (checks.check_one_view, lambda s, t, x, a: [z.softmax(1) for z in one_view(s, t, x, a)], "these are probabilities"),
    (checks.check_order, lambda count, epoch, seed: torch.arange(count), "stored order"),
    (checks.check_order, lambda count, epoch, seed: order(count, 0, seed), "epochs 1 and 2 have the same order"),
    (checks.check_order, lambda count, epoch, seed: torch.randperm(count), "comes in two orders"),
    (checks.check_order, lambda count, epoch, seed: order(count, epoch, 0), "two seeds give the same order"),
    (checks.check_order, lambda count, epoch, seed: order(count, epoch + seed, 0), "collides"),
    (checks.check_order, lambda count, epoch, seed: torch.randint(count, (count,)), "exactly once"),
    (checks.check_ece, lambda v, y, b: ece(v, y, b, weighed=False), "bins with few images"),
    (checks.check_order, reseeds, "you seed torch's own generator"),
    (checks.check_order, lambda count, epoch, seed: torch.arange(count).roll(7 * epoch + 100 * seed), "neighbour"),
    (checks.check_order, lambda count, epoch, seed: order(count, 100 * seed + epoch, 0), "epoch 100 of seed 0"),
    (checks.check_order, lambda count, epoch, seed: "abc", "a tensor of numbers"),
    (checks.check_ece, lambda v, y, b: ece(v, y, b, signed=True), "cancel"),
    (checks.check_ece, lambda v, y, b: ece(v, y, 1), "cancel"),
    (checks.check_ece, lambda v, y, b: ece(v, y, 10), "these are 10 bins"),
    (checks.check_ece, equal_mass, "equal width"),
    (checks.check_ece, lambda v, y, b: 100 * ece(v, y, b), "in percent"),
    (checks.check_fitted_temperature, lambda v, y: 1 / fitted(v, y), "this is 1/T"),
    (checks.check_fitted_temperature, lambda v, y: 1.0, "changes nothing"),
    (checks.check_fitted_temperature, lambda v, y: fitted(v, y, 0.1, 2.0), "lowest near"),
    (checks.check_fitted_temperature, lambda v, y: fitted(v, y) * 1.4, "too high"),
    (checks.check_fitted_temperature, lambda v, y: fitted(v, y, 0.1, 2.0), "too low"),
    (checks.check_without_dark_knowledge, lambda p: p.fill_(0.1), "all ten are equal"),
    (checks.check_without_dark_knowledge, lambda p: p, "the teacher as it was"),
    (checks.check_without_dark_knowledge, lambda p: leveled(p, others=10), "there are nine other classes"),
    (checks.check_without_dark_knowledge, lambda p: leveled(p, keep=1.0), "each row must sum to 1"),
    (checks.check_without_dark_knowledge, lambda p: F.one_hot(p.argmax(1), 10).float(), "this is a label"),
]


def test_a_right_answer_may_come_in_other_forms():
    assert checks.check_one_view(lambda *given: list(one_view(*given)))
    assert checks.check_soft_loss(lambda z, v, T: soft_kl(z, v, T).reshape(1))
    assert checks.check_fitted_temperature(lambda v, y: torch.tensor([fitted(v, y)], requires_grad=True))
    assert checks.check_order(lambda count, epoch, seed: order(count, epoch, seed).tolist())


def test_checkers_leave_the_random_stream_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    checks.check_one_view(one_view)
    checks.check_teacher_answer(teacher_answer)
    assert torch.equal(torch.rand(1), expected)
