"""The numbers behind the sliders: costs of widths and ghosts, the noisy parabola, detectable differences, chains."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import norm

from classroom import sliders
from classroom.sliders import chains, costs, detectable_difference, difference_variance, expected_losses, schedule
from course_lib.files import DataError
from course_lib.models import PAPER_WIDTHS, create_model, fold
from course_lib.models.cost import count_activations, count_macs, count_parameters
from course_lib.models.ghostnet import GhostModule
from tools.make_width_costs import make_width_costs, measure_costs

# --- widths -------------------------------------------------------------------------------------------------------


def test_kept_costs_are_what_counting_gives_today():
    pd.testing.assert_frame_equal(sliders.width_costs(1.0), measure_costs(1.0), check_dtype=False)
    for width, parameters in ((1.0, 483_554), (2.8, 2_426_850)):
        assert sliders.width_costs(width)["parameters"].sum() == parameters


def test_costs_add_up_to_those_of_the_whole_network():
    with torch.device("meta"):
        model = create_model("gn-s", width=1.3)
    totals = sliders.width_costs(1.3).sum(numeric_only=True)
    for network, prefix in ((model, ""), (fold(model), "folded_")):
        assert totals[f"{prefix}parameters"] == count_parameters(network)
        assert totals[f"{prefix}macs"] == count_macs(network)
        assert totals[f"{prefix}activations"] == count_activations(network)


def test_every_position_of_the_width_slider_is_kept():
    kept = costs._stored_costs(costs.costs_path())
    assert tuple(kept) == sliders.SLIDER_WIDTHS
    assert set(PAPER_WIDTHS) < set(kept)
    with pytest.raises(ValueError, match="was not counted at width 1.25"):
        sliders.width_costs(1.25)
    assert all((blocks["channels"].iloc[:-1] % 4 == 0).all() for blocks in kept.values())


def test_costs_can_be_made_again_and_read_back(tmp_path, monkeypatch):
    measured = measure_costs(1.0)
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    (tmp_path / "data" / "costs").mkdir(parents=True)
    make_width_costs((1.0,))
    pd.testing.assert_frame_equal(sliders.width_costs(1.0), measured, check_dtype=False)


@pytest.mark.parametrize("damage", [lambda text: text[: len(text) // 2], lambda text: "", lambda text: "a,b\n1,2\n"])
def test_damaged_costs_are_refused_in_one_line(damage, tmp_path):
    broken = tmp_path / "gn-s.csv"
    broken.write_text(damage(costs.costs_path().read_text()))
    with pytest.raises(DataError, match=r"^[^\n]*gn-s\.csv is damaged[^\n]*$"):
        costs._stored_costs(broken)


# --- ghosts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("channels", "out"), [(16, 16), (160, 80)])
def test_two_parts_are_the_librarys_ghost_module_folded(channels, out):
    module = GhostModule(channels, out, relu=True)
    cost = sliders.ghost_cost(channels, out)
    assert cost.primary == module.primary.merged()[0].numel()
    assert cost.ghosts == module.cheap.merged()[0].numel()
    assert cost.ordinary == channels * out


def test_the_channels_of_gn_s_are_those_of_the_network():
    with torch.device("meta"):
        model = fold(create_model("gn-s"))
    modules = [part for block in model.blocks for part in (block.expand, block.project)]
    assert sliders.gn_s_channels() == [module.primary.in_channels for module in modules]


@pytest.mark.parametrize(("parts", "kernel"), [(2, 1), (2, 3), (3, 5), (6, 7)])
def test_break_even_is_at_the_square_of_the_kernel_whatever_the_parts(parts, kernel):
    assert sliders.ghost_cost(kernel * kernel, parts=parts, kernel=kernel).ratio == pytest.approx(1)
    assert sliders.ghost_cost(10**9, parts=parts, kernel=kernel).ratio == pytest.approx(1 / parts)


@pytest.mark.parametrize("wrong", [{"channels": 0}, {"channels": 8, "parts": 1}, {"channels": 8, "kernel": 0}])
def test_impossible_modules_are_refused_in_one_line(wrong):
    with pytest.raises(ValueError, match="^no ghost module has [^\n]*$"):
        sliders.ghost_cost(**wrong)


# --- schedule -----------------------------------------------------------------------------------------------------


def test_expected_losses_are_the_mean_of_many_noisy_descents():
    rates, draws, random = np.linspace(0.005, 0.02, 30), 4_000, np.random.default_rng(0)
    h = schedule.CURVATURES
    x, v = np.tile(1 / np.sqrt(h), (draws, 1)), np.zeros((draws, len(h)))
    for rate in rates:
        g = h * x + random.normal(0, schedule.NOISE, x.shape)
        v = 0.9 * v + g
        x = x - rate * (g + 0.9 * v)
    losses = 0.5 * x**2 @ h
    assert abs(losses.mean() - expected_losses(rates)[-1]) < 4 * losses.std() / np.sqrt(draws)


def test_without_noise_it_is_torchs_nesterov(monkeypatch):
    monkeypatch.setattr(schedule, "NOISE", 0.0)
    h = torch.tensor(schedule.CURVATURES)
    x = (1 / h.sqrt()).requires_grad_()
    optimizer = torch.optim.SGD([x], lr=0.01, momentum=0.9, nesterov=True)
    expected = expected_losses(np.full(20, 0.01))
    for step in range(21):
        loss = (0.5 * h * x**2).sum()
        assert loss.item() == pytest.approx(expected[step])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


# --- detectable differences ---------------------------------------------------------------------------------------


def test_one_perfectly_steady_seed_leaves_the_test_images_and_endless_images_the_seeds():
    z = norm.ppf(0.975) + norm.ppf(0.8)
    assert detectable_difference(1, 10_000, 0.0, 0.08) == pytest.approx(z * 100 * np.sqrt(0.08 / 10_000))
    assert difference_variance(1, 10_000, 0.0) == (0.0, pytest.approx(0.08))
    assert detectable_difference(7, 10_000, 0.2, 0) == pytest.approx(2.801585 * np.sqrt(2 * 0.2**2 / 7), rel=1e-5)


def test_more_seeds_more_images_and_less_spread_find_smaller_differences():
    base = detectable_difference(4, 10_000, 0.2)
    assert detectable_difference(8, 10_000, 0.2) == pytest.approx(base / np.sqrt(2))
    assert max(detectable_difference(4, 20_000, 0.2), detectable_difference(4, 10_000, 0.1)) < base


def test_the_variance_is_that_of_simulated_trainings():
    rng = np.random.default_rng(0)
    seeds, images, spread, studies = 3, 400, 2.0, 4_000
    ease = np.where(np.arange(images) < images // 2, 0.98, 0.8)  # on some images a network is right by chance
    disagreement = (2 * ease * (1 - ease)).mean()
    means = np.zeros((2, studies))
    for method in range(2):
        for _ in range(seeds):
            luck = rng.normal(0, spread / 100, (studies, 1))  # what a seed does to every image alike
            right = rng.random((studies, images)) < np.clip(ease + luck, 0, 1)
            means[method] += 100 * right.mean(axis=1) / seeds
    variance = np.var(means[0] - means[1])
    assert sum(difference_variance(seeds, images, spread, disagreement)) == pytest.approx(variance, rel=0.1)


# --- chains -------------------------------------------------------------------------------------------------------


def test_the_store_holds_every_chain_with_twenty_seeds():
    frame = sliders.chain_results()
    students = {chains.chain_name(chain) for chain in chains.ALL_CHAINS}
    assert len(students) == 16
    for _, rows in frame.groupby("points"):
        assert students | {"alone", "128"} <= set(rows["chain"])
        assert (rows.groupby("chain")["seed"].nunique() == 20).all()
    linked = frame[frame["chain"].str.contains("-")]
    assert linked["step_kl"].notna().all() and (linked["kl"] > 0).all()
    assert frame.loc[frame["chain"] == "128", "agreement"].eq(100).all()


def test_the_disagreements_of_a_chain_add_up_at_most():
    wide = sliders.chain_results().pivot(index=["points", "seed"], columns="chain")
    for chain in chains.ALL_CHAINS:
        names = [chains.chain_name(chain[: end + 1]) for end in range(1, len(chain))]
        steps = (100 - wide["step_agreement"][names]).sum(axis=1)
        assert (100 - wide["agreement"][names[-1]] <= steps + 1e-6).all()


def test_maps_are_white_outside_of_the_disc_and_pure_where_certain():
    answer = np.zeros((chains.GRID, chains.GRID, 3))
    answer[..., 1] = 1
    colours = chains.colours_of(answer)
    assert (colours[0, 0] == 1).all()
    np.testing.assert_allclose(colours[chains.GRID // 2, chains.GRID // 2], chains.CLASS_COLOURS[1])


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n"])
def test_damaged_chains_are_refused_in_one_line(content, tmp_path):
    for name, read in (("chains.csv", sliders.chain_results), ("maps.npz", chains.stored_maps)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=rf"^[^\n]*{name} is damaged[^\n]*tools/make_toy.py[^\n]*$"):
            read(tmp_path / name)
