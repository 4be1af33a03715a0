"""What checkers hand to a reader's function: noise of their own, and networks that note down how they were asked."""

import torch
from torch import Tensor, nn

CLASSES = 10


def seeded(seed: int = 0) -> torch.Generator:
    """A generator of the checker's own: the reader's random stream stays where it is."""
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=seeded(seed))


class Watched(nn.Module):
    """Batch norm, whose statistics are not those of a fresh one, and a linear layer: (N, 3, side, side) to 10 logits.

    ``seen`` are the last two batches that it was asked about; ``in_train_mode`` and ``recorded`` say how the last was
    answered, the second whether autograd was on.
    """

    def __init__(self, seed: int, side: int):
        super().__init__()
        self.norm, self.linear = nn.BatchNorm2d(3), nn.utils.skip_init(nn.Linear, 3 * side * side, CLASSES, bias=False)
        with torch.no_grad():
            self.linear.weight.copy_(noise(*self.linear.weight.shape, seed=seed) / side)
            self.norm.running_mean.copy_(noise(3, seed=seed + 100))
        self.seen: list[Tensor] = []
        self.in_train_mode = self.recorded = False

    def forward(self, images: Tensor) -> Tensor:
        self.seen = [*self.seen[-1:], images.detach().clone()]
        self.in_train_mode, self.recorded = self.training, torch.is_grad_enabled()
        return self.linear(self.norm(images.float()).flatten(1))
