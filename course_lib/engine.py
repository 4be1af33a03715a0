"""How the training loop is made fast on the device at hand. What is computed stays the same, up to rounding.

=====================  ==================================================================  ===============
what                   what it saves                                                       exact?
=====================  ==================================================================  ===============
channels_last          convolutions that need not reorder their input                      yes
merged branches        most of a GhostNet's convolutions and all its batch norms           yes (merging.py)
folded evaluation      the same, in eval mode                                              yes (fold)
remembered teachers    answers about views of an image that were seen before               yes (distill.py)
bfloat16               half of the bytes moved, on a GPU that has it                       no: rounding
torch.compile, graphs  Python and the launch of some thousand small kernels, on a GPU      yes
=====================  ==================================================================  ===============

"Exact" means: the same function of the same parameters; sums are taken in another order. Whatever the machine lacks is
left out, and :attr:`Engine.notes` says so in one line each.
"""

import copy
import sys
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from course_lib.distill import Teacher
from course_lib.models.ghostnet import GhostNet, fold_inside, set_merging
from course_lib.models.merging import cpu_loops


@dataclass(frozen=True)
class Engine:
    """What is used on ``device``.

    Attributes:
        merging: a GhostNet's branches are merged while it trains.
        dtype: number type of autocast, None for float32 throughout.
        compiling: networks go through torch.compile, with CUDA graphs.
        notes: one line for each thing this machine lacks.
    """

    device: torch.device
    merging: bool = False
    dtype: torch.dtype | None = None
    compiling: bool = False
    notes: tuple[str, ...] = ()

    def autocast(self):
        """The context in which networks run."""
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None)

    def for_training(self, network: nn.Module) -> nn.Module:
        """``network``, moved to the device and set up, as the module that a training step calls.

        The parameters stay those of ``network``: the optimizer and the checkpoints see nothing of the engine.
        """
        network.to(self.device, memory_format=torch.channels_last)
        set_merging(network, self.merging)
        return Compiled(network) if self.compiling else network

    def for_answers(self, network: nn.Module) -> nn.Module:
        """``network`` in the form that answers fastest in eval mode; its own parameters stay as they are.

        Without a compiler, GhostNets and teachers are folded into a copy. Compiled, the training form is taken as it
        is: folding after every epoch would mean compiling after every epoch.
        """
        network = network.to(memory_format=torch.channels_last)
        if not self.compiling:
            return folded_copy(network)
        return network if isinstance(network, Compiled) else Compiled(network)


def choose_engine(device: torch.device) -> Engine:
    """The engine for ``device``, with a note for each thing that is missing there."""
    if device.type == "cuda":
        return _gpu_engine(device)
    if device.type == "cpu" and not cpu_loops():
        note = "numba is not installed: branches are computed one by one, at about half the speed (pip install numba)"
        return Engine(device, notes=(note,))
    return Engine(device, merging=device.type == "cpu")


def _gpu_engine(device: torch.device) -> Engine:
    notes = []
    has_bfloat16 = torch.cuda.get_device_capability(device) >= (8, 0)  # older ones only imitate it
    if not has_bfloat16:
        notes.append(f"{torch.cuda.get_device_name(device)} has no bfloat16: training in float32")
    can_compile = has_triton()
    if not can_compile:
        notes.append("torch.compile finds no Triton here: branches are computed one by one, without CUDA graphs")
    # Merging pays where its many small steps are compiled into few; uncompiled, a GPU computes the branches sooner.
    dtype = torch.bfloat16 if has_bfloat16 else None
    return Engine(device, merging=can_compile, dtype=dtype, compiling=can_compile, notes=tuple(notes))


def has_triton() -> bool:
    """Whether torch.compile can make GPU kernels here."""
    from torch.utils._triton import has_triton as found

    return found()


class Compiled(nn.Module):
    """A network through torch.compile. Where that fails it runs as it is, after one line that says why."""

    def __init__(self, network: nn.Module, **options):
        super().__init__()
        self.network = network
        # One graph for each size of batch: with sizes left open, the tables of taps.py could not be looked up.
        self.call = torch.compile(network.forward, dynamic=False, **(options or {"mode": "reduce-overhead"}))

    def forward(self, images: Tensor) -> Tensor:
        try:
            return self.call(images)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # the compiler's own errors are of this kind
            if self.call == self.network.forward:
                raise
            reason = str(error).strip().splitlines()[0]
            print(f"torch.compile failed ({reason}): running without it", file=sys.stderr, flush=True)
            set_merging(self.network, False)
            self.call = self.network.forward
            return self.call(images)


def folded_copy(network: nn.Module) -> nn.Module:
    """A copy of ``network`` in eval mode without the batch norms of its GhostNets and teachers.

    ``network`` itself where there is neither: a big network that is only evaluated once an epoch gains nothing by it.
    """
    if not any(isinstance(module, GhostNet | Teacher) for module in network.modules()):
        return network
    answering = copy.deepcopy(network).eval()
    fold_inside(answering)
    for module in answering.modules():
        if isinstance(module, Teacher):
            module.model = folded_norms(module.model)
    return answering


def folded_norms(model: nn.Module) -> nn.Module:
    """``model``, in eval mode, with each batch norm multiplied into the convolution before it where fx can trace it."""
    if not any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        return model
    try:
        return fuse(model).to(memory_format=torch.channels_last)
    except Exception:  # tracing runs any network on stand-ins for images: that it fails says nothing about the network
        return model
