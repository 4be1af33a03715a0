"""The table of folding: its counts are those of the networks, its networks are no easy test, its clock is fair."""

import pytest
import torch

from classroom import measure
from course_lib.models import cost, create_model, fold


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_a_row_counts_both_forms_and_finds_rounding_only(images, monkeypatch):
    monkeypatch.setattr(measure, "fastest_ms", lambda networks, **_: [6.0, 2.0])
    (row,) = measure.fold_costs([0.5], images).to_dict("records")
    with torch.device("meta"):
        model = create_model("gn-s", width=0.5)
    assert row["parameters"] == cost.count_parameters(model)
    assert row["folded (M)"] == cost.count_macs(fold(model)) / 1e6 < row["MACs (M)"]
    assert 0 <= row["difference"] < 1e-2
    assert (row["ms"], row["folded (ms)"]) == (6, 2)


def test_the_batch_norms_are_far_from_doing_nothing(images):
    bn = measure.lived_in(0.5, images).stem.bn
    assert (bn.weight - 1).abs().max() > 0.2 and bn.bias.abs().max() > 0 and bn.running_mean.abs().max() > 0


def test_a_folding_that_changes_the_logits_is_refused(images, monkeypatch):
    def wrong(model):
        folded = fold(model)
        folded.classifier.bias.data += 1
        return folded

    monkeypatch.setattr(measure, "fold", wrong)
    with pytest.raises(ArithmeticError, match="folding changed a logit by 1"):
        measure.fold_costs([0.5], images, repeats=1)


def test_models_take_turns_and_the_fastest_counts(monkeypatch):
    asked, times = [], iter([5.0, 9.0, 7.0, 3.0])

    def latency(model, batch, repeats):
        asked.append((model, batch, repeats))
        return next(times)

    monkeypatch.setattr(measure, "latency_ms", latency)
    assert measure.fastest_ms(["a", "b"], batch=4, repeats=2) == [5.0, 3.0]
    assert asked == [("a", 4, 2), ("b", 4, 2)] * 2
