"""What ships: an exported network answers as PyTorch does, in 8 bits nearly so; the kept numbers are our networks'."""

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from torch import nn

from course_lib.models import create_model, fold
from course_lib.models.cost import count_macs, count_parameters
from course_lib.study import store
from course_lib.study.experiments import find
from tools import make_shipped

FIRST_STEP, SECOND_STEP = ("torch_ms", "float32_ms"), ("float32_ms", "int8_ms")


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(100, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = (nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8, 10)).eval()


@pytest.fixture(scope="module")
def files(model, images, tmp_path_factory):
    """The network in float32, and in 8 bits."""
    folder = tmp_path_factory.mktemp("shipped")
    paths = folder / "float32.onnx", folder / "int8.onnx"
    make_shipped.export(model, paths[0])
    make_shipped.quantise(*paths, images)
    return paths


def test_an_exported_network_answers_as_it_did_whatever_the_batch(model, files, images):
    answer = make_shipped.session(files[0])
    for count in (1, 3, 100):
        some = images[:count].numpy()
        assert make_shipped.difference(make_shipped.in_torch(model)(some), answer(some)) < 1e-5


def test_the_file_takes_any_number_of_images(files):
    (asked,) = onnxruntime.InferenceSession(files[1]).get_inputs()
    assert (asked.name, asked.shape) == ("images", ["batch", 3, 32, 32])


def test_nothing_of_this_machine_is_in_the_file(files):
    text = files[0].read_bytes()
    assert b".py" not in text and b"/home" not in text and b"/work" not in text


def test_8_bits_are_near_and_no_copy(model, files, images):
    whole, rounded = (make_shipped.session(path)(images.numpy()) for path in files)
    scale = np.abs(whole).max()
    assert 0 < np.abs(whole - rounded).max() < 0.1 * scale


def test_an_export_that_answers_otherwise_is_refused():
    logits = np.ones((2, 10), np.float32)
    assert make_shipped.difference(logits, logits) == 0
    with pytest.raises(ArithmeticError, match="a logit differs by 1.0e-02"):
        make_shipped.difference(logits, logits + 0.01)


def test_accuracies_count_what_only_one_form_gets_right():
    class Test:
        images, labels = torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.tensor([0, 1, 2, 3])

    def says(*classes):
        return lambda batch: np.eye(10)[list(classes)]

    found = make_shipped.accuracies(says(0, 1, 2, 9), says(0, 9, 9, 3), Test)
    assert found == {"float32_accuracy": 75.0, "int8_accuracy": 50.0, "only_float32": 2, "only_int8": 1}


def test_latency_is_the_smallest_of_the_medians(monkeypatch):
    medians = iter([9.0, 5.0, 4.0, 3.0, 6.0, 7.0])
    monkeypatch.setattr(make_shipped, "median_ms", lambda answer, image: next(medians))
    frame = make_shipped.latencies({"a": (None, None, None)}, np.zeros(1), rounds=2)
    assert frame.loc["a"].to_dict() == {"torch_ms": 3.0, "float32_ms": 5.0, "int8_ms": 4.0}


def test_a_second_measurement_keeps_the_smaller_latency_of_one_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    assert make_shipped.measured().empty
    now = pd.DataFrame({"torch_ms": [2.5, 7.0], "float32_ms": [2.0, 7.0], "int8_ms": [1.5, 7.0]}, ["a", "b"])
    pd.testing.assert_frame_equal(make_shipped.smaller(now, make_shipped.measured()), now)
    row = {"key": "a", "machine": make_shipped.machine(), "torch_ms": 3.0, "float32_ms": 2.0, "int8_ms": 1.0}
    path = make_shipped.csv_path()
    path.parent.mkdir(parents=True)
    pd.DataFrame([row, row | {"key": "b", "machine": "another", "int8_ms": 0.1}]).to_csv(path, index=False)
    both = make_shipped.smaller(now, make_shipped.measured())
    assert both.to_numpy().tolist() == [[2.5, 2.0, 1.0], [7.0, 7.0, 7.0]]


def test_accuracies_stay_when_the_weights_are_gone_whatever_the_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    assert make_shipped.with_accuracies().empty
    row = {"key": "a", "weights": "a.run", "machine": "another"} | dict.fromkeys(make_shipped.ACCURACIES, 80)
    make_shipped.csv_path().parent.mkdir(parents=True)
    rows = [row, {"key": "b", "weights": "untrained", "machine": make_shipped.machine()}]
    pd.DataFrame(rows).to_csv(make_shipped.csv_path(), index=False)
    assert make_shipped.with_accuracies()["weights"].to_dict() == {"a": "a.run"}


def test_the_weights_of_a_run_that_is_not_finished_are_not_taken(tmp_path, monkeypatch, images):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    checkpoint = tmp_path / "data" / "cache" / "checkpoints" / "gn-s-1.3x.laptop.paper.seed0.pt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"in the middle of its training")
    model, weights = make_shipped.network("gn-s-1.3x", images)
    assert weights == "untrained" and not model.training and model(images[:2]).isfinite().all()


# --- the kept numbers -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped() -> pd.DataFrame:
    return pd.read_csv(make_shipped.csv_path(), index_col="key")


def test_every_network_is_there_with_its_machine(shipped):
    assert tuple(shipped.index) == make_shipped.KEYS
    assert shipped["machine"].nunique() == 1 and "torch" in shipped["machine"].iloc[0]
    assert shipped["remark"].str.contains("smallest of several medians").all()
    assert (shipped[list(make_shipped.FORMS)] > 0).all(axis=None)
    assert (shipped["int8_bytes"] > shipped["parameters"]).all()  # a byte a weight, and the graph
    assert (shipped["float32_bytes"] > 4 * shipped["parameters"]).all()
    assert (shipped["int8_bytes"] < shipped["float32_bytes"] / 2).all()


@pytest.mark.parametrize("key", ["gn-s-1.0x", "gn-s-3.4x", "gn-d"])
def test_the_counts_are_those_of_the_folded_network(shipped, key):
    row = find(key)
    model = fold(create_model(row.student, width=row.width, seed=0).eval())
    assert (count_parameters(model), count_macs(model)) == tuple(shipped.loc[key, ["parameters", "macs"]])


def test_the_accuracies_are_those_of_the_stored_answers(shipped):
    """Of the exported float32 networks those that PyTorch gave; of both forms the counts add up."""
    trained = shipped.dropna(subset="float32_accuracy")
    assert {"gn-s-1.0x", "resnet20", "resnet56"} <= set(trained.index)
    labels = store.known_test_labels(10_000)
    for key, row in trained.iterrows():
        if (store.repo_path("data", "logits", f"{key}.npz")).exists():
            reached = 100 * (store.load_logits(key).logits.numpy().argmax(axis=1) == labels).mean()
            assert abs(reached - row["float32_accuracy"]) < 0.05, key
        apart = row["only_float32"] - row["only_int8"]
        assert round(100 * (row["float32_accuracy"] - row["int8_accuracy"])) == apart, key
    assert (shipped.loc[shipped["weights"] == "untrained", "int8_accuracy"].isna()).all()


def test_what_lesson_06_says_of_them_in_words(shipped):
    """Its "What to see" tells no number, but directions: these."""
    ghosts, nets = shipped.filter(like="gn-s", axis=0), shipped.filter(like="resnet", axis=0)
    smaller = shipped["float32_bytes"] / shipped["int8_bytes"]
    assert smaller["gn-s-1.0x"] < 2.5 < smaller["gn-s-3.4x"] < 4  # small files gain less
    out_of_torch, out_of_32_bits = (shipped[one] / shipped[two] for one, two in (FIRST_STEP, SECOND_STEP))
    assert (out_of_torch > out_of_32_bits).all()
    assert (out_of_32_bits[nets.index] > 1.3).all()
    order = [shipped[form].sort_values().index for form in make_shipped.FORMS]
    assert order[0][0] == order[2][0] == "resnet20" and order[1][0] == "gn-s-1.0x"
    assert round(shipped["macs"]["resnet20"] / shipped["macs"]["gn-s-1.0x"], 1) == 4.5
    assert out_of_32_bits["gn-s-1.0x"] < 1.1 and (out_of_32_bits[ghosts.index] < out_of_32_bits[nets.index].min()).all()


@pytest.mark.slow
def test_the_shipped_student_in_8_bits_is_as_good_as_told(shipped, tmp_path):
    """500 real images: exported anew, the network answers as PyTorch's, and its 8 bits lose little."""
    from course_lib.data import load_dataset
    from course_lib.data.augment import normalise

    sample = load_dataset("cifar10", "sample")
    calibration, some = (normalise(part.take(500).images) for part in (sample.train, sample.test))
    model, weights = make_shipped.network("gn-s-1.0x", calibration)
    assert weights == shipped.loc["gn-s-1.0x", "weights"]
    paths = tmp_path / "float32.onnx", tmp_path / "int8.onnx"
    make_shipped.export(model, paths[0])
    make_shipped.quantise(*paths, calibration)
    whole, rounded = (make_shipped.session(path)(some.numpy()) for path in paths)
    make_shipped.difference(make_shipped.in_torch(model)(some.numpy()), whole)
    assert (whole.argmax(axis=1) == rounded.argmax(axis=1)).mean() > 0.95
    assert abs(paths[1].stat().st_size / shipped.loc["gn-s-1.0x", "int8_bytes"] - 1) < 0.02
