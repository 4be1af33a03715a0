"""The training loop: schedule, determinism, kill and resume, and what stops it."""

import dataclasses
import math
import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from course_lib.data import load_dataset
from course_lib.files import CheckpointError, CourseError, TrainingError
from course_lib.models.ghostnet import ConvBN
from course_lib.models.zoo import create_model
from course_lib.training import loop as training
from course_lib.training.checkpoint import read_checkpoint
from course_lib.training.engine import Engine
from course_lib.training.loop import draw_epoch, evaluate, make_optimizer, train
from course_lib.training.recipe import Recipe, learning_rate
from course_lib.training.teachers import RememberedTeacher, Teacher


@pytest.fixture(scope="module")
def dataset():
    full = load_dataset("cifar10", "sample")
    return dataclasses.replace(full, train=full.train.take(60), test=full.test.take(40))


def student(seed=0):
    return create_model("gn-s", width=0.25, seed=seed)


def linear(classes=10, seed=0):
    """The smallest network that learns."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Flatten(), nn.Linear(3072, classes))


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


CPU = torch.device("cpu")
RECIPE = Recipe(epochs=3, batch_size=20, seed=1)


def run(model, dataset, recipe=RECIPE, **options):
    return train(model, dataset, recipe, device="cpu", progress=False, **options)


# --- schedule and draws ---------------------------------------------------------------------------


def test_schedule_is_the_papers():
    recipe, steps = Recipe(), 200 * 196
    rates = [learning_rate(step, steps, recipe) for step in range(steps)]
    peak = int(0.3 * steps)
    assert rates[0] == pytest.approx(1e-8) and rates[-1] == pytest.approx(1e-8)
    assert rates[peak] == pytest.approx(0.01) == max(rates)
    assert rates[peak // 2] == pytest.approx(0.005, rel=1e-3)  # linear on the way up
    middle = (peak + steps - 1) // 2
    assert rates[middle] == pytest.approx(0.005, rel=1e-3)  # half-way down the cosine
    assert all(a < b for a, b in zip(rates[:peak], rates[1 : peak + 1], strict=True))
    assert all(a >= b for a, b in zip(rates[peak:-1], rates[peak + 1 :], strict=True))


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        *[("temperature", bad) for bad in (0, "4")], ("alpha", 1.5), ("warmup", 1), ("decay", "cos"), ("flips", True),
        *[("epochs", bad) for bad in (0, 2.0, True)], *[("batch_size", bad) for bad in (0, 20.0, "20")],
        *[("lr", bad) for bad in (-1, math.nan, math.inf, "0.1", None)], ("weight_decay", -1), ("momentum", 2),
        ("shuffle", 1), ("seed", 1.5), ("label_smoothing", 2), ("shift", 5), ("decay_norms", 0),
    ],
)  # fmt: skip
def test_a_bad_recipe_is_refused_in_one_line_that_names_the_field(field, bad):
    with pytest.raises(ValueError, match=rf"^{field} [^\n]*not {bad!r}") as caught:
        Recipe(**{field: bad})
    assert "\n" not in str(caught.value)


def test_a_recipe_keeps_plain_numbers():
    recipe = Recipe(epochs=np.int64(1), lr=np.logspace(-3, -2, 2)[0], seed=np.arange(2)[1], shuffle=np.bool_(False))
    assert [type(value) for value in dataclasses.asdict(recipe).values()] == [
        type(value) for value in dataclasses.asdict(Recipe()).values()
    ]


# --- settings of a short recipe -------------------------------------------------------------------


def test_a_linear_decay_falls_straight_to_zero():
    recipe, steps = Recipe(decay="linear", warmup=0.25, lr=0.1), 401
    assert learning_rate(100, steps, recipe) == pytest.approx(0.1)
    assert learning_rate(250, steps, recipe) == pytest.approx(0.05)
    assert learning_rate(400, steps, recipe) == pytest.approx(1e-8)


def test_alternating_flips_mirror_each_image_in_every_second_epoch():
    recipe = Recipe(flips="alternating")
    flips = []
    for epoch in (1, 2, 3):
        order, views, _ = draw_epoch(50, recipe, epoch)
        flips.append(torch.empty(50, dtype=torch.int64).index_put_((order,), views[:, 2]))
    assert torch.equal(flips[0], 1 - flips[1]) and torch.equal(flips[0], flips[2]) and 10 < flips[0].sum() < 40


def test_a_shift_keeps_crops_near_the_middle():
    for shift in (0, 2, 4):
        offsets = draw_epoch(500, Recipe(shift=shift), 1)[1][:, :2]
        assert (offsets.min(), offsets.max()) == (4 - shift, 4 + shift)


def test_weight_decay_can_spare_batch_norms_and_biases():
    model = student()
    (whole,) = make_optimizer(model.parameters(), Recipe(), CPU).param_groups
    some, single = make_optimizer(model.parameters(), Recipe(decay_norms=False), CPU).param_groups
    assert (whole["weight_decay"], some["weight_decay"], single["weight_decay"]) == (0.01, 0.01, 0.0)
    assert all(parameter.ndim == 1 for parameter in single["params"]) and len(single["params"]) > 0
    assert len(whole["params"]) == len(some["params"]) + len(single["params"])


def test_a_short_recipe_resumes_bit_for_bit(dataset, tmp_path):
    new = {"decay": "linear", "decay_norms": False, "label_smoothing": 0.1, "flips": "alternating", "shift": 2}
    recipe, checkpoint = dataclasses.replace(RECIPE, **new), tmp_path / "run.pt"
    undisturbed, resumed = student(), student(seed=3)
    run(undisturbed, dataset, recipe)
    stop_after(1, lambda stop: run(student(), dataset, recipe, checkpoint=checkpoint, after_epoch=stop))
    run(resumed, dataset, recipe, checkpoint=checkpoint)
    assert same(weights(resumed), weights(undisturbed))


def test_order_is_new_every_epoch_and_follows_from_the_seed():
    first, again, second = draw_epoch(50, RECIPE, 1), draw_epoch(50, RECIPE, 1), draw_epoch(50, RECIPE, 2)
    assert torch.equal(first[0], again[0]) and torch.equal(first[1], again[1]) and first[2] == again[2]
    assert not torch.equal(first[0], second[0]) and not torch.equal(first[1], second[1])
    assert sorted(first[0].tolist()) == list(range(50))
    unshuffled = dataclasses.replace(RECIPE, shuffle=False)
    assert draw_epoch(50, unshuffled, 2)[0].tolist() == list(range(50))


# --- a run ----------------------------------------------------------------------------------------


def test_training_learns_and_tells_its_history(dataset):
    model = student()
    finished = run(model, dataset, Recipe(epochs=4, batch_size=10, lr=0.02, seed=0))
    history = finished.history
    assert [row["epoch"] for row in history] == [1, 2, 3, 4]
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    final = evaluate(model, dataset.test)
    assert final.accuracy == history[-1]["test_accuracy"] and torch.allclose(
        final.logits, finished.logits, atol=1e-4
    )  # folded there
    assert finished.logits.shape == (40, 10)
    right = (finished.logits.argmax(1) == dataset.test.labels).sum().item()
    assert final.accuracy == pytest.approx(100 * right / 40)


def test_the_same_seed_gives_the_same_run_and_another_does_not(dataset):
    torch.manual_seed(1)
    one = student()
    run(one, dataset)
    torch.manual_seed(2)  # the caller's random state must not matter
    two, other = student(), student()
    run(two, dataset)
    run(other, dataset, dataclasses.replace(RECIPE, seed=2))
    assert same(weights(one), weights(two)) and not same(weights(one), weights(other))


def test_training_leaves_the_callers_random_state_alone(dataset):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    run(student(), dataset, dataclasses.replace(RECIPE, epochs=1))
    assert torch.equal(before, torch.get_rng_state())


class WithoutFloat64(TorchDispatchMode):
    """A device as Apple's."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.dtype == torch.float64:
            raise TypeError(f"no float64 on this device ({function})")
        return out


def test_evaluate_puts_the_mode_back_and_asks_for_no_float64(dataset):
    model = linear().train()
    with WithoutFloat64():
        evaluate(model, dataset.test)
    assert model.training


def test_what_cannot_be_trained_is_said_before_the_first_epoch(dataset):
    empty = dataset.test[:0]
    with pytest.raises(ValueError, match="no images to evaluate on"):
        evaluate(linear(), empty)
    with pytest.raises(ValueError, match="60 training and 0 test images"):
        run(linear(), dataclasses.replace(dataset, test=empty))
    with pytest.raises(ValueError, match="no parameter of the network may be trained"):
        run(Teacher(linear()).model, dataset)
    broken = linear()
    broken[1].bias.data[3] = math.nan
    with pytest.raises(ValueError, match=r"first weights are not finite \(1.bias\)"):
        run(broken, dataset)
    taught = linear()
    taught[1].bias.data[3] = math.nan
    with pytest.raises(TrainingError, match="the teacher's answers are not finite"):
        run(linear(), dataset, teacher=taught)


@pytest.mark.parametrize("merging", [True, False])
def test_a_batch_too_small_for_a_batch_norm_is_one_line_in_either_engine(dataset, merging):
    few = dataclasses.replace(dataset, train=dataset.train.take(11))
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvBN(3, 10, 1), nn.Flatten())
    with pytest.raises(TrainingError, match="11 images in batches of 10 leave 1 in the last"):
        run(network, few, dataclasses.replace(RECIPE, batch_size=10), engine=Engine(CPU, merging=merging))


def test_a_network_that_keeps_its_features_trains_on(dataset):
    model = student()
    model.blocks.register_forward_hook(lambda module, inputs, output: setattr(model, "features", output))
    assert len(run(model, dataset, dataclasses.replace(RECIPE, epochs=2)).history) == 2


@pytest.mark.parametrize("remembers", [True, False])
def test_a_teacher_answers_about_the_very_views_the_student_sees(dataset, monkeypatch, remembers):
    """Both networks keep what they are shown; every picture of the student must be one of the teacher's."""
    seen = {"student": [], "teacher": []}

    def spied(model, who):
        model.register_forward_pre_hook(lambda module, inputs: seen[who].append(inputs[0].clone()))
        return model

    if not remembers:
        monkeypatch.setattr(training, "remembering", lambda teacher, *_: teacher)
    train(spied(student(), "student"), dataclasses.replace(dataset, test=dataset.test.take(10)),
          dataclasses.replace(RECIPE, epochs=1), teacher=Teacher(spied(student(seed=7), "teacher")), device="cpu",
          progress=False, engine=Engine(CPU))  # fmt: skip
    shown, answered = torch.cat(seen["student"][:3]), torch.cat(seen["teacher"])
    assert len(shown) == 60 and torch.equal(shown, answered[:60])  # what follows only fills up the teacher's last batch


def test_remembered_answers_train_the_same_student(dataset, monkeypatch):
    taught, remembered = student(), student()
    run(remembered, dataset, teacher=Teacher(student(seed=7)))
    monkeypatch.setattr(training, "remembering", lambda teacher, *_: teacher)
    run(taught, dataset, teacher=Teacher(student(seed=7)))
    assert all(
        torch.allclose(a, b, atol=1e-5) for a, b in zip(taught.parameters(), remembered.parameters(), strict=True)
    )


def test_a_memory_of_more_than_a_gigabyte_is_not_kept(dataset):
    teacher = Teacher(student())
    assert isinstance(training.remembering(teacher, dataset, CPU), RememberedTeacher)
    hundred = dataclasses.replace(dataset, classes=tuple(f"class {n}" for n in range(100_000)))
    assert training.remembering(teacher, hundred, CPU) is teacher


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117]\nDefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_a_full_memory_is_told_in_one_line(dataset, tmp_path, error):
    checkpoint = tmp_path / "run.pt"
    stop_after(1, lambda stop: run(linear(), dataset, checkpoint=checkpoint, after_epoch=stop))
    kept = checkpoint.read_bytes()

    def full(module, inputs):
        if module.training:
            raise error

    model = linear()
    model.register_forward_pre_hook(full)
    with pytest.raises(TrainingError, match="out of memory on cpu with batches of 20 images") as caught:
        run(model, dataset, checkpoint=checkpoint)
    assert "\n" not in str(caught.value) and checkpoint.read_bytes() == kept


def test_distillation_follows_eq_1_and_leaves_the_teacher_alone(dataset):
    teacher = Teacher(student(seed=7))
    before = weights(teacher)
    recipe = dataclasses.replace(RECIPE, temperature=4.0, alpha=0.3)
    history = run(student(), dataset, recipe, teacher=teacher).history
    for row in history:
        assert row["train_loss"] == pytest.approx(0.3 * row["hard_loss"] + 0.7 * row["soft_loss"], rel=1e-5)
    assert same(before, weights(teacher))


def test_with_alpha_1_a_teacher_changes_nothing(dataset):
    alone, taught = student(), student()
    run(alone, dataset)
    run(taught, dataset, dataclasses.replace(RECIPE, alpha=1.0), teacher=Teacher(student(seed=7)))
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(alone.parameters(), taught.parameters(), strict=True))


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(dataset, tmp_path):
    checkpoint = tmp_path / "run.pt"
    model = student()

    def explode(module, inputs, output):
        return output * (float("nan") if epochs_seen() >= 1 else 1)

    def epochs_seen():
        return len(read_checkpoint(checkpoint)["history"]) if checkpoint.exists() else 0

    model.register_forward_hook(explode)
    with pytest.raises(TrainingError, match="loss became nan in epoch 2: the images are finite"):
        run(model, dataset, checkpoint=checkpoint)
    assert epochs_seen() == 1
    assert all(value.isfinite().all() for value in read_checkpoint(checkpoint)["model"].values())


# --- checkpoints ----------------------------------------------------------------------------------

KILLED = """
    import dataclasses, os, signal, sys
    from course_lib.training import loop as training
    from course_lib.data import load_dataset
    from course_lib.models.zoo import create_model

    full = load_dataset("cifar10", "sample")
    dataset = dataclasses.replace(full, train=full.train.take(60), test=full.test.take(40))
    steps, original = 0, training.crop_and_flip

    def counting(*arguments):
        global steps
        steps += 1
        if steps == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments)

    training.crop_and_flip = counting
    model = create_model(sys.argv[3], width=0.25 if sys.argv[3] == "gn-s" else None, seed=0)
    recipe = training.Recipe(epochs=3, batch_size=20, seed=1)
    training.train(model, dataset, recipe, checkpoint=sys.argv[1], device="cpu", progress=False)
"""


# Of three epochs of three steps each: before the first checkpoint, amid the second epoch, at the very end.
@pytest.mark.parametrize("step", [*(pytest.param(step, marks=pytest.mark.slow) for step in (2, 5)), 9])
def test_a_killed_run_goes_on_and_ends_in_the_same_weights_bit_for_bit(dataset, tmp_path, step):
    checkpoint = tmp_path / "run.pt"
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(checkpoint), str(step), "gn-s"]
    killed = subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert checkpoint.exists() == (step > 3)
    resumed, undisturbed = student(), student()
    history = run(resumed, dataset, checkpoint=checkpoint).history
    expected = run(undisturbed, dataset).history
    assert same(weights(resumed), weights(undisturbed))
    assert [row["test_accuracy"] for row in history] == [row["test_accuracy"] for row in expected]
    assert list(tmp_path.iterdir()) == [checkpoint]  # nothing half-written is left


def test_resuming_a_finished_run_only_evaluates(dataset, tmp_path):
    checkpoint = tmp_path / "run.pt"
    first = run(student(), dataset, checkpoint=checkpoint)
    again = run(student(seed=3), dataset, checkpoint=checkpoint)
    assert again.history == first.history and torch.equal(again.logits, first.logits)


def test_dropout_resumes_as_well(dataset, tmp_path):
    """Dropout draws from the global generator; an epoch must seed it itself."""

    def network():
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(3 * 32 * 32, 10))

    undisturbed, resumed = network(), network()
    run(undisturbed, dataset)
    checkpoint = tmp_path / "run.pt"
    stop_after(1, lambda stop: run(network(), dataset, checkpoint=checkpoint, after_epoch=stop))
    torch.manual_seed(99)
    run(resumed, dataset, checkpoint=checkpoint)
    assert same(weights(resumed), weights(undisturbed))


class Stop(Exception):
    pass


def stop_after(epochs, work):
    """Call ``work`` with what breaks its training off right after the ``epochs``-th checkpoint."""

    def stop(row):
        if row["epoch"] == epochs:
            raise Stop

    with pytest.raises(Stop):
        work(stop)


def test_a_torn_checkpoint_is_named_and_a_folder_is_none(dataset, tmp_path):
    checkpoint = tmp_path / "run.pt"
    run(linear(), dataset, dataclasses.replace(RECIPE, epochs=1), checkpoint=checkpoint)
    whole = checkpoint.read_bytes()
    for damage in (whole[: len(whole) // 2], b"", b"not a checkpoint"):
        checkpoint.write_bytes(damage)
        with pytest.raises(CheckpointError, match="run.pt is damaged") as caught:
            run(linear(), dataset, dataclasses.replace(RECIPE, epochs=1), checkpoint=checkpoint)
        assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match="is a folder: name a file") as caught:
        run(linear(), dataset, checkpoint=tmp_path)
    assert "delete" not in str(caught.value)


def test_a_checkpoint_of_another_run_is_refused(dataset, tmp_path):
    checkpoint = tmp_path / "run.pt"
    once = dataclasses.replace(RECIPE, epochs=1)
    run(linear(), dataset, once, teacher=linear(), checkpoint=checkpoint)
    kept = checkpoint.read_bytes()
    with pytest.raises(CheckpointError, match="another recipe"):
        run(linear(), dataset, RECIPE, teacher=linear(), checkpoint=checkpoint)
    with pytest.raises(CheckpointError, match=r"architecture or other classes \(1.bias is \(10,\) there and \(100,\)"):
        run(linear(100), dataset, once, teacher=linear(), checkpoint=checkpoint)
    others = dataclasses.replace(dataset, train=dataset.train.take(50))
    for teacher, images, said in ((linear(seed=1), dataset, "other teacher"), (None, dataset, "other teacher"),
                                  (linear(), others, "other images")):  # fmt: skip
        with pytest.raises(CheckpointError, match=said):
            run(linear(), images, once, teacher=teacher, checkpoint=checkpoint)
    run(linear(seed=2), dataset, once, teacher=Engine(CPU).for_answers(Teacher(linear())), checkpoint=checkpoint)
    torch.save({"something": 1}, checkpoint.with_name("foreign.pt"))
    with pytest.raises(CheckpointError, match="not a checkpoint of this course"):
        run(student(), dataset, RECIPE, checkpoint=checkpoint.with_name("foreign.pt"))
    assert checkpoint.read_bytes() == kept


def test_a_checkpoint_cannot_smuggle_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (time.sleep, (0,))

    path = tmp_path / "evil.pt"
    torch.save({"format": 1, "model": Evil()}, path)
    with pytest.raises(CheckpointError, match="not a checkpoint of this course"):
        read_checkpoint(path)


def test_an_older_checkpoint_resumes(dataset, tmp_path):
    """It has no digests, no threads, and a recipe of fewer fields."""
    checkpoint = tmp_path / "run.pt"
    undisturbed, resumed = linear(), linear(seed=3)
    run(undisturbed, dataset)
    stop_after(1, lambda stop: run(linear(), dataset, checkpoint=checkpoint, after_epoch=stop))
    state = torch.load(checkpoint, weights_only=True)
    old = {"recipe": {name: state["recipe"][name] for name in list(state["recipe"])[:10]}}
    torch.save({name: state[name] for name in ("format", "model", "optimizer", "history")} | old, checkpoint)
    run(resumed, dataset, checkpoint=checkpoint)
    assert same(weights(resumed), weights(undisturbed))


@pytest.mark.parametrize("wrap", [nn.DataParallel, lambda network: torch.compile(network, backend="eager")])
def test_a_wrapped_network_and_a_bare_one_share_checkpoints(dataset, tmp_path, wrap):
    checkpoint, once = tmp_path / "run.pt", dataclasses.replace(RECIPE, epochs=1)
    wrapped, bare, again = linear(), linear(seed=1), linear(seed=2)
    run(wrap(wrapped), dataset, once, checkpoint=checkpoint)
    run(bare, dataset, once, checkpoint=checkpoint)
    run(wrap(again), dataset, once, checkpoint=checkpoint)
    assert same(weights(wrapped), weights(bare)) and same(weights(wrapped), weights(again))


def test_a_run_goes_on_with_the_threads_it_began_with(dataset, tmp_path, capsys):
    checkpoint, before = tmp_path / "run.pt", torch.get_num_threads()
    undisturbed, resumed, seen = student(), student(seed=3), set()
    resumed.register_forward_pre_hook(lambda *_: seen.add(torch.get_num_threads()))
    try:
        torch.set_num_threads(1)
        run(undisturbed, dataset)
        stop_after(1, lambda stop: run(student(), dataset, checkpoint=checkpoint, after_epoch=stop))
        torch.set_num_threads(3)
        train(resumed, dataset, RECIPE, device="cpu", checkpoint=checkpoint)
        assert seen == {1} and torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert "began with 1 threads, not 3" in capsys.readouterr().out
    assert same(weights(resumed), weights(undisturbed))


def test_a_full_disk_keeps_the_old_checkpoint(dataset, tmp_path, monkeypatch):
    checkpoint = tmp_path / "run.pt"
    stop_after(1, lambda stop: run(linear(), dataset, checkpoint=checkpoint, after_epoch=stop))
    kept = checkpoint.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CourseError, match="No space left on device") as caught:
        run(linear(), dataset, checkpoint=checkpoint)
    assert "\n" not in str(caught.value)
    assert checkpoint.read_bytes() == kept and list(tmp_path.iterdir()) == [checkpoint]


def test_progress_is_one_line_an_epoch(dataset, capsys):
    train(student(), dataset, dataclasses.replace(RECIPE, epochs=2), device="cpu", name="demo")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and all("demo" in line and "images/s" in line for line in lines)
    assert math.isclose(float(lines[-1].split("loss")[1].split()[0]), 2.5, abs_tol=2.5)


def test_a_network_for_other_classes_is_told_in_one_line(dataset):
    with pytest.raises(TrainingError, match="too few classes.*num_classes=10"):
        train(create_model("gn-s", width=0.25, num_classes=2), dataset, Recipe(epochs=1, batch_size=10), progress=False)


def test_a_compiled_ghostnet_trains_branch_by_branch(dataset):
    student = torch.compile(create_model("gn-s", width=0.25, seed=0), backend="eager")
    assert len(train(student, dataset, Recipe(epochs=1, batch_size=10), progress=False).history) == 1
