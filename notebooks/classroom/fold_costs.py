"""What folding changes in GN-S, width by width: nothing in the logits, and much in size and time."""

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor, nn

from classroom.measure import fastest_ms
from course_lib.models.cost import count_macs, count_parameters
from course_lib.models.ghostnet import fold
from course_lib.models.zoo import create_model

ROUNDS = 5
TOLERANCE = 1e-4  # largest difference of a logit, as a part of the largest logit (of 1 where that is smaller)


@torch.no_grad()
def lived_in(width: float, images: Tensor) -> nn.Module:
    """A fresh GN-S in eval mode whose batch norms are not idle: random gamma and beta, statistics of ``images``.

    Args:
        width: factor on the channels.
        images: normalised, (N, 3, H, W) with N of at least 2.
    """
    model = create_model("gn-s", width=width, seed=0)
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.copy_(0.5 + torch.rand(len(module.weight), generator=generator))
            module.bias.copy_(0.1 * torch.randn(len(module.bias), generator=generator))
            module.momentum = 1.0  # take this batch's statistics as they are
    model.train()(images)
    return model.eval()


def fold_costs(widths: Sequence[float], images: Tensor, repeats: int = 3) -> pd.DataFrame:
    """Fold GN-S at each of ``widths`` and compare: logits, parameters, MACs, and milliseconds for one image.

    Args:
        widths: factors on the channels.
        images: normalised, (N, 3, H, W); half of them give the batch norms their statistics, half are tested.
        repeats: timed passes in each of ``ROUNDS`` rounds, of which the fastest counts.

    Returns:
        A row a width: ``width``, ``largest logit``, ``difference`` (the largest of a logit), and of the training
        form and the folded one ``parameters`` and ``folded``, ``MACs (M)`` and ``folded (M)``, ``ms`` and
        ``folded (ms)``; ``times faster`` is the ratio of the last two.

    Raises:
        ArithmeticError: folding changed a logit by more than :data:`TOLERANCE`.
    """
    half, rows, pairs = len(images) // 2, [], []
    for width in widths:
        model = lived_in(width, images[:half])
        pairs.append((model, fold(model)))
        rows.append({"width": width} | _compared(*pairs[-1], images[half:]))
    frame = pd.DataFrame(rows)
    times = fastest_ms([network for pair in pairs for network in pair], repeats=repeats, rounds=ROUNDS)
    frame["ms"], frame["folded (ms)"] = times[::2], times[1::2]
    frame["times faster"] = frame["ms"] / frame["folded (ms)"]
    return frame


@torch.no_grad()
def _compared(model: nn.Module, folded: nn.Module, images: Tensor) -> dict[str, float]:
    logits = model(images)
    difference, largest = (folded(images) - logits).abs().max().item(), logits.abs().max().item()
    if difference > TOLERANCE * max(1, largest):
        raise ArithmeticError(f"folding changed a logit by {difference:.1e}; the largest logit is {largest:.1e}")
    return {
        "largest logit": largest,
        "difference": difference,
        "parameters": count_parameters(model),
        "folded": count_parameters(folded),
        "MACs (M)": count_macs(model) / 1e6,
        "folded (M)": count_macs(folded) / 1e6,
    }
