"""What a full-size run leaves for the lessons besides its result: test logits, and folded weights of two students.

They are small on purpose and checked to be so: ``data/logits/<profile>/<run>.npz`` (float16) and
``data/weights/<profile>/<key>.safetensors`` (folded, float16). Checkpoints stay in ``data/cache``, out of git.
"""

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from course_lib.errors import CheckpointError, CourseError, ResultError
from course_lib.files import atomic_write, repo_path, sha256_of
from course_lib.models.ghostnet import fold
from course_lib.models.weights import load_weights, save_weights
from course_lib.profiles import PROFILES
from course_lib.study import plan, store
from course_lib.study.material import load_teacher
from course_lib.study.plan import Run

KEEPING = ("full", "laptop")  # profiles whose networks have learned something
FOLDED = ("gn-s-1.0x", "gn-s-2.8x")  # of the `paper` recipe, seed 0
FOLDERS = ("data/results", "data/logits", "data/weights")
LARGEST_FILE, LARGEST_ALL = 6_000_000, 40_000_000  # bytes
SAME_ANSWERS = 0.9  # share of test images; float16 breaks ties, in a network that has hardly learned many of them
NOT_KEPT = "not_kept"  # in a result's conditions
UNFINISHED = "data/cache/checkpoints"
PARCEL_MEGABYTES = 15.0  # unless asked for otherwise


def keep(run: Run, logits: Tensor, labels: Tensor, about: dict) -> list[Path]:
    """Store the artefacts that this finished run is kept for; returns what was written.

    A network whose numbers are too large for float16 (a diverged or hardly trained one) leaves none: no reason to
    lose its result, which says so.

    Args:
        logits: (N, classes) for the test images after the last epoch; labels: (N,).
        about: the run's result, before it is saved: what is too large is named in its ``conditions["not_kept"]``.

    Raises:
        CourseError: a file cannot be written.
    """
    if not _leaves_logits(run):
        return []
    if not _fits(logits):
        _leave_out(run, about, *(("logits", "weights") if _leaves_weights(run) else ("logits",)))
        return []
    experiment = run.experiment
    meta = {
        "run": run.name,
        "key": run.key,
        "model": experiment.student,
        "width": experiment.width,
        "recipe_name": run.recipe,
        "profile": run.profile.name,
        "dataset": about["data"]["name"],
        "train_images": about["data"]["train_images"],
        "epochs": about["training"]["epochs"],
        "accuracy": about["last_accuracy"],
        "recipe": about["training"],
        "device": about["device"],
        "revision": about["revision"],
    }
    written = [store.save_logits(run.name, logits, labels, meta, repo_path("data", "logits", run.profile.name))]
    if _leaves_weights(run):
        folded = fold(load_teacher(run).model).to(torch.float16)
        folder = repo_path("data", "weights", run.profile.name)
        if all(_fits(value) for value in folded.state_dict().values()):
            written.append(save_weights(run.key, folded, meta | {"folded": True, "stored_as": "float16"}, folder))
        else:
            _leave_out(run, about, "weights")
    return written


def wrong_with(run: Run, result: dict) -> str | None:
    """The first thing wrong with the artefacts that this finished run is kept for; None where all is well.

    What the result says was not kept is not asked for; one that says nothing has everything.

    Args:
        result: the run's result, or its row of the frame.
    """
    not_kept = result.get("conditions", {}).get(NOT_KEPT, ())
    if not _leaves_logits(run) or "logits" in not_kept:
        return None
    try:
        kept = store.load_logits(run.name, repo_path("data", "logits", run.profile.name))
        parts = {"logits": kept.meta}
        if _leaves_weights(run) and "weights" not in not_kept:
            parts["weights"] = load_weights(run.key, repo_path("data", "weights", run.profile.name))[1]
    except (CheckpointError, ResultError) as error:
        return str(error)
    for part, meta in parts.items():
        if (meta.get("run"), meta.get("accuracy")) != (run.name, result["last_accuracy"]):
            return (
                f"its kept {part} are of {meta.get('run')} with {meta.get('accuracy')} %: restore them or run it again"
            )
    answers, predictions = kept.logits.argmax(dim=1).numpy(), store.predictions(result)
    if answers.shape != predictions.shape or (answers == predictions).mean() < SAME_ANSWERS:
        return "its kept logits do not give its predictions: restore them or run it again"
    return None


def _leave_out(run: Run, result: dict, *parts: str) -> None:
    """Write down that ``parts`` are missing on purpose, else ``wrong_with`` would ask for them for ever."""
    result.setdefault("conditions", {})[NOT_KEPT] = list(parts)
    for part in parts:
        name = f"{run.name}.npz" if part == "logits" else f"{run.key}.safetensors"
        repo_path("data", part, run.profile.name, name).unlink(missing_ok=True)  # of an older training


def _leaves_logits(run: Run) -> bool:
    return run.profile.name in KEEPING and run.seed == 0


def _leaves_weights(run: Run) -> bool:
    return run.key in FOLDED and run.recipe == "paper"


def _fits(values: Tensor) -> bool:
    return bool(torch.as_tensor(values).to(torch.float16).isfinite().all())


def oversize(limit_file: int = LARGEST_FILE, limit_all: int = LARGEST_ALL) -> list[str]:
    """What is larger than git should carry, one line each; empty where all is well."""
    sizes = {path: path.stat().st_size for path in kept_files()}
    problems = [
        f"{path.relative_to(repo_path())} has {size / 1e6:.1f} MB, {limit_file / 1e6:g} are allowed"
        for path, size in sizes.items()
        if size > limit_file
    ]
    total = sum(sizes.values())
    if total > limit_all:
        problems.append(f"{', '.join(FOLDERS)} hold {total / 1e6:.1f} MB, {limit_all / 1e6:g} are allowed in all")
    return problems


def kept_files() -> list[Path]:
    """Every result and artefact."""
    found = (path for folder in FOLDERS for path in repo_path(*folder.split("/")).rglob("*"))
    return sorted(path for path in found if path.is_file() and not path.name.startswith("."))


def pack(target: Path, megabytes: float = PARCEL_MEGABYTES) -> list[str]:
    """Write what is new and, as far as they fit, the checkpoints of runs without a result into one ``.tar``.

    A begun student takes its teachers' weights along: trained again elsewhere, they would be another teacher in the
    middle of its training.

    New is every result that is not byte for byte the accepted one of its run, with its artefacts: what is accepted is
    in the repository. Unpacked with ``tar xf`` in the course's folder elsewhere, the study goes on there where it
    stopped here.

    Args:
        megabytes: the size that the checkpoints may bring the file to; the smallest go first.

    Returns:
        The names of the checkpoints that did not fit, of a student with the size of all that it needs.

    Raises:
        CourseError: results and artefacts alone are larger, or the file cannot be written.
    """
    root, buffer = repo_path(), io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in _new_files():
            archive.add(path, path.relative_to(root))
        size = buffer.tell() / 1e6
        if size > megabytes:
            raise CourseError(
                f"new results and artefacts have {size:.1f} MB: allow more than {megabytes:g} (--megabytes)"
            )
        left_out = _add_unfinished(archive, buffer, megabytes * 1e6)
    atomic_write(Path(target), buffer.getvalue())
    return left_out


def _add_unfinished(archive: tarfile.TarFile, buffer: io.BytesIO, limit: float) -> list[str]:
    """Add the checkpoints of unfinished runs up to ``limit`` bytes; returns the names of those left out."""
    finished = {path.stem for path in kept_files() if path.suffix == ".json"}
    found = repo_path(*UNFINISHED.split("/")).glob("*.pt")
    parcels = {path: _with_teachers(path) for path in found if path.stem not in finished}
    packed, left_out = set(), []
    for path, parts in sorted(parcels.items(), key=lambda parcel: _size(parcel[1])):
        new = parts - packed
        if buffer.tell() + _size(new) < limit:
            for part in sorted(new):
                archive.add(part, part.relative_to(repo_path()))
            packed |= new
        else:
            together = f" ({_size(parts) / 1e6:.1f} MB with its teachers)" if len(parts) > 1 else ""
            left_out.append(path.name + together)
    return left_out


def _with_teachers(checkpoint: Path) -> set[Path]:
    """A run's checkpoint and those of its teachers that lie here."""
    run = plan.run_named(checkpoint.stem)
    teachers = (teacher.checkpoint for teacher in run.teachers) if run else ()
    return {checkpoint, *(path for path in teachers if path.exists())}


def _size(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def _new_files() -> list[Path]:
    """The results that were not accepted as they are, and their artefacts; nothing that no run of the study made."""
    kept, accepted = [path for path in kept_files() if path.parent.name in PROFILES], store.accepted()
    known = {path.stem for path in kept if path.suffix == ".json" and accepted.get(path.stem) == sha256_of(path)}
    return [path for path in kept if _run_of(path) not in known]


def _run_of(path: Path) -> str:
    """The run that a kept file belongs to."""
    is_weights = path.suffix == ".safetensors"
    return f"{path.stem}.{path.parent.name}.paper.seed0" if is_weights else path.stem
