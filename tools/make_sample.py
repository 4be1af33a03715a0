"""Make ``data/sample``: 3,500 images of CIFAR-10, lossless, small enough to come with the course.

    python -m tools.make_sample [--out FOLDER]

From the full set as the course finds it (``COURSE_DATA``, the cache, a download). Its SHA-256 are checked first, so
each source gives the same sample.

The rule: of each class, 250 training and 100 test images, drawn without replacement by NumPy's
``RandomState(0)`` (training before test, classes in order); then all of them in the order of the full set.
"""

import argparse
import hashlib
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from course_lib.data.cifar import SHEET_COLUMNS
from course_lib.data.fetch import find_cifar10
from course_lib.files import atomic_write, repo_path

PER_CLASS = {"train": 250, "test": 100}
PER_SHEET = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=repo_path("data", "sample"), help="the folder to write")
    options = parser.parse_args()
    arrays, _ = find_cifar10(repo_path("data", "cache"))
    write_sample(arrays, options.out)


def write_sample(arrays: dict[str, np.ndarray], folder: Path) -> None:
    """Write the sample of the full set ``arrays``: sheets, and ``sample.json`` (indices, labels, SHA-256)."""
    random = np.random.RandomState(0)  # this generator's stream is fixed for all versions of NumPy
    splits = {}
    for split, per_class in PER_CLASS.items():
        labels = arrays[f"{split}_labels"]
        drawn = [random.choice(np.flatnonzero(labels == c), per_class, replace=False) for c in range(10)]
        indices = np.sort(np.concatenate(drawn))
        sheets = {}
        for number, start in enumerate(range(0, len(indices), PER_SHEET)):
            images = arrays[f"{split}_images"][indices[start : start + PER_SHEET]]
            name = f"{split}-{number}.webp"
            atomic_write(folder / name, webp(lay_sheet(images)))
            sheets[name] = hashlib.sha256(images).hexdigest()
        splits[split] = {
            "sheets": sheets,
            "labels_sha256": hashlib.sha256(labels[indices]).hexdigest(),
            "indices": indices.tolist(),
            "labels": labels[indices].tolist(),
        }
    manifest = {
        "about": "CIFAR-10. indices: places in the full set. sheets: 25 images a row, SHA-256 of the pixels.",
        "splits": splits,
    }
    atomic_write(folder / "sample.json", (json.dumps(manifest) + "\n").encode())
    count = sum(len(split["indices"]) for split in splits.values())
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{folder}: {count:,} images, {size / 1e6:.2f} MB")


def lay_sheet(images: np.ndarray) -> np.ndarray:
    """Lay ``(N, 32, 32, 3)`` images out in rows of ``SHEET_COLUMNS``: one ``(H, W, 3)`` picture."""
    rows = images.reshape(-1, SHEET_COLUMNS, 32, 32, 3).transpose(0, 2, 1, 3, 4)
    return rows.reshape(-1, SHEET_COLUMNS * 32, 3)


def webp(pixels: np.ndarray) -> bytes:
    """The picture as lossless WebP, a few bytes above the smallest that the format can do."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "WEBP", lossless=True, quality=80, method=6, exact=True)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
