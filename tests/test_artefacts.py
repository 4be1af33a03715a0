"""Artefacts are small, say where they come from, and carry a study to another machine."""

import dataclasses
import functools
import hashlib
import tarfile

import numpy as np
import pytest
import torch
from tiny import TINY, network, runs

from course_lib.errors import CourseError
from course_lib.models.weights import load_weights
from course_lib.study import artefacts, material, store
from course_lib.study import queue as study
from course_lib.study.plan import Run

KEPT = dataclasses.replace(TINY, name="laptop")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    return tmp_path


def test_a_run_leaves_its_logits_and_the_folded_student(home):
    assert study.work([Run("gn-s-1.0x", KEPT)]).failures == []
    name = "gn-s-1.0x.laptop.paper.seed0"
    kept = store.load_logits(name, home / "data" / "logits" / "laptop")
    row = store.load_results().iloc[0]
    assert (kept.logits.argmax(dim=1).numpy() == store.predictions(row)).mean() > 0.9  # float16 may break ties
    assert kept.meta["run"] == name and kept.meta["epochs"] == 1 and kept.meta["profile"] == "laptop"
    model, about = load_weights("gn-s-1.0x", home / "data" / "weights" / "laptop")
    assert about["folded"] and about["accuracy"] == row.last_accuracy
    from course_lib.study.material import load_teacher, study_data

    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    whole = load_teacher(Run("gn-s-1.0x", KEPT)).model
    with torch.no_grad():
        expected, stored = whole(images), model(images)
    assert (stored - expected).norm() < 0.05 * expected.norm()  # folded and in float16: 0.003 as a rule
    assert len(study_data(KEPT).test) == 20
    assert artefacts.oversize() == []


def test_numbers_too_large_for_float16_cost_the_artefact_and_not_the_result(home, monkeypatch):
    def loud(*arguments, **rest):
        model = network(*arguments, **rest)
        torch.nn.init.constant_(model[-1].bias, 1e6)
        return model

    monkeypatch.setattr(material, "create_model", loud)
    run = Run("gn-s-1.3x", KEPT)
    assert study.work([run]).failures == []
    [row] = store.load_results().to_dict("records")
    assert not (home / "data" / "logits").exists()
    assert artefacts.wrong_with(run, row) is None  # nor does `verify` ask for what was not kept on purpose
    assert "no logits at" in artefacts.wrong_with(run, row | {"conditions": {}})


def test_folded_weights_too_large_for_float16_are_not_asked_for_and_older_ones_go(home, monkeypatch):
    run, older = Run("gn-s-1.0x", KEPT), home / "data" / "weights" / "laptop" / "gn-s-1.0x.safetensors"
    older.parent.mkdir(parents=True)
    older.write_bytes(b"of an older training")
    loud = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(loud.bias, 1e6)
    monkeypatch.setattr(material, "create_model", network)
    monkeypatch.setattr(artefacts, "fold", lambda model: loud)
    assert study.work([run]).failures == []
    [row] = store.load_results().to_dict("records")
    assert artefacts.wrong_with(run, row) is None and not older.exists()
    assert "there are no weights" in artefacts.wrong_with(run, row | {"conditions": {}})


def test_quick_runs_and_later_seeds_leave_none(home, monkeypatch):
    monkeypatch.setattr(material, "create_model", network)
    study.work([Run("gn-s-1.3x", KEPT, seed=1), *runs("gn-s-1.3x")])
    assert len(store.load_results()) == 2
    assert not (home / "data" / "logits").exists() and not (home / "data" / "weights").exists()


def test_a_pack_goes_on_elsewhere(home, tmp_path, monkeypatch):
    monkeypatch.setattr(material, "create_model", network)
    finished, begun = Run("gn-s-1.3x", KEPT), Run("gn-s-1.6x", KEPT)
    study.work([finished, begun])
    begun.result.unlink()
    parcel = tmp_path / "parcel.tar"
    assert artefacts.pack(parcel) == []
    elsewhere = tmp_path / "elsewhere"
    with tarfile.open(parcel) as archive:
        names = archive.getnames()
        archive.extractall(elsewhere, filter="data")
    assert "data/cache/checkpoints/gn-s-1.6x.laptop.paper.seed0.pt" in names
    assert not any("checkpoints/gn-s-1.3x" in name for name in names)  # it is finished
    monkeypatch.setenv("COURSE_HOME", str(elsewhere))
    assert study.to_do([finished, begun]) == [begun]
    assert study.work([finished, begun]).finished == [begun]


def test_a_begun_student_is_packed_with_its_teacher_or_not_at_all(home, tmp_path, monkeypatch):
    monkeypatch.setattr(material, "create_model", network)
    teacher, student = Run("resnet18", KEPT), Run("gn-s-1.0x<resnet18", KEPT)
    study.work([student])
    student.result.unlink()
    both = {f"data/cache/checkpoints/{run.name}.pt" for run in (teacher, student)}
    assert artefacts.pack(tmp_path / "parcel.tar") == []
    with tarfile.open(tmp_path / "parcel.tar") as archive:
        assert both <= set(archive.getnames())
    teacher.checkpoint.write_bytes(bytes(2_000_000))
    [line] = artefacts.pack(tmp_path / "parcel.tar", megabytes=1.0)
    assert line.startswith(f"{student.name}.pt (2.") and line.endswith(" MB with its teachers)")
    with tarfile.open(tmp_path / "parcel.tar") as archive:
        assert not both & set(archive.getnames())


def test_a_pack_leaves_out_what_was_accepted(home, tmp_path, monkeypatch):
    monkeypatch.setattr(material, "create_model", network)
    known, replaced, new = wanted = [Run(key, KEPT) for key in ("gn-s-1.3x", "gn-s-1.6x", "gn-s-1.9x")]
    study.work(wanted)
    digests = {known: hashlib.sha256(known.result.read_bytes()).hexdigest(), replaced: 64 * "0"}
    lines = "".join(f"{run.name},{digest}\n" for run, digest in digests.items())
    store.accepted_path().write_text(f"run,sha256\n{lines}")
    artefacts.pack(tmp_path / "parcel.tar")
    with tarfile.open(tmp_path / "parcel.tar") as archive:
        names = archive.getnames()
    for run in (replaced, new):  # --fresh made another result of a run that was accepted
        assert {f"data/logits/laptop/{run.name}.npz", f"data/results/laptop/{run.name}.json"} <= set(names)
    assert not any(known.name in name or "accepted" in name for name in names)


def test_a_pack_leaves_out_what_is_too_large_and_says_so(home, monkeypatch):
    monkeypatch.setattr(material, "create_model", functools.partial(network, hidden=100))
    study.work([Run("gn-s-1.6x", KEPT)])
    Run("gn-s-1.6x", KEPT).result.unlink()
    assert artefacts.pack(home / "parcel.tar", megabytes=1.0) == ["gn-s-1.6x.laptop.paper.seed0.pt"]
    path = home / "data" / "logits" / "laptop" / "noise.npz"
    path.write_bytes(np.random.default_rng(0).bytes(1_500_000))
    with pytest.raises(CourseError, match="allow more than 1"):
        artefacts.pack(home / "parcel.tar", megabytes=1.0)


def test_what_ships_is_small_enough(monkeypatch):
    monkeypatch.delenv("COURSE_HOME")
    assert artefacts.oversize() == []
