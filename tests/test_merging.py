"""Merged branches are the same function as the branches one by one: outputs, gradients, running statistics, training.

Tolerances: float32 carries 7 digits, a network of 80 layers loses two or three of them. A layer is also compared in
float64, to 9 digits. Of a whole network both forms are held against the float64 truth, and the merged one may be at
most a few times as far off.
"""

import copy

import pytest
import torch
import torch.nn.functional as F

from course_lib.models import create_model, merging
from course_lib.models.ghostnet import BranchedConv, ConvBN
from course_lib.models.merging import Geometry, lags, row_classes, set_merging

LAYERS = {
    "1x1 with identity": lambda: BranchedConv(6, 6, 1),
    "1x1": lambda: BranchedConv(6, 10, 1),
    "3x3 depthwise": lambda: BranchedConv(6, 6, 3, groups=6),
    "3x3 depthwise, stride 2": lambda: BranchedConv(6, 6, 3, stride=2, groups=6),
    "5x5 depthwise, stride 2": lambda: BranchedConv(6, 6, 5, stride=2, groups=6),
    "gate's row": lambda: ConvBN(6, 6, (1, 5), groups=6),
    "gate's column": lambda: ConvBN(6, 6, (5, 1), groups=6),
}


def draw_parameters(module: torch.nn.Module) -> torch.nn.Module:
    """Every parameter and statistic away from its start, so that nothing is right by being one or zero."""
    generator = torch.Generator().manual_seed(3)
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.5 + (1 if "bn.weight" in name else 0))
            if "running_var" in name:
                tensor.abs_()
    return module.train()


def one_step(module, x, weights):
    """Output, gradient of the input, gradients of the parameters, running statistics after one step."""
    x = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    y = module(x)
    (y * weights).sum().backward()
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    return y.detach(), x.grad, {name: parameter.grad for name, parameter in module.named_parameters()}, buffers


@pytest.mark.parametrize("size", [(7, 5), (8, 8), (2, 2), (1, 3)])
@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_computes_the_same(layer, size):
    torch.manual_seed(0)
    plain = draw_parameters(LAYERS[layer]())
    fast = copy.deepcopy(plain)
    set_merging(fast, True)
    x = (torch.randn(16, 6, *size) + 0.5).contiguous(memory_format=torch.channels_last)
    weights = torch.randn(copy.deepcopy(plain)(x).shape)
    expected, got = one_step(plain, x, weights), one_step(fast, x, weights)
    assert torch.allclose(got[0], expected[0], atol=2e-4, rtol=1e-4)
    assert torch.allclose(got[1], expected[1], atol=2e-3, rtol=1e-3)
    for name, gradient in expected[2].items():
        assert torch.allclose(got[2][name], gradient, atol=5e-3, rtol=2e-3), name
    for name, buffer in expected[3].items():
        assert torch.allclose(got[3][name].double(), buffer.double(), atol=1e-5, rtol=1e-4), name


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_is_exact_in_float64(layer):
    """With 15 digits there is no rounding to hide in: 1e-9."""
    plain = draw_parameters(LAYERS[layer]().double())
    fast = copy.deepcopy(plain)
    set_merging(fast, True)
    torch.manual_seed(1)
    x = torch.randn(8, 6, 6, 6, dtype=torch.float64)
    weights = torch.randn(copy.deepcopy(plain)(x).shape, dtype=torch.float64)
    expected, got = one_step(plain, x, weights), one_step(fast, x, weights)
    assert torch.allclose(got[0], expected[0], atol=1e-9) and torch.allclose(got[1], expected[1], atol=1e-9)
    for name, gradient in expected[2].items():
        assert torch.allclose(got[2][name], gradient, atol=1e-9), name


def test_few_pixels_of_many_channels_go_branch_by_branch(monkeypatch):
    """4 pixels of 6 channels: the moments would be a 6 x 6 matrix, more work than three branches."""
    monkeypatch.delattr(merging, "moments_of")
    plain = draw_parameters(LAYERS["1x1 with identity"]())
    fast = copy.deepcopy(plain)
    set_merging(fast, True)
    x = torch.randn(2, 6, 1, 2, generator=torch.Generator().manual_seed(0))
    expected, got = one_step(plain, x, torch.ones(2, 6, 1, 2)), one_step(fast, x, torch.ones(2, 6, 1, 2))
    assert torch.allclose(got[0], expected[0], atol=1e-5) and torch.allclose(got[1], expected[1], atol=1e-4)
    with pytest.raises(NameError):
        fast(torch.randn(16, 6, 1, 2))


def test_without_numba_nothing_is_merged(monkeypatch):
    monkeypatch.setattr(merging, "cpu_loops", lambda: None)
    layer = LAYERS["3x3 depthwise"]()
    set_merging(layer, True)
    assert layer.merge is None


def test_a_layer_whose_input_is_far_from_zero():
    """variance = square - mean^2 cancels: with a mean of 30 standard deviations three digits are left, and enough."""
    plain = draw_parameters(BranchedConv(6, 6, 3, groups=6))
    fast = copy.deepcopy(plain)
    set_merging(fast, True)
    x = torch.randn(32, 6, 16, 16, generator=torch.Generator().manual_seed(0)) + 30
    assert torch.allclose(fast(x), plain(x), atol=0.05)


def test_a_constant_channel_gives_no_nan():
    layer = BranchedConv(6, 6, 3, groups=6).train()
    set_merging(layer, True)
    x = torch.zeros(4, 6, 8, 8, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert y.isfinite().all() and x.grad.isfinite().all()


def gradients_of(model, images, labels) -> tuple[float, torch.Tensor]:
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    return loss.item(), torch.cat([parameter.grad.flatten() for parameter in model.parameters()]).double()


def test_a_whole_network_is_as_near_to_the_truth_as_the_plain_one():
    plain = create_model("gn-s", width=0.5, seed=0).train()
    truth, fast = copy.deepcopy(plain).double(), copy.deepcopy(plain)
    set_merging(fast, True)
    torch.manual_seed(0)
    images, labels = torch.randn(16, 3, 32, 32), torch.randint(10, (16,))
    loss, right = gradients_of(truth, images.double(), labels)
    plain_loss, plain_gradient = gradients_of(plain, images, labels)
    fast_loss, fast_gradient = gradients_of(fast, images.contiguous(memory_format=torch.channels_last), labels)
    assert abs(fast_loss - loss) < 1e-5 and abs(plain_loss - loss) < 1e-5
    plain_error, fast_error = ((g - right).norm() / right.norm() for g in (plain_gradient, fast_gradient))
    assert fast_error < max(5 * plain_error, 2e-2)
    for (name, buffer), (_, exact) in zip(fast.named_buffers(), truth.named_buffers(), strict=True):
        assert torch.allclose(buffer.double(), exact.double(), atol=1e-4, rtol=1e-3), name


def test_twenty_steps_lead_to_the_same_weights():
    """The plain network's own distance to its float64 twin after 20 steps is the yardstick."""

    def train(model, dtype):
        torch.manual_seed(0)
        model.train()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=0.01, nesterov=True)
        for _ in range(20):
            images, labels = torch.randn(8, 3, 16, 16).to(dtype), torch.randint(10, (8,))
            optimizer.zero_grad()
            F.cross_entropy(model(images), labels).backward()
            optimizer.step()
        return torch.cat([parameter.detach().flatten().double() for parameter in model.parameters()])

    start = create_model("gn-s", width=0.5, seed=0)
    merging_twin = copy.deepcopy(start)
    set_merging(merging_twin, True)
    truth = train(copy.deepcopy(start).double(), torch.float64)
    runs = {"plain": train(copy.deepcopy(start), torch.float32)}
    runs["merged"] = train(merging_twin, torch.float32)
    error = {name: (weights - truth).norm() / truth.norm() for name, weights in runs.items()}
    assert error["merged"] < max(5 * error["plain"], 1e-4)


def test_eval_mode_does_not_merge():
    model = create_model("gn-s", width=0.5, seed=0).eval()
    images = torch.randn(2, 3, 32, 32)
    expected = model(images)
    set_merging(model, True)
    assert torch.equal(model(images), expected)


# --- the bookkeeping ------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", [(3, 3), (5, 5), (1, 5), (5, 1)])
@pytest.mark.parametrize(("height", "width", "stride"), [(6, 7, 1), (6, 7, 2), (2, 2, 1), (1, 1, 1)])
def test_moments_equal_those_of_the_unfolded_input(kernel, height, width, stride):
    geometry = Geometry(height, width, kernel, stride)
    x = torch.randn(5, 3, height, width, generator=torch.Generator().manual_seed(0))
    margins = (kernel[0] // 2, kernel[1] // 2)
    mean, products, count = merging.moments_of(x, torch.nn.Conv2d(3, 3, kernel, stride, margins, groups=3))
    seen = F.unfold(x, kernel, padding=margins, stride=stride).view(5, 3, geometry.taps, -1)
    assert count == 5 * seen.shape[-1]
    assert torch.allclose(mean, seen.mean(dim=(0, 3)), atol=1e-5)
    assert torch.allclose(products, torch.einsum("nctp,ncsp->cts", seen, seen) / count, atol=1e-5)


def test_a_3x3_kernel_has_13_lags_and_three_kinds_of_rows():
    geometry = Geometry(32, 32, (3, 3), 1)
    assert len(lags(geometry)) == 13
    assert row_classes(geometry)[1] == 3 and row_classes(geometry)[0][1:31] == (row_classes(geometry)[0][1],) * 30
