"""Ship the networks: fold, export to ONNX, quantise to 8 bits, and write ``data/costs/shipped.csv`` of what that gives.

    python -m pip install -e ".[ship]"
    python -m tools.make_shipped    # minutes; with 10,000 answers of a network whose weights are new, some more

GN-S at each width of Table I, GN-D, and the smallest and the largest published ResNet. Weights and feature maps are
quantised to 8 bits, a scale a channel of weights, with the ranges that calibration images show. Latency is of one image
on one thread, as that thread's processor time; other programs can only make it longer, so the smallest of several
medians counts, and the forms of all networks take turns. Run again, it keeps the accuracies of weights that it knows,
also where these are gone by now, and the smaller latencies: do so on a quieter machine, or when another width has been
trained.
"""

import argparse
import logging
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import torch
from torch import Tensor, nn

from course_lib.data import load_dataset
from course_lib.data.augment import normalise
from course_lib.files import atomic_write, repo_path
from course_lib.models import create_model, fold
from course_lib.models.cost import count_macs, count_parameters
from course_lib.models.state import fill
from course_lib.models.weights import load_published, load_weights
from course_lib.study import store
from course_lib.study.experiments import PUBLISHED, find, table_rows
from course_lib.training.checkpoint import read_checkpoint
from course_lib.training.engine import folded_norms

KEYS = (*(row.key for row in table_rows("table1") if row.student in ("gn-s", "gn-d")), "resnet20", "resnet56")
SHIPPED = "gn-s-1.0x"  # in data/weights
CALIBRATION = 500  # images of the sample's training images, in batches of 50
COMPARED = 100  # test images on which the exported network must answer as PyTorch does
TOLERANCE = 1e-4  # largest difference of a logit, as a part of the largest logit
ACCURACIES = ("float32_accuracy", "int8_accuracy", "only_float32", "only_int8")
FORMS = ("torch_ms", "float32_ms", "int8_ms")
REPEATS = 50  # timed passes of a median
REMARK = (
    "latency: one image, processor time of one thread, smallest of several medians on a core shared with other work; "
    "int8: QDQ, per channel, activations unsigned, weights 7 bits where the processor has no VNNI (their products "
    "would overflow); accuracies stay those of the machine that had the weights"
)


def csv_path() -> Path:
    """``data/costs/shipped.csv``: a row a network."""
    return repo_path("data", "costs", "shipped.csv")


# --- networks -------------------------------------------------------------------------------------


def network(key: str, images: Tensor) -> tuple[nn.Module, str]:
    """The folded network in eval mode, and where its weights are from: ``published``, a run's name, or ``untrained``.

    Without trained weights the batch norms take the statistics of ``images``, so that numbers have their usual size.
    """
    if key in PUBLISHED:
        return folded_norms(load_published(key)), "published"
    if key == SHIPPED:
        model, meta = load_weights(key)
        return fold(model), meta["run"]
    run = f"{key}.laptop.paper.seed0"
    checkpoint, result = repo_path("data", "cache", "checkpoints", f"{run}.pt"), store.result_path(run, "laptop")
    row = find(key)
    model = create_model(row.student, width=row.width, seed=0)
    if checkpoint.exists() and result.exists():  # without a result it is in the middle of its training
        fill(model, read_checkpoint(checkpoint)["model"], checkpoint)
        return fold(model.eval()), run
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
    with torch.no_grad():
        model.train()(images)
    return fold(model.eval()), "untrained"


# --- from PyTorch to ONNX, and to 8 bits ----------------------------------------------------------


def export(model: nn.Module, path: Path) -> None:
    """Write a folded network in eval mode as ONNX: ``images`` (batch, 3, 32, 32) to ``logits``, any batch size.

    What the exporter notes of every node (source lines, folders of this machine) stays out of the file.
    """
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about its own future
        program = torch.onnx.export(
            model,
            (torch.zeros(2, 3, 32, 32),),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            input_names=["images"],
            output_names=["logits"],
            verbose=False,
        )
    for part in (program.model, program.model.graph, *program.model.graph):
        part.metadata_props.clear()
    program.save(path)


def quantise(path: Path, to: Path, images: Tensor) -> None:
    """Quantise an exported network to 8 bits with the ranges that normalised ``images`` (N, 3, 32, 32) show.

    Weights get one scale an output channel. Without VNNI two products of 8 bits are added in 16, and saturate; there
    the weights use 7 bits (``reduce_range``), as onnxruntime's manual advises.
    """
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            self.batches = iter(images.split(50))

        def get_next(self):
            batch = next(self.batches, None)
            return None if batch is None else {"images": batch.numpy()}

    logging.getLogger().setLevel(logging.ERROR)  # it advises the pre-processing that has just been done
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder, "prepared.onnx")
        quant_pre_process(path, prepared)
        quantization.quantize_static(
            prepared,
            to,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=not torch.cpu._is_vnni_supported(),
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )


def session(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """An exported network on one thread: normalised images (N, 3, 32, 32) to logits (N, 10), float32 arrays both."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    opened = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: opened.run(None, {"images": images})[0]


def in_torch(model: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    """A network in PyTorch, called as one of :func:`session` is."""

    @torch.inference_mode()
    def answer(images: np.ndarray) -> np.ndarray:
        return model(torch.from_numpy(images)).numpy()

    return answer


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference of a logit; ArithmeticError where it is more than rounding."""
    largest = float(np.abs(one - other).max())
    if largest > TOLERANCE * max(1.0, float(np.abs(one).max())):
        raise ArithmeticError(f"the exported network answers otherwise than PyTorch: a logit differs by {largest:.1e}")
    return largest


# --- measurements ---------------------------------------------------------------------------------


def median_ms(answer: Callable[[np.ndarray], np.ndarray], image: np.ndarray) -> float:
    """Median milliseconds that this thread works for an answer about one image, warm.

    One thread that never waits: its processor time is the latency on a core of its own, and what other programs do with
    the core meanwhile does not count. All but this: they leave the caches cold.
    """
    times = []
    for _ in range(REPEATS + 5):
        start = time.thread_time()
        answer(image)
        times.append(time.thread_time() - start)
    return 1000 * statistics.median(times[5:])


def latencies(forms: dict[str, tuple], image: np.ndarray, rounds: int) -> pd.DataFrame:
    """Milliseconds by key and form: the smallest of ``rounds`` medians, all taking turns."""
    turns = [[[median_ms(answer, image) for answer in answers] for answers in forms.values()] for _ in range(rounds)]
    return pd.DataFrame(np.min(turns, axis=0).round(3), index=list(forms), columns=list(FORMS))


def accuracies(float32: Callable, int8: Callable, test) -> dict[str, float]:
    """Of both forms on all test images in percent; images that only one of them gets right."""
    images, labels = normalise(test.images).split(250), test.labels.numpy()
    right, right8 = (
        np.concatenate([form(batch.numpy()) for batch in images]).argmax(axis=1) == labels for form in (float32, int8)
    )
    shares = [round(100 * float(form.mean()), 2) for form in (right, right8)]
    apart = int((right & ~right8).sum()), int((right8 & ~right).sum())
    return dict(zip(ACCURACIES, (*shares, *apart), strict=True))


def machine() -> str:
    """Processor and versions, as they stand in the file."""
    flags = torch.backends.cpu.get_cpu_capability() + ("" if torch.cpu._is_vnni_supported() else ", no VNNI")
    torch_version = torch.__version__.split("+")[0]
    return (
        f"one CPU thread ({platform.machine()}, {flags}), torch {torch_version}, onnxruntime {onnxruntime.__version__}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Export, check, quantise, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="medians of which the smallest counts")
    parser.add_argument("--fresh", action="store_true", help="forget the latencies that the file knows of this machine")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    sample, test = load_dataset("cifar10", "sample"), load_dataset("cifar10", "full").test
    calibration = normalise(sample.train.take(CALIBRATION).images)
    some = normalise(test.images[:COMPARED]).numpy()
    rows, forms, known = {}, {}, pd.DataFrame() if options.fresh else measured()
    trained = with_accuracies()
    with tempfile.TemporaryDirectory() as folder:
        for key in KEYS:
            model, weights = network(key, calibration)
            paths = [Path(folder, f"{key}.{form}.onnx") for form in ("float32", "int8")]
            export(model, paths[0])
            quantise(*paths, calibration)
            forms[key] = (in_torch(model), *map(session, paths))
            row = {"weights": weights, "parameters": count_parameters(model), "macs": count_macs(model)}
            row["difference"] = float(f"{difference(forms[key][0](some), forms[key][1](some)):.1e}")
            row |= dict(zip(("float32_bytes", "int8_bytes"), (path.stat().st_size for path in paths), strict=True))
            if key in trained.index and weights in ("untrained", trained.loc[key, "weights"]):
                row |= trained.loc[key, ["weights", *ACCURACIES]].to_dict()
            elif weights != "untrained":
                row |= accuracies(*forms[key][1:], test)
            rows[key] = row
            print(key, row, flush=True)
        timed = smaller(latencies(forms, some[:1], options.rounds), known)
    frame = pd.DataFrame.from_dict(rows, orient="index").join(timed)
    frame["calibration_images"], frame["machine"], frame["remark"] = CALIBRATION, machine(), REMARK
    counts = {name: "Int64" for name in ("only_float32", "only_int8")}
    text = frame.astype(counts).rename_axis("key").to_csv(lineterminator="\n")
    atomic_write(csv_path(), text.encode())
    print(frame[list(FORMS)], f"wrote {csv_path()}", sep="\n")


def written() -> pd.DataFrame:
    """The file's rows."""
    columns = ("weights", "machine", *ACCURACIES, *FORMS)
    return pd.read_csv(csv_path(), index_col="key") if csv_path().exists() else pd.DataFrame(columns=columns)


def with_accuracies() -> pd.DataFrame:
    """Those that have accuracies, which stay when the weights are gone, and on another machine."""
    return written().dropna(subset=[*ACCURACIES])


def measured() -> pd.DataFrame:
    """Those that are of this machine."""
    return written().query("machine == @here", local_dict={"here": machine()})


def smaller(now: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Latencies by key and form, each the smaller one of ``now`` and of what is known of that network."""
    before = known.reindex(index=now.index, columns=now.columns).astype(float)
    return np.fmin(now, before)  # where nothing is known stands NaN, which fmin passes over


if __name__ == "__main__":
    main()
