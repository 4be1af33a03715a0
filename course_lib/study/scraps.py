"""Teachers that do not see what their student sees: a crop of their own, or scraps, as in one row of Table II."""

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.data.augment import normalise
from course_lib.training.teachers import Answering, Teacher

ENLARGED, PIECE = 224, 32  # sides in pixels


class OwnCropTeacher(Answering):
    """Shows a ``RememberedTeacher`` each picture in a crop and flip of its own: those that another one has just now."""

    def __init__(self, teacher: Answering):
        super().__init__()
        self.teacher, self.views = teacher, None

    def digest(self) -> str:
        """That of the teacher who is asked, marked."""
        return f"{self.teacher.digest()}, crops of its own"

    def prepare(self, images: Tensor, rows: Tensor, views: Tensor) -> None:
        """Give each image the view of the one before it in the epoch, and have these answered."""
        self.views = torch.empty_like(views).index_copy(0, rows, views.roll(1, dims=0))
        self.teacher.prepare(images, rows, self.views[rows])

    def answer(self, images: Tensor, rows: Tensor, views: Tensor) -> Tensor:
        """Logits (N, classes) for training images ``rows`` (N,); batch and views are not looked at."""
        return self.teacher.answer(images, rows, self.views[rows])


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


def pieces(images: Tensor, corners: Tensor, flips: Tensor) -> Tensor:
    """What cutting 32 x 32 pixels at ``corners`` (N, 2: top, left) out of the enlarged ``images`` would give.

    Only those pixels are interpolated, so that no 224 x 224 image is ever made.
    """
    offsets = torch.arange(PIECE, device=images.device)
    across = torch.where(flips[:, None], offsets.flip(0), offsets)
    # In grid_sample's coordinates -1 and 1 are the outer edges of the picture.
    y = 2 * (corners[:, :1] + offsets + 0.5) / ENLARGED - 1
    x = 2 * (corners[:, 1:] + across + 0.5) / ENLARGED - 1
    grid = torch.stack([x[:, None, :].expand(-1, PIECE, -1), y[:, :, None].expand(-1, -1, PIECE)], dim=-1)
    return F.grid_sample(images, grid.to(images.dtype), mode="bilinear", padding_mode="border", align_corners=False)
