"""Costs: against numbers worked out by hand, and against PyTorch's own counter of operations."""

import time

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from classroom.measure import latency_ms
from course_lib.models.cost import block_costs, count_activations, count_macs, count_parameters
from course_lib.models.ghostnet import fold
from course_lib.models.zoo import create_model


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """On layers this small a second thread gains nothing; on a busy machine the two wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def tiny() -> nn.Module:
    """On 8 x 8 images: a 3 x 3 convolution, a depthwise one with stride 2, and a linear layer."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 6, (1, 5), stride=2, padding=(0, 2), groups=6, bias=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 4),
    )


def test_counts_worked_out_by_hand():
    model = tiny()
    assert count_parameters(model) == (3 * 9 * 6 + 6) + 2 * 6 + 5 * 6 + (6 * 4 + 4)
    assert count_macs(model, size=8) == 64 * 6 * 3 * 9 + 16 * 6 * 5 + 6 * 4
    assert count_activations(model, size=8) == 64 * 6 + 16 * 6 + 4


@pytest.mark.parametrize("name", ["gn-s", "gn-d", "resnet18"])
def test_macs_are_half_the_flops_that_pytorch_counts(name):
    model = create_model(name, seed=0).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, 32, 32))
    assert 2 * count_macs(model) == counter.get_total_flops()


def test_inception_is_the_dearest_teacher():
    with torch.device("meta"):
        model = create_model("inceptionv3")
    assert count_macs(model) == 3_460_465_664


def test_a_network_without_weights_has_the_same_costs():
    with torch.device("meta"):
        shapes_only = create_model("gn-s", width=0.5)
    assert block_costs(shapes_only).equals(block_costs(create_model("gn-s", width=0.5, seed=0)))


def test_folding_makes_a_network_cheaper_in_every_respect():
    model = create_model("gn-s", seed=0)
    folded = fold(model)
    assert count_parameters(folded) == 374_174 < count_parameters(model)
    assert count_macs(folded) < count_macs(model) / 2
    assert count_activations(folded) < count_activations(model) / 2


@pytest.mark.parametrize("name", ["gn-s", "gn-d", "resnet18", "vgg13"])
def test_the_blocks_add_up_to_the_network(name):
    model = create_model(name, seed=0)
    table = block_costs(model)
    assert list(table.columns) == ["block", "resolution", "channels", "parameters", "macs", "activations"]
    assert table["parameters"].sum() == count_parameters(model)
    assert table["macs"].sum() == count_macs(model)
    assert table["activations"].sum() == count_activations(model)
    assert table["block"].is_unique


def test_the_blocks_of_gn_s():
    table = block_costs(create_model("gn-s", seed=0)).set_index("block")
    assert list(table.index) == [
        "stem",
        "stage1_block1",
        "stage2_block1",
        "stage2_block2",
        "stage3_block1",
        "stage3_block2",
        "stage4_block1",
        "stage4_block2",
        "stage4_block3",
        "stage5_block1",
        "stage5_block2",
        "head",
        "embedding",
        "classifier",
    ]
    assert list(table["resolution"]) == [32, 32, 16, 16, 16, 16, 8, 8, 8, 8, 8, 8, 1, 1]
    assert list(table["channels"]) == [16, 16, 20, 20, 32, 32, 48, 48, 64, 80, 80, 160, 1280, 10]
    stem = table.loc["stem"]
    assert (stem["parameters"], stem["macs"], stem["activations"]) == (
        3 * 16 * 9 + 2 * 16,
        1024 * 3 * 16 * 9,
        1024 * 16,
    )


def test_counting_leaves_the_model_as_it_was():
    model = tiny()
    model[1].eval()  # one part frozen, the rest in train mode
    statistics = model[1].running_mean.clone()
    block_costs(model, size=8)
    latency_ms(model, size=8, repeats=1)
    assert [part.training for part in model] == [True, False, True, True, True, True, True]
    assert torch.equal(model[1].running_mean, statistics)
    assert not any(part._forward_hooks for part in model.modules())


def test_a_failed_count_leaves_the_model_as_it_was_too():
    model = tiny()
    with pytest.raises(RuntimeError):
        count_macs(nn.Sequential(model, nn.Linear(5, 2)), size=8)  # 4 features into 5
    assert model.training
    assert not any(part._forward_hooks for part in model.modules())


class Slow(nn.Module):
    """Takes 4 ms an image, but 300 ms for every fourth batch."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.batches = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert not self.training and x.shape[1:] == (3, 16, 16)
        self.batches += 1
        time.sleep(0.3 if self.batches % 4 == 0 else 0.004 * len(x))
        return x * self.weight


def test_latency_is_a_median_in_milliseconds():
    one = latency_ms(Slow(), size=16, repeats=5)
    five = latency_ms(Slow(), batch=5, size=16, repeats=5)
    assert 4 <= one < 50
    assert 20 <= five < 100
