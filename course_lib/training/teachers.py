"""The teachers whose logits a student learns from: one network, the mean of several, one whose answers are kept.

All speak one protocol: ``prepare(images, rows, views)`` before an epoch, with all training images and what the epoch
will show of them; ``answer(images, rows, views)`` in a step, with the normalised batch as the student sees it, and
which training images (N,) and views (N, 3) these are.
"""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from course_lib.data.augment import VIEWS, crop_and_flip, normalise, view_number


class Answering(nn.Module):
    """What every teacher is: in eval mode for good, and asked by :meth:`answer`."""

    origin: str | None = None  # digest of the weights that this form was made from, where it is one made for speed

    def train(self, mode: bool = True) -> "Answering":
        """Stay in eval mode: a teacher's batch-norm statistics must not move while the student learns."""
        return super().train(False)

    def prepare(self, images: Tensor, rows: Tensor, views: Tensor) -> None:
        """Before an epoch: it will show ``rows`` (N,) of ``images`` (uint8, all of them) in ``views`` (N, 3)."""

    def answer(self, images: Tensor, rows: Tensor, views: Tensor) -> Tensor:
        """Logits (N, classes) for the normalised ``images`` (N, 3, 32, 32): training images ``rows`` in ``views``."""
        return self(images)

    def digest(self) -> str:
        """What tells this teacher from another one: kind, weights and image sizes."""
        sizes = [module.input_size for module in self.modules() if isinstance(module, Teacher)]
        return self.origin or digest_of({f"{type(self).__name__} {sizes}": torch.empty(0)} | self.state_dict())


class Teacher(Answering):
    """A trained network that only answers: no gradients, images resized where it needs that.

    Args:
        model: the network; its parameters stop requiring gradients.
        input_size: side in pixels of the images it was trained on (224 for EfficientNetV2-S).
    """

    def __init__(self, model: nn.Module, input_size: int = 32):
        super().__init__()
        self.model = model.requires_grad_(False)
        self.input_size = input_size
        self.eval()

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) for normalised images (N, 3, 32, 32)."""
        return self.model(resize(images, self.input_size))


class Ensemble(Answering):
    """Several teachers as one: the soft target is the softmax of the mean of their logits (PROTOCOL.md, 4.8)."""

    def __init__(self, teachers: Sequence[nn.Module]):
        super().__init__()
        if not teachers:
            raise ValueError("an ensemble needs at least one teacher")
        self.teachers = nn.ModuleList(as_teacher(teacher) for teacher in teachers)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Mean logits (N, classes) for normalised images (N, 3, 32, 32)."""
        answers = [teacher(images) for teacher in self.teachers]
        if len({answer.shape for answer in answers}) > 1:
            raise ValueError(f"the ensemble's teachers answer in shapes {[tuple(answer.shape) for answer in answers]}")
        return torch.stack(answers).mean(dim=0)


def as_teacher(teacher: nn.Module | None) -> Answering | None:
    """``teacher``; a bare network becomes a :class:`Teacher`, in eval mode for good.

    Raises TypeError where it is no network at all.
    """
    if teacher is None or isinstance(teacher, Answering):
        return teacher
    if not isinstance(teacher, nn.Module):
        raise TypeError(f"a teacher is a network, a Teacher or an Ensemble, not a {type(teacher).__name__}")
    return Teacher(teacher)


def resize(images: Tensor, size: int) -> Tensor:
    """Images (N, C, H, W) brought to ``size`` x ``size`` pixels, bilinear; unchanged where they have that size."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)


def digest_of(tensors: dict[str, Tensor]) -> str:
    """SHA-256 of names, shapes and values, the same on every device and in every memory format."""
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


def memory_is_full(error: BaseException) -> bool:
    """Whether ``error`` says that a GPU's memory or the machine's is full."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


class RememberedTeacher(Answering):
    """A teacher whose answers are kept: it is asked once about what it is shown, by however many epochs and students.

    Crop and flip show an image in 162 ways. An answer is filed under (image, view), never under a place in the batch.
    Over 200 epochs an image is seen in 115 views on average: one student saves 42 % of the teacher's work, each further
    one nearly all. What is new in an epoch is answered before its first step in batches of one size, so that an answer
    never depends, not even in its last bit, on what was known already. Shown other images, it forgets.

    Args:
        teacher: a Teacher or an Ensemble (its answer for an image must not depend on the batch).
        images: how many training images there are; the memory takes ``images * 162 * classes * 4`` bytes.
        classes: number of classes.
        device: where the memory lies: with the images, so that no step waits for a copy.
        file: keep the answers there instead, as float16, for whoever has this teacher next; it is made where it is
            missing, and must be of this very teacher and these images (``loop.remembering`` names it after both).

    Attributes:
        batch_size: how many images the teacher is shown at a time; halved, after one line, where memory runs out.
    """

    def __init__(
        self, teacher: nn.Module, images: int, classes: int, device: torch.device | str = "cpu",
        file: Path | None = None,
    ):  # fmt: skip
        super().__init__()
        self.teacher, shape = as_teacher(teacher), (images, VIEWS, classes)
        if file is None:  # zeros are what nobody has answered yet
            self.memory = torch.zeros(shape, device=device)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            self.memory = torch.from_file(str(file), True, math.prod(shape), dtype=torch.float16).view(shape)
        self.batch_size = 32 if torch.device(device).type == "cpu" else 512  # more gain nothing: measured on the CPU
        self.asked = self.computed = 0
        self._seen: tuple[Tensor, str] | None = None  # the images it has answered about, and their digest

    def digest(self) -> str:
        """That of the teacher who is asked."""
        return self.teacher.digest()

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) for any normalised images, which nobody remembers."""
        return self.teacher(images)

    @torch.no_grad()
    def prepare(self, images: Tensor, rows: Tensor, views: Tensor) -> None:
        """Answer what is not known yet. Raises ValueError where the memory is for more or fewer images or classes."""
        self._recognise(images)
        places = view_number(views)
        unknown = (~self.memory[rows, places].any(dim=1)).nonzero().flatten()
        self.asked += len(rows)
        self.computed += len(unknown)
        while len(unknown):
            new = unknown[: self.batch_size]
            full = torch.cat([new, new[:1].expand(self.batch_size - len(new))])  # the last batch is filled up
            try:
                answers = self.teacher(normalise(crop_and_flip(images[rows[full]], views[full])))
            except (MemoryError, RuntimeError) as error:
                if not memory_is_full(error) or self.batch_size == 1:
                    raise
                self.batch_size //= 2
                print(f"note: out of memory, the teacher now answers {self.batch_size} images at a time", flush=True)
                continue
            if answers.shape[1:] != self.memory.shape[2:]:
                raise ValueError(f"the teacher knows {answers.shape[1]} classes, these images {self.memory.shape[2]}")
            self.memory[rows[new], places[new]] = answers[: len(new)].to(self.memory.dtype)
            unknown = unknown[self.batch_size :]

    def _recognise(self, images: Tensor) -> None:
        if len(images) != len(self.memory):
            raise ValueError(f"the teacher's memory is for {len(self.memory)} images, not for {len(images)}")
        if self._seen is None or self._seen[0] is not images:
            digest = digest_of({"images": images})
            if self._seen is not None and self._seen[1] != digest:
                self.memory = torch.zeros_like(self.memory)  # a file keeps what it has
            self._seen = images, digest

    def answer(self, images: Tensor, rows: Tensor, views: Tensor) -> Tensor:
        """Logits (N, classes) for training images ``rows`` (N,) in ``views`` (N, 3); zeros where not prepared."""
        return self.memory[rows, view_number(views)].float()
