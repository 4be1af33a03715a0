"""The teacher of one row of Table II, which never saw the picture that its student saw."""

import torch
from torch import Tensor

from course_lib.data.augment import normalise
from course_lib.training.teachers import ENLARGED, PIECE, Answering, Teacher, pieces


class ScrapTeacher(Answering):
    """The EfficientNetV2 teacher as its row of Table II was really run (PROTOCOL.md, 4.3): shown scraps.

    Its loader enlarged each image to 224 x 224 and cut a random 32 x 32 piece out of that: about 2 % of the picture,
    drawn apart from the crop and flip that the student saw. ``teacher`` is a :class:`Teacher`.
    """

    def __init__(self, teacher: Teacher):
        super().__init__()
        self.model, self.images = teacher.model, None
        self.eval()

    def prepare(self, images: Tensor, rows: Tensor, views: Tensor) -> None:
        """Keep the training images at hand: pieces are cut out of them."""
        self.images = images

    @torch.no_grad()
    def answer(self, images: Tensor, rows: Tensor, views: Tensor) -> Tensor:
        """Logits (N, classes) for pieces of training images ``rows`` (N,); batch and views are not looked at.

        The pieces are drawn from torch's global generator, which the training loop seeds for every epoch.
        """
        count, device = len(rows), self.images.device
        corners = torch.randint(ENLARGED - PIECE + 1, (count, 2), device=device)
        flips = torch.rand(count, device=device) < 0.5
        return self.model(pieces(normalise(self.images[rows.to(device)]), corners, flips).contiguous())
