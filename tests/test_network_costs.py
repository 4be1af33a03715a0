"""``data/costs/networks.csv``: every network of Table I is there, and its counts are those of today's networks."""

import pandas as pd
import pytest
import torch

from course_lib.files import repo_path
from course_lib.models import create_model, fold
from course_lib.models.cost import count_macs, count_parameters
from course_lib.study.experiments import find, table_rows


@pytest.fixture(scope="module")
def costs() -> pd.DataFrame:
    return pd.read_csv(repo_path("data", "costs", "networks.csv"), index_col="key")


def test_every_row_of_table_1_has_its_costs(costs):
    assert list(costs.index) == [experiment.key for experiment in table_rows("table1")]
    numbers = costs.drop(columns="machine")
    assert (numbers > 0).all(axis=None)
    assert (costs["used_ms"] <= costs["training_form_ms"]).all() and costs["machine"].nunique() == 1


@pytest.mark.parametrize("key", ["gn-s-1.0x", "gn-s-2.8x", "gn-d", "resnet18", "vgg13"])
def test_the_counts_are_those_of_the_network(costs, key):
    experiment = find(key)
    with torch.device("meta"):
        model = create_model(experiment.student, width=experiment.width)
    assert (count_parameters(model), count_macs(model)) == tuple(costs.loc[key, ["parameters", "macs"]])


def test_the_used_form_of_a_ghostnet_is_folded(costs):
    folded = fold(create_model("gn-s", width=1.0, seed=0).eval())
    counted = count_parameters(folded), count_macs(folded)
    assert counted == tuple(costs.loc["gn-s-1.0x", ["used_parameters", "used_macs"]])
    alone = costs.loc["resnet18"]
    assert (alone["used_parameters"], alone["used_macs"]) == (alone["parameters"], alone["macs"])
