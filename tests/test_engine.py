"""The engine changes how fast a network trains, never what it computes; what a machine lacks is told in one line."""

import dataclasses
import sys

import numba
import pytest
import torch
from torch import nn

from course_lib import models
from course_lib.data import load_dataset
from course_lib.models import create_model, lag_kernels, merging
from course_lib.models.ghostnet import BranchedConv, ConvBN
from course_lib.training import engine, loop
from course_lib.training.engine import Compiled, Engine, choose_engine, folded_copy
from course_lib.training.recipe import Recipe
from course_lib.training.teachers import Teacher

CPU = torch.device("cpu")
RECIPE = Recipe(epochs=2, batch_size=20, lr=0.01, seed=0)


def small_data():
    dataset = load_dataset("cifar10", "sample")
    return dataclasses.replace(dataset, train=dataset.train.take(60), test=dataset.test.take(40))


def test_the_cpu_merges_and_folds_and_has_nothing_to_note():
    chosen = choose_engine(CPU)
    assert chosen == Engine(CPU, merging=True)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModuleNotFoundError("No module named 'numba'", name="numba"), "numba is not installed (pip install numba)"),
        (ImportError("Numba needs NumPy 2.3 or less\nGot 2.4"), "numba cannot be used (Numba needs NumPy 2.3 or less)"),
        (OSError("libLLVM.so: wrong ELF class"), "numba cannot be used (libLLVM.so: wrong ELF class)"),
    ],
)
def test_without_numba_one_line_says_why(monkeypatch, error, said):
    class Broken:
        def find_spec(self, name, *_):
            if name == "course_lib.models.lag_kernels":
                raise error

    monkeypatch.delitem(sys.modules, "course_lib.models.lag_kernels", raising=False)
    monkeypatch.delattr(models, "lag_kernels", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    merging.loops_or_reason.cache_clear()
    try:
        chosen = choose_engine(CPU)
    finally:
        merging.loops_or_reason.cache_clear()
    assert not chosen.merging and len(chosen.notes) == 1 and chosen.notes[0].startswith(said)


def test_numba_without_a_place_for_its_cache_compiles_all_the_same(monkeypatch):
    compiler = numba.njit

    def homeless(*function, **options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function '_add': no locator available for file 'lag_kernels.py'")
        return compiler(*function, **options)

    monkeypatch.setattr(numba, "njit", homeless)
    assert lag_kernels._compiled()(lambda x: x + 1)(1) == 2


def test_an_old_gpu_without_triton_gets_two_lines(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old GPU")
    monkeypatch.setattr(engine, "has_triton", lambda: False)
    chosen = choose_engine(torch.device("cuda"))
    assert chosen.dtype is None and not chosen.compiling and not chosen.merging
    assert "bfloat16" in chosen.notes[0] and "Triton" in chosen.notes[1]
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(engine, "has_triton", lambda: True)
    chosen = choose_engine(torch.device("cuda"))
    assert (chosen.dtype, chosen.compiling, chosen.merging, chosen.notes) == (torch.bfloat16, True, False, ())


def test_engine_and_plain_loop_train_the_same_network():
    """Six steps in float32 at a low rate: the weights end as near to each other as a twentieth of the way they went.

    At the paper's rate the first steps are chaotic: the plain loop ends a fifth of the way from its float64 twin.
    """
    recipe = dataclasses.replace(RECIPE, lr=1e-4)
    start = torch.cat([p.detach().flatten() for p in create_model("gn-s", width=0.5, seed=0).parameters()])
    histories, weights = [], []
    for chosen in (Engine(CPU), choose_engine(CPU)):
        model = create_model("gn-s", width=0.5, seed=0)
        finished = loop.train(model, small_data(), recipe, engine=chosen, device="cpu", progress=False)
        histories.append(finished.history)
        weights.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    assert (weights[0] - weights[1]).norm() < 0.05 * (weights[0] - start).norm()
    for plain, fast in zip(*histories, strict=True):
        assert abs(plain["train_loss"] - fast["train_loss"]) < 1e-3


def test_a_checkpoint_of_one_loop_resumes_in_the_other(tmp_path):
    path = tmp_path / "run.pt"
    half = {"seen": 0}

    class Stop(Exception):
        pass

    def stop(row):
        half["seen"] += 1
        raise Stop

    plain = create_model("gn-s", width=0.5, seed=0)
    try:
        loop.train(
            plain, small_data(), RECIPE, engine=Engine(CPU), device="cpu", checkpoint=path, progress=False,
            after_epoch=stop,
        )  # fmt: skip
    except Stop:
        pass
    resumed = create_model("gn-s", width=0.5, seed=5)
    finished = loop.train(resumed, small_data(), RECIPE, device="cpu", checkpoint=path, progress=False)
    assert half["seen"] == 1 and [row["epoch"] for row in finished.history] == [1, 2]


def test_bfloat16_learns_as_float32_does():
    """Two epochs on 100 images: the losses stay within what another seed changes."""
    dataset = load_dataset("cifar10", "sample")
    dataset = dataclasses.replace(dataset, train=dataset.train.take(100), test=dataset.test.take(40))
    losses = {}
    for name, chosen, seed in (
        ("float32", Engine(CPU), 0),
        ("bfloat16", Engine(CPU, dtype=torch.bfloat16), 0),
        ("another seed", Engine(CPU), 1),
    ):
        recipe = Recipe(epochs=2, batch_size=20, lr=0.01, seed=seed)
        model = create_model("gn-s", width=0.5, seed=seed)
        finished = loop.train(model, dataset, recipe, engine=chosen, device="cpu", progress=False)
        losses[name] = finished.history[-1]["train_loss"]
    noise = abs(losses["float32"] - losses["another seed"])
    assert abs(losses["float32"] - losses["bfloat16"]) < max(noise, 0.05)


def small_network() -> nn.Sequential:
    """Branches, batch norms and dropout, for 32 x 32 images and 10 classes."""
    torch.manual_seed(0)
    layers = (ConvBN(3, 6, 3, 2), nn.ReLU(), BranchedConv(6, 6, 3, groups=6), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(*layers, nn.Dropout(0.2), nn.Linear(6, 10))


def state_of(network: nn.Module) -> list[torch.Tensor]:
    return [value.clone() for value in network.state_dict().values()]


def broken_compiler(monkeypatch, *, in_backward: bool = False) -> None:
    """From here on, what torch.compile gives fails when it is called, or when its gradients are asked for."""

    class Failing(torch.autograd.Function):
        @staticmethod
        def forward(ctx, logits):
            return logits.clone()

        @staticmethod
        def backward(ctx, gradient):
            raise RuntimeError("no compiler found\nand much more")

    def compile(function, **options):
        def call(images):
            if in_backward:
                return Failing.apply(function(images))
            raise RuntimeError("no compiler found\nand much more")

        return call

    monkeypatch.setattr(torch, "compile", compile)


@pytest.mark.parametrize("in_backward", [False, True])
def test_a_failing_compiler_is_told_and_left(in_backward, capsys, monkeypatch):
    broken_compiler(monkeypatch, in_backward=in_backward)
    network, twin = small_network(), small_network()
    compiled = Compiled(network)
    images = torch.randn(8, 3, 32, 32)
    compiled.rehearse(images)
    assert capsys.readouterr().err.strip() == "torch.compile failed (no compiler found): running without it"
    torch.manual_seed(1)
    expected = twin(images)
    torch.manual_seed(1)
    assert torch.equal(compiled(images), expected)


def test_a_benchmark_is_not_run_on_a_failed_compiler(monkeypatch):
    broken_compiler(monkeypatch)
    compiled = Engine(CPU, compiling=True, strict=True).for_training(small_network())
    with pytest.raises(RuntimeError, match="no compiler found"):
        compiled.rehearse(torch.randn(8, 3, 32, 32))


def test_an_error_of_the_network_itself_is_not_swallowed():
    compiled = Compiled(nn.Linear(3, 2), backend="eager")
    wrong = torch.randn(4, 5)
    compiled.rehearse(wrong)
    with pytest.raises(RuntimeError):
        compiled(wrong)


def test_a_rehearsal_leaves_no_trace():
    network = small_network()
    before, generator = state_of(network), torch.get_rng_state()
    Compiled(network, backend="aot_eager").rehearse(torch.randn(8, 3, 32, 32, generator=torch.Generator()))
    assert all(torch.equal(a, b) for a, b in zip(before, state_of(network), strict=True))
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_compiled_training_is_the_same_training(dtype, monkeypatch):
    """With a smaller last batch, which goes past the compiler; two epochs, from the second on with momentum."""
    data = small_data()
    data = dataclasses.replace(data, train=data.train.take(50))
    compiler = torch.compile  # without a GPU its CUDA graphs cannot be had: traced and differentiated, not more
    monkeypatch.setattr(torch, "compile", lambda function, dynamic, mode: compiler(function, backend="aot_eager"))
    losses, weights = [], []
    for compiling in (False, True):
        network = small_network()
        chosen = Engine(CPU, dtype=dtype, compiling=compiling, strict=True)
        finished = loop.train(network, data, RECIPE, engine=chosen, device="cpu", progress=False)
        losses.append([row["train_loss"] for row in finished.history])
        weights.append(torch.cat([parameter.detach().flatten() for parameter in network.parameters()]))
    tolerance = 1e-5 if dtype is None else 2e-2
    assert losses[0] == pytest.approx(losses[1], abs=tolerance)
    assert torch.allclose(*weights, atol=tolerance)


def test_a_run_that_is_over_is_not_compiled_again(tmp_path, monkeypatch):
    path, rehearsed = tmp_path / "run.pt", []
    monkeypatch.setattr(Engine, "warm_up", lambda self, forward, images: rehearsed.append(len(images)))
    for _ in range(2):
        loop.train(small_network(), small_data(), RECIPE, device="cpu", checkpoint=path, progress=False)
    assert rehearsed == [RECIPE.batch_size]


def test_folding_reaches_a_ghostnet_inside_a_wrapper():
    images = torch.randn(8, 3, 32, 32)
    network = create_model("gn-s", width=0.5, seed=0).train()
    for _ in range(30):
        network(images)  # running statistics as those of a network that has learned
    teacher = Teacher(network)
    folded = folded_copy(teacher)
    assert torch.allclose(folded(images), teacher(images), atol=1e-4)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in folded.modules()) == 0
    big = create_model("resnet18", seed=0)
    assert folded_copy(big) is big


@pytest.mark.parametrize(
    "name",
    [
        "resnet18",
        "vgg13",
        "resnet20",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("densenet161", "inceptionv3")),
    ],
)
def test_a_folded_teacher_answers_the_same(name):
    images = torch.randn(8, 3, 32, 32)
    network = create_model(name, seed=0).train()
    with torch.no_grad():
        for _ in range(20):
            network(images)
    teacher = Teacher(network)
    before = [value.clone() for value in teacher.state_dict().values()]
    folded = folded_copy(teacher)
    expected = teacher(images)
    assert (folded(images) - expected).abs().max() < 1e-4 * expected.abs().max()
    norms = [sum(isinstance(module, nn.BatchNorm2d) for module in form.modules()) for form in (teacher, folded)]
    assert norms[1] <= norms[0] / 2 + 2
    assert all(torch.equal(a, b) for a, b in zip(before, teacher.state_dict().values(), strict=True))


def test_a_convolution_that_serves_several_batch_norms_is_left_as_it_is():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 10)
            self.norms = nn.ModuleList(nn.BatchNorm2d(3) for _ in range(3))

        def forward(self, x):
            for norm in self.norms:
                x = torch.relu(norm(self.conv(x)))
            return self.head(x.mean((2, 3)))

    torch.manual_seed(0)
    network, images = Shared(), torch.randn(4, 3, 32, 32)
    for norm in network.norms:
        norm.running_var.uniform_(0.2, 3), norm.running_mean.normal_()
    teacher = Teacher(network)
    torch.testing.assert_close(folded_copy(teacher)(images), teacher(images))


def test_a_teacher_that_cannot_be_traced_answers_as_it_is():
    class Branching(nn.Sequential):
        def forward(self, images):
            return super().forward(images) if images.mean() > 0 else super().forward(-images)

    teacher = Teacher(Branching(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 30 * 30, 10)))
    images = torch.randn(4, 3, 32, 32)
    assert torch.allclose(teacher(images), folded_copy(teacher)(images), atol=1e-5)  # channels may lie elsewhere
