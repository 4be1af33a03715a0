"""Logits and weights that the course ships come back as they were written; what is damaged is named."""

import numpy as np
import pytest
import torch

from course_lib.files import CheckpointError, ResultError
from course_lib.models.weights import load_weights, weights_path
from course_lib.models.zoo import create_model
from course_lib.study.store import load_logits
from tools.kept import save_logits, save_weights


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    return tmp_path


def one_line(caught) -> str:
    message = str(caught.value)
    assert "\n" not in message
    return message


# --- logits -----------------------------------------------------------------------------------------


def test_logits_survive_storing():
    logits = torch.randn(50, 10, generator=torch.Generator().manual_seed(0)) * 8
    labels = torch.arange(50) % 10
    save_logits("gn-s-1.0x", logits, labels, {"epochs": 3, "accuracy": 61.2})
    back = load_logits("gn-s-1.0x")
    assert (back.logits.dtype, back.labels.dtype) == (torch.float32, torch.int64)
    torch.testing.assert_close(back.logits, logits, rtol=1e-3, atol=1e-3)
    assert torch.equal(back.labels, labels)
    assert back.meta == {"epochs": 3, "accuracy": 61.2}


def test_logits_files_are_repeatable():
    arguments = (torch.ones(4, 10), torch.zeros(4), {"epochs": 1})
    assert save_logits("a", *arguments).read_bytes() == save_logits("b", *arguments).read_bytes()


@pytest.mark.parametrize(
    ("name", "logits", "labels"),
    [
        ("a", torch.ones(10), torch.zeros(10)),
        ("a", torch.ones(3, 10), torch.zeros(4)),
        ("a", torch.full((1, 10), np.nan), torch.zeros(1)),
        ("a", torch.full((1, 10), 1e6), torch.zeros(1)),
        ("../a", torch.ones(1, 10), torch.zeros(1)),
    ],
)
def test_bad_logits_are_refused(home, name, logits, labels):
    with pytest.raises(ValueError):
        save_logits(name, logits, labels, {})
    assert list(home.iterdir()) == []


def test_missing_logits_are_answered_with_what_there_is():
    save_logits("resnet18", torch.ones(1, 10), torch.zeros(1), {})
    with pytest.raises(ResultError, match="stored are: resnet18"):
        load_logits("resnet50")


@pytest.mark.parametrize("keep", [0, 30, -1])
def test_torn_logits_are_refused_by_name(keep):
    path = save_logits("a", torch.ones(100, 10), torch.zeros(100), {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ResultError) as caught:
        load_logits("a")
    assert str(path) in one_line(caught)


def test_damaged_logits_are_refused_by_name():
    path = save_logits("a", torch.randn(100, 10, generator=torch.Generator().manual_seed(0)), torch.zeros(100), {})
    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF  # inside the logits' compressed bytes
    path.write_bytes(content)
    with pytest.raises(ResultError) as caught:
        load_logits("a")
    assert str(path) in one_line(caught)


# --- weights ----------------------------------------------------------------------------------------


def test_weights_come_back_as_they_were():
    model, meta = create_model("gn-s", width=0.5, seed=3), {"model": "gn-s", "width": 0.5, "epochs": 2}
    save_weights("net", model, meta)
    loaded, told = load_weights("net")
    assert told == meta and not loaded.training
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in model.state_dict().items())
    save_weights("no-width", create_model("resnet20", seed=0), {"model": "resnet20"})
    assert load_weights("no-width")[1] == {"model": "resnet20"}


def test_bad_weights_are_named_and_not_written():
    with pytest.raises(CheckpointError, match="there are no weights"):
        load_weights("net")
    model = create_model("gn-s", width=0.5)
    whole = save_weights("net", model, {"model": "gn-s", "width": 0.5}).read_bytes()
    for keep in (5000, len(whole) // 2):
        weights_path("net").write_bytes(whole[:keep])
        with pytest.raises(CheckpointError, match="net.safetensors is damaged"):
            load_weights("net")
    with pytest.raises(ValueError, match="meta does not describe the network"):
        save_weights("net", model, {"model": "gn-s", "width": 0.75})
