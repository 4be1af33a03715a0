"""The ghost slider: what a ghost module costs beside an ordinary 1 x 1 convolution."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from classroom.sliders.drawing import LABEL_SIZE, ORANGE, Labels, explorer
from course_lib.look import BLACK, BLUE, GREEN, VERMILION
from course_lib.models.ghostnet import GN_S_STAGES

if TYPE_CHECKING:
    import ipywidgets

OUT_CHANNELS = 120  # of the module that is drawn: 2, 3, 4, 5 and 6 parts divide it
MOST_CHANNELS, MOST_PARTS, MOST_KERNEL = 320, 6, 7


class GhostCost(NamedTuple):
    """Weights of a ghost module: of its primary 1 x 1 convolution, of its ghosts, and of what it stands for."""

    primary: float
    ghosts: float
    ordinary: int

    @property
    def ratio(self) -> float:
        """Weights of the ghost module for each weight of the ordinary convolution; for MACs it is the same."""
        return (self.primary + self.ghosts) / self.ordinary


def ghost_cost(channels: int, out: int = OUT_CHANNELS, parts: int = 2, kernel: int = 3) -> GhostCost:
    """Count the weights (no biases) of a folded ghost module and of an ordinary 1 x 1 convolution in its place.

    Args:
        channels: input channels.
        out: output channels. One of ``parts`` is made by a 1 x 1 convolution, the others are ghosts of it
            (GhostNet, arXiv:1911.11907, section 3.2). GN-S has two parts.
        parts: 2 or more.
        kernel: side of the ghosts' depthwise kernel.

    Raises:
        ValueError: a number is not possible.
    """
    if min(channels, out, kernel) < 1 or parts < 2:
        raise ValueError(f"no ghost module has channels={channels}, out={out}, parts={parts}, kernel={kernel}")
    made = out / parts
    return GhostCost(channels * made, kernel * kernel * (out - made), channels * out)


def ghost_explorer(*, channels: int = 16, parts: int = 2, kernel: int = 3) -> "ipywidgets.VBox":
    """Three sliders: input channels, parts (one primary, the others ghosts), and the side of the ghosts' kernel."""
    from ipywidgets import IntSlider

    sliders = [
        IntSlider(channels, min=4, max=MOST_CHANNELS, step=4, description="channels in"),
        IntSlider(parts, min=2, max=MOST_PARTS, description="parts"),
        IntSlider(kernel, min=1, max=MOST_KERNEL, step=2, description="ghost kernel"),
    ]
    for slider, name in zip(sliders, ("channels", "parts", "kernel"), strict=True):
        slider.add_class(f"course-ghost-{name}")
    return explorer(_GhostPicture(), sliders)


def ghost_figure(channels: int = 16, parts: int = 2, kernel: int = 3) -> Figure:
    """What :func:`ghost_explorer` shows, as a figure with its words in ``report.alt_text``."""
    picture = _GhostPicture()
    picture.draw(channels, parts, kernel)
    return picture.figure


def gn_s_channels() -> list[int]:
    """Input channels of GN-S 1.0x's ghost modules, in order: two modules a block."""
    found, channels = [], 16
    for block in (block for stage in GN_S_STAGES for block in stage):
        found += [channels, block.hidden]
        channels = block.out
    return found


class _GhostPicture:
    """Bars of weights, and the ratio against the input channels; ``draw`` moves them."""

    def __init__(self) -> None:
        self.figure = Figure(figsize=(9.6, 3.6), dpi=100)
        self.title = self.figure.text(0.012, 0.93, "", fontsize=11, weight="bold")
        self._bars(self.figure.add_axes((0.16, 0.2, 0.25, 0.55)))
        self._curve(self.figure.add_axes((0.53, 0.165, 0.45, 0.67)))

    def _bars(self, axes) -> None:
        self.ordinary = axes.hlines([0], 0, 0, color="#999999", linewidth=26)
        self.primary = axes.hlines([1], 0, 0, color=BLUE, linewidth=26)
        self.ghosts = axes.hlines([1], 0, 0, color=ORANGE, linewidth=26)
        self.numbers = Labels(axes, [(0, 0), (0, 1)], axes.transData)
        axes.set_yticks([0, 1], ["ordinary 1 × 1", "ghost module"], fontsize=9)
        axes.set_ylim(1.6, -0.6)
        axes.set_xlim(0, 1.45)
        axes.set_xticks([0, 0.5, 1])
        axes.tick_params(labelsize=LABEL_SIZE + 1)
        axes.set_xlabel("weights, ordinary = 1", fontsize=LABEL_SIZE + 1)
        axes.set_title(f"blue: primary. orange: ghosts. {OUT_CHANNELS} channels out", fontsize=LABEL_SIZE + 1)
        axes.spines[["top", "right"]].set_visible(False)

    def _curve(self, axes) -> None:
        self.channels = np.arange(1, MOST_CHANNELS + 1)
        (self.line,) = axes.plot(self.channels, np.ones(len(self.channels)), color=BLUE)
        (self.limit,) = axes.plot([1, MOST_CHANNELS], [0, 0], ":", color=BLUE)
        (self.even,) = axes.plot([9, 9], [0, 1.5], "--", color=VERMILION, linewidth=1)
        (self.here,) = axes.plot([], [], "o", color=BLACK, markersize=9, zorder=5)
        used = sorted(set(gn_s_channels()))
        ratios = [ghost_cost(channels).ratio for channels in used]
        axes.plot(used, ratios, "s", color=GREEN, markersize=4)
        axes.axhline(1, color=BLACK, linewidth=0.8)
        axes.set_xscale("log", base=2)
        ticks = [1, 4, 9, 16, 25, 49, 100, 320]
        axes.set_xticks(ticks, ticks, fontsize=LABEL_SIZE + 1)
        axes.minorticks_off()
        axes.set_xlim(1, 1.1 * MOST_CHANNELS)
        axes.set_ylim(0, 1.5)
        axes.tick_params(labelsize=LABEL_SIZE + 1)
        axes.set_xlabel(
            "channels in. dashed: break-even; dotted: limit; squares: GN-S, 1 ghost",
            fontsize=LABEL_SIZE + 1,
        )
        axes.set_title("weights of a ghost module / ordinary 1 × 1", fontsize=LABEL_SIZE + 1)
        axes.grid(alpha=0.3)

    @property
    def moving(self) -> list[Artist]:
        bars = [self.ordinary, self.primary, self.ghosts, self.numbers.artist]
        return [self.title, *bars, self.line, self.limit, self.even, self.here]

    def draw(self, channels: int, parts: int, kernel: int) -> str:
        """Show a module; returns the key numbers in words."""
        cost = ghost_cost(channels, OUT_CHANNELS, parts, kernel)
        first, total = cost.primary / cost.ordinary, cost.ratio
        cut = min(total, 1.45)  # what is longer leaves the picture; its number says how much
        self.ordinary.set_segments([[(0, 0), (1, 0)]])
        self.primary.set_segments([[(0, 1), (first, 1)]])
        self.ghosts.set_segments([[(first, 1), (cut, 1)]])
        weights = [f"{cost.ordinary:,}", f"{cost.primary + cost.ghosts:,.0f}"]
        self.numbers.write(weights, [(1, 0), (cut, 1)])
        self.line.set_ydata(1 / parts + kernel * kernel * (1 - 1 / parts) / self.channels)
        self.limit.set_ydata([1 / parts] * 2)
        self.even.set_xdata([kernel * kernel] * 2)
        self.here.set_data([channels], [min(total, 1.5)])
        ghosts = f"{parts - 1} ghost{'s' if parts > 2 else ''} of {kernel} × {kernel} for each primary channel"
        self.title.set_text(f"{channels} channels in, {ghosts}: {total:.2f} of the ordinary weights")
        words = (
            f"{channels} channels in, {OUT_CHANNELS} out, {ghosts}: {weights[1]} weights instead of {weights[0]}, "
            f"ratio {total:.2f}. Break-even at {kernel * kernel} channels in; with many channels the ratio tends to "
            f"{1 / parts:.2f}."
        )
        self.figure.set_label(
            f"Bars: weights of an ordinary 1 × 1 convolution and of a ghost module; curve: their ratio against the "
            f"channels in. {words}"
        )
        return words
