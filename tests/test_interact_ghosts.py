"""The ghost slider: its counts against real networks; every position redraws picture, alt text and words."""

import statistics
import time

import pytest
import torch

from classroom import sliders
from course_lib import look
from course_lib.models import create_model, fold
from course_lib.models.ghostnet import GhostModule

LIMIT_MS = 500  # of processor time for a redraw; loose, for slow machines


def weights(module: torch.nn.Module) -> int:
    return sum(conv.weight.numel() for conv in (module.primary, module.cheap))


@pytest.mark.parametrize(("channels", "out"), [(16, 16), (20, 48), (160, 80)])
def test_two_parts_are_the_librarys_ghost_module_folded(channels, out):
    module = GhostModule(channels, out, relu=True)
    cost = sliders.ghost_cost(channels, out)
    assert cost.primary == module.primary.fold().weight.numel()
    assert cost.ghosts == module.cheap.fold().weight.numel()
    assert cost.ordinary == channels * out


def test_the_channels_of_gn_s_are_those_of_the_network():
    with torch.device("meta"):
        model = fold(create_model("gn-s"))
    modules = [part for block in model.blocks for part in (block.expand, block.project)]
    assert sliders.gn_s_channels() == [module.primary.in_channels for module in modules]
    for module, channels in zip(modules, sliders.gn_s_channels(), strict=True):
        cost = sliders.ghost_cost(channels, 2 * module.primary.out_channels)
        assert cost.primary + cost.ghosts == weights(module)


@pytest.mark.parametrize("parts", [2, 3, 6])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_break_even_is_at_the_square_of_the_kernel_whatever_the_parts(parts, kernel):
    assert sliders.ghost_cost(kernel * kernel, parts=parts, kernel=kernel).ratio == pytest.approx(1)
    assert sliders.ghost_cost(10**9, parts=parts, kernel=kernel).ratio == pytest.approx(1 / parts)


@pytest.mark.parametrize("wrong", [{"channels": 0}, {"channels": 8, "parts": 1}, {"channels": 8, "kernel": 0}])
def test_impossible_modules_are_refused_in_one_line(wrong):
    with pytest.raises(ValueError, match="^no ghost module has [^\n]*$"):
        sliders.ghost_cost(**wrong)


def seen(box) -> tuple[str, str]:
    image, words = box.children[-2:]
    return image.value, words.value


def test_every_slider_moves_picture_alt_text_and_words():
    box = sliders.ghost_explorer()
    assert 'alt="Bars: weights of' in seen(box)[0] and "ratio 0.78" in seen(box)[1]
    for slider in box.children[:3]:
        before = seen(box)
        for position in (slider.max, slider.min):
            slider.value = position
            after = seen(box)
            assert all(one != other for one, other in zip(before, after, strict=True))
            before = after


def test_the_figure_stands_still_and_has_words():
    figure = sliders.ghost_figure(160, 2, 3)
    assert "160 channels in" in look.alt_text(figure) and "ratio 0.53" in look.alt_text(figure)


def test_a_redraw_is_fast():
    box = sliders.ghost_explorer()
    times = []
    for channels in range(20, 100, 4):
        started = time.process_time()
        box.children[0].value = channels
        times.append(1000 * (time.process_time() - started))
    assert statistics.median(times) < LIMIT_MS
