"""How the training loop is made fast on the device at hand. What is computed stays the same, up to rounding.

=====================  ==========================================================  =================
what                   what it saves                                               exact?
=====================  ==========================================================  =================
channels_last          convolutions that need not reorder their input              yes
merged branches        most convolutions and all batch norms of a GhostNet (CPU)   yes (merging.py)
folded evaluation      the same, in eval mode                                      yes (fold)
remembered teachers    answers about views of an image that were seen before       yes (teachers.py)
bfloat16               half of the bytes moved, on a GPU that has it               no: rounding
torch.compile, graphs  Python, and launching a GPU's thousand kernels of a step    yes
=====================  ==========================================================  =================

"Exact": the same function of the same parameters; sums are taken in another order. What the machine lacks is left out,
and :attr:`Engine.notes` says so in one line each.
"""

import copy
import sys
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torch.utils._triton import has_triton

from course_lib.data.augment import normalise
from course_lib.models.ghostnet import GhostNet, fold_inside
from course_lib.models.merging import cpu_loops, loops_or_reason, set_merging
from course_lib.training.teachers import Answering, Teacher, memory_is_full

GRAPH_CALLS = 3  # a CUDA graph's first call warms up, its second is recorded, its third is the first to be replayed


def default_device() -> torch.device:
    """The CUDA GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class Engine:
    """What is used on ``device``.

    Attributes:
        merging: a GhostNet's branches are merged while it trains.
        dtype: number type of autocast, None for float32 throughout.
        compiling: a training step's network goes through torch.compile, with CUDA graphs.
        strict: where the compiler fails the error is raised, not told and left: a benchmark must time what it names.
        notes: one line for each thing this machine lacks.
    """

    device: torch.device
    merging: bool = False
    dtype: torch.dtype | None = None
    compiling: bool = False
    strict: bool = False
    notes: tuple[str, ...] = ()

    def autocast(self):
        """The context in which networks run."""
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype is not None)

    def for_training(self, network: nn.Module) -> nn.Module:
        """``network``, moved to the device and set up, as the module that a training step calls.

        The parameters stay those of ``network``: the optimizer and the checkpoints see nothing of the engine.
        """
        network.to(self.device, memory_format=torch.channels_last)
        set_merging(network, self.merging and self.dtype is None)
        return Compiled(network, strict=self.strict) if self.compiling else network

    def warm_up(self, forward: nn.Module, images: Tensor) -> None:
        """Compile what :meth:`for_training` gave for batches like ``images`` (uint8), so that no timed step has to."""
        if isinstance(forward, Compiled):
            with self.autocast():
                forward.rehearse(normalise(images))

    def for_answers(self, network: nn.Module) -> nn.Module:
        """``network`` in the form that answers fastest in eval mode; its own parameters stay as they are.

        Never compiled: it changes after every epoch, and large batches leave a GPU little to wait for.
        """
        return folded_copy(network.network if isinstance(network, Compiled) else network)


def choose_engine(device: torch.device) -> Engine:
    """The engine for ``device``, with a note for each thing that is missing there."""
    if device.type != "cuda":
        merging = device.type == "cpu" and cpu_loops() is not None
        if merging or device.type != "cpu":
            return Engine(device, merging)
        note = f"{loops_or_reason()[1]}: branches are computed one by one, at about half the speed"
        return Engine(device, notes=(note,))
    notes = []
    if not (has_bfloat16 := torch.cuda.get_device_capability(device) >= (8, 0)):  # older ones only imitate it
        notes.append(f"{torch.cuda.get_device_name(device)} has no bfloat16: training in float32")
    if not (can_compile := has_triton()):
        notes.append("torch.compile finds no Triton here: a step launches its small kernels one by one")
    # Branch by branch: merged, GN-S 1.0x is a graph of 5,859 operations instead of 855, which take 2.7 times as long
    # to trace (144 s against 54 s on a CPU). Whether a GPU would make up for it nobody has measured.
    dtype = torch.bfloat16 if has_bfloat16 else None
    return Engine(device, dtype=dtype, compiling=can_compile, notes=tuple(notes))


class Compiled(nn.Module):
    """A network in training, through torch.compile. Where that fails it runs as it is, after one line that says why.

    One graph is made, for batches of the size that :meth:`rehearse` has shown; an epoch's smaller last batch takes the
    network as it is, since compiling once more costs minutes and saves milliseconds. ``strict`` raises what the
    compiler raises; ``options`` are torch.compile's, by default its CUDA graphs.
    """

    def __init__(self, network: nn.Module, *, strict: bool = False, **options):
        super().__init__()
        self.network, self.strict, self.batch_size = network, strict, None
        # What runs before have compiled is let go, with its memory: torch keeps eight graphs of one function at most,
        # and all networks share theirs.
        torch.compiler.reset()
        self.call = torch.compile(network.forward, dynamic=False, **(options or {"mode": "reduce-overhead"}))

    def rehearse(self, images: Tensor) -> None:
        """Go forward and backward once with ``images``, and leave weights, statistics and generators as they were.

        Both ways are compiled and may fail, which is found out here and not in the middle of a step.
        """
        self.train()
        self.batch_size = len(images)
        statistics = [buffer.clone() for buffer in self.network.buffers()]
        try:
            with torch.random.fork_rng(devices=[images.device] if images.device.type == "cuda" else []):
                for _ in range(GRAPH_CALLS):
                    torch.compiler.cudagraph_mark_step_begin()
                    self.network.zero_grad(set_to_none=True)
                    self.call(images).float().logsumexp(dim=1).mean().backward()
        except RuntimeError as error:  # the compiler's own errors are of this kind
            if self.strict or memory_is_full(error):
                raise
            reason = str(error).strip().splitlines()[0]
            print(f"torch.compile failed ({reason}): running without it", file=sys.stderr, flush=True)
            self.call = self.network.forward
        finally:
            self.network.zero_grad(set_to_none=True)
            with torch.no_grad():
                for buffer, before in zip(self.network.buffers(), statistics, strict=True):
                    buffer.copy_(before)

    def forward(self, images: Tensor) -> Tensor:
        return self.call(images) if len(images) == self.batch_size else self.network(images)


def folded_copy(network: nn.Module) -> nn.Module:
    """A copy of ``network`` in eval mode without the batch norms of its GhostNets and teachers.

    ``network`` itself where there is neither: a big network that is only evaluated once an epoch gains nothing by it.
    And where it cannot be copied, as one that keeps a batch's features.
    """
    if not any(isinstance(module, GhostNet | Teacher) for module in network.modules()):
        return network
    try:
        answering = copy.deepcopy(network).eval()
    except Exception:  # any attribute of a network may refuse to be copied
        return network
    if isinstance(network, Answering):
        answering.origin = network.digest()
    fold_inside(answering)
    for module in answering.modules():
        if isinstance(module, Teacher):
            module.model = folded_norms(module.model, module.input_size).to(memory_format=torch.channels_last)
    return answering


@torch.no_grad()
def folded_norms(model: nn.Module, size: int = 32) -> nn.Module:
    """``model``, in eval mode, with each batch norm multiplied into the convolution before it.

    ``model`` as it is where fx cannot trace it, or where it then answers otherwise about one batch of ``size`` x
    ``size`` pixels: a convolution that serves several batch norms cannot take them all.
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in model.modules()):
        return model
    try:
        device = next(model.parameters()).device
        images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0)).to(device)
        folded = fuse(model)
        expected, got = model(images), folded(images)
        return folded if (got - expected).abs().max() <= 1e-3 * expected.abs().max() else model
    except Exception:  # tracing runs any network on stand-ins for images: that it fails says nothing about the network
        return model
