"""The ghost slider: what a ghost module costs beside an ordinary 1 x 1 convolution."""

from typing import NamedTuple

import numpy as np

from classroom.sliders.controls import Slider
from classroom.sliders.drawing import ORANGE, Labels, Picture, moves, stretch
from course_lib import look
from course_lib.models.ghostnet import GN_S_STAGES

OUT_CHANNELS = 120  # of the module that is drawn: 2, 3, 4, 5 and 6 parts divide it
MOST_CHANNELS = 320
LONGEST, HIGHEST = 1.45, 1.5  # times the ordinary weights: what is more leaves the picture; its number says how much


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

    One of ``parts`` of the ``out`` channels is made by a 1 x 1 convolution, the others are its ``kernel`` x ``kernel``
    ghosts (GhostNet, arXiv:1911.11907, section 3.2). GN-S has two parts. Raises ValueError where that is impossible.
    """
    if min(channels, out, kernel) < 1 or parts < 2:
        raise ValueError(f"no ghost module has channels={channels}, out={out}, parts={parts}, kernel={kernel}")
    made = out / parts
    return GhostCost(channels * made, kernel * kernel * (out - made), channels * out)


def gn_s_channels() -> list[int]:
    """Input channels of GN-S 1.0x's ghost modules, in order: two modules a block."""
    found, channels = [], 16
    for block in (block for stage in GN_S_STAGES for block in stage):
        found += [channels, block.hidden]
        channels = block.out
    return found


class Ghosts(Picture):
    """Bars of weights, and their ratio against the input channels.

    Settings: ``channels`` in; ``parts``, one primary and the others ghosts; the side of the ghosts' ``kernel``.
    """

    shows = "Bars: weights of an ordinary 1 × 1 convolution and of a ghost module; curve: their ratio."
    see = "Move the channels over the break-even: from there on a ghost module saves weights."
    controls = {
        "channels": Slider(16, 4, MOST_CHANNELS, 4, "channels in"),
        "parts": Slider(2, 2, 6, 1, "parts"),
        "kernel": Slider(3, 1, 7, 2, "ghost kernel"),
    }

    @look.styled()
    def __init__(self) -> None:
        super().__init__(8.6, 3.8)
        self._add_bars()
        self._add_curve()

    def _add_bars(self) -> None:
        title = f"left, blue: primary; right, orange: ghosts; {OUT_CHANNELS} out"
        axes = self.panel((0.155, 0.16, 0.27, 0.6), x="weights, ordinary = 1")
        axes.set_title(title, fontsize=10, loc="left", x=-0.5)
        thick = {"linewidth": 28}
        axes.hlines([0], 0, 1, color="#999999", **thick)
        self.primary = moves(axes.hlines([1], 0, 0, color=look.BLUE, **thick))
        self.ghosts = moves(axes.hlines([1], 0, 0, color=ORANGE, **thick))
        self.numbers = Labels(axes, [(0, 0), (0, 1)], axes.transData)
        axes.set_yticks([0, 1], ["ordinary 1 × 1", "ghost module"])
        axes.set(ylim=(1.6, -0.6), xlim=(0, LONGEST), xticks=[0, 0.5, 1])

    def _add_curve(self) -> None:
        axes = self.panel((0.54, 0.16, 0.445, 0.6), "weights of a ghost module / ordinary 1 × 1", "channels in")
        self.channels = np.arange(1, MOST_CHANNELS + 1)
        (self.line,) = moves(axes.plot(self.channels, np.ones(len(self.channels)), color=look.BLUE))
        (self.limit,) = moves(axes.plot([1, MOST_CHANNELS], [0, 0], ":", color=look.BLUE, label="limit"))
        even = {"color": look.VERMILION, "linewidth": 1, "label": "break-even"}
        (self.even,) = moves(axes.plot([9, 9], [0, HIGHEST], "--", **even))
        (self.here,) = moves(axes.plot([], [], "o", color=look.BLACK, markersize=9, zorder=5))
        used = sorted(set(gn_s_channels()))
        ratios = [ghost_cost(channels).ratio for channels in used]
        axes.plot(used, ratios, "s", color=look.GREEN, markersize=4, label="GN-S, 1 ghost")
        axes.axhline(1, color=look.BLACK, linewidth=0.8)
        axes.set_xscale("log", base=2)
        ticks = [1, 4, 9, 16, 25, 49, 100, MOST_CHANNELS]
        axes.set_xticks(ticks, ticks)
        axes.minorticks_off()
        axes.set(xlim=(1, 1.1 * MOST_CHANNELS), ylim=(0, HIGHEST))
        axes.legend(loc="upper right")
        look.dress(axes)

    def draw(self, channels: int, parts: int, kernel: int) -> str:
        cost = ghost_cost(channels, OUT_CHANNELS, parts, kernel)
        first, total = cost.primary / cost.ordinary, cost.ratio
        cut = min(total, LONGEST)
        stretch(self.primary, 0, [first], [1])
        stretch(self.ghosts, first, [cut], [1])
        weights = [f"{cost.ordinary:,}", f"{cost.primary + cost.ghosts:,.0f}"]
        self.numbers.write(weights, [(1, 0), (cut, 1)])
        self.line.set_ydata(1 / parts + kernel * kernel * (1 - 1 / parts) / self.channels)
        self.limit.set_ydata([1 / parts] * 2)
        self.even.set_xdata([kernel * kernel] * 2)
        self.here.set_data([channels], [min(total, HIGHEST)])
        ghosts = f"{parts - 1} ghost{'s' if parts > 2 else ''} of {kernel} × {kernel} for each primary channel"
        self.title.write([f"{channels} channels in, {ghosts}: {total:.2f} of the ordinary weights"])
        return (
            f"{channels} channels in, {OUT_CHANNELS} out, {ghosts}: {weights[1]} weights instead of {weights[0]}, "
            f"ratio {total:.2f}. Break-even at {kernel * kernel} channels in; with many channels the ratio tends to "
            f"{1 / parts:.2f}."
        )
