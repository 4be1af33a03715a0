"""How the training loop is made fast on the device at hand. What is computed stays the same, up to rounding.

=====================  ==================================================================  ===============
what                   what it saves                                                       exact?
=====================  ==================================================================  ===============
channels_last          convolutions that need not reorder their input                      yes
merged branches        most of a GhostNet's convolutions and all its batch norms           yes (merging.py)
folded evaluation      the same, in eval mode                                              yes (fold)
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

from course_lib.models.ghostnet import GhostNet, fold, set_merging
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

        Without a compiler, GhostNets are folded into a copy. Compiled, the training form is taken as it is: folding
        after every epoch would mean compiling after every epoch.
        """
        network = network.to(memory_format=torch.channels_last)
        if not self.compiling:
            return folded_inside(network)
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


def folded_inside(network: nn.Module) -> nn.Module:
    """A copy of ``network`` with every GhostNet in it folded; ``network`` itself where there is none."""
    if isinstance(network, GhostNet):
        return fold(network)
    if not any(isinstance(module, GhostNet) for module in network.modules()):
        return network
    answering = copy.deepcopy(network)
    for module in list(answering.modules()):
        for name, child in module.named_children():
            if isinstance(child, GhostNet):
                setattr(module, name, fold(child))
    return answering.eval()
