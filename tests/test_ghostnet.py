"""GN-S and GN-D: the structure, the folding, and GN-D against an independent implementation of GhostNetV3."""

import copy

import pytest
import torch
from torch import Tensor, nn

from course_lib.models.ghostnet import GN_D_STAGES, BranchedConv, ConvBN, GhostNet, conv_with, fold, round_channels
from course_lib.models.zoo import PAPER_WIDTHS, create_model, initialise

TOLERANCE = 1e-4
NETWORKS = [("gn-s", width) for width in (0.25, 0.7, *PAPER_WIDTHS)] + [("gn-d", None)]


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """On layers this small a second thread gains nothing; on a busy machine the two wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(count: int, size: int = 32, seed: int = 0) -> Tensor:
    """Smooth random images, (count, 3, size, size): unlike pixel noise, they look different to a network."""
    coarse = torch.randn(count, 3, 4, 4, generator=generator(seed))
    return nn.functional.interpolate(coarse, size=size, mode="bilinear")


@torch.no_grad()
def lived_in(model: nn.Module, size: int = 32) -> nn.Module:
    """Give every batch normalisation its own weights, and the statistics of what passes it."""
    g = generator()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for bn in norms:
        bn.weight.uniform_(0.5, 1.5, generator=g)
        bn.bias.normal_(0, 0.3, generator=g)
        bn.running_mean.normal_(0, 0.3, generator=g)
        bn.running_var.uniform_(0.3, 2, generator=g)
        bn.momentum = 0.5  # at the usual 0.1 the two passes would leave statistics that fit no data
    model.train()
    for seed in range(3):
        model(pictures(4, size, seed))
    for bn in norms:
        bn.momentum = 0.1
    return model


def largest_difference(one: Tensor, other: Tensor) -> float:
    return (one - other).abs().max().item()


@pytest.mark.parametrize(
    ("channels", "rounded"),
    [(1, 4), (4, 4), (5, 8), (6, 8), (16, 16), (20.8, 20), (22.1, 24), (41.6, 40), (10, 12)],
)
def test_channels_round_to_a_multiple_of_four(channels, rounded):
    assert round_channels(channels) == rounded
    assert rounded >= 0.9 * channels


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "kernel", "stride", "groups", "scale", "identity"),
    [
        (6, 9, 1, 1, 1, False, False),  # primary convolution
        (
            8,
            8,
            1,
            1,
            1,
            False,
            True,
        ),  # primary convolution that could do nothing: the identity kernel is dense
        (8, 8, 3, 1, 8, True, True),  # cheap convolution: the identity kernel is depthwise
        (8, 8, 3, 2, 8, True, False),  # striding depthwise convolution
        (8, 8, 5, 2, 8, True, False),
        (8, 8, 3, 1, 2, True, True),  # in two groups, which no network of ours has
    ],
)
@pytest.mark.parametrize("size", [8, 7])
def test_a_branched_convolution_folds_exactly(in_channels, out_channels, kernel, stride, groups, scale, identity, size):
    branched = BranchedConv(in_channels, out_channels, kernel, stride, groups).double()
    assert (branched.scale is not None) == scale
    assert (branched.identity is not None) == identity
    g = generator()
    for bn in (module for module in branched.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.normal_(bn.weight, generator=g)
        nn.init.normal_(bn.bias, generator=g)
        bn.running_mean.normal_(generator=g)
        bn.running_var.uniform_(0.1, 3, generator=g)
    branched.eval()
    x = torch.randn(2, in_channels, size, size, dtype=torch.float64, generator=g)
    with torch.no_grad():
        expected, folded = branched(x), conv_with(branched.conv, *branched.merged())(x)
    assert expected.shape == (2, out_channels, -(-size // stride), -(-size // stride))
    assert largest_difference(expected, folded) < 1e-12


def test_the_forward_pass_is_the_sum_of_all_branches():
    branched = BranchedConv(4, 4, 3, groups=4).train()
    x = torch.randn(3, 4, 6, 6, generator=generator())
    parts = [branch(x) for branch in (*branched.branches, branched.scale, branched.identity)]
    assert len(parts) == 5
    torch.testing.assert_close(branched(x), torch.stack(parts).sum(dim=0))


@pytest.mark.parametrize(("name", "width"), NETWORKS)
def test_the_folded_form_has_the_same_logits(name, width):
    model = lived_in(create_model(name, width=width, seed=0))
    folded = fold(model)
    model.eval()
    images = pictures(5, seed=9)
    with torch.no_grad():
        expected = model(images)
        assert expected.std(dim=0).mean() > 100 * TOLERANCE, (
            "the images must get different logits, or the test shows nothing"
        )
        assert largest_difference(expected, folded(images)) < TOLERANCE
        assert largest_difference(expected[:1], folded(images[:1])) < TOLERANCE


@pytest.mark.parametrize(("name", "width"), [("gn-s", 1.0), ("gn-s", 1.3), ("gn-d", None)])
def test_the_folded_form_has_one_convolution_in_place_of_each_group(name, width):
    model = create_model(name, width=width, seed=0)
    folded = fold(model)
    kinds = [type(module) for module in folded.modules()]
    assert not {nn.BatchNorm2d, BranchedConv, ConvBN} & set(kinds)
    branched = [module for module in model.modules() if isinstance(module, BranchedConv)]
    inside = {id(pair) for group in branched for pair in group.modules() if isinstance(pair, ConvBN)}
    pairs = [module for module in model.modules() if isinstance(module, ConvBN) and id(module) not in inside]
    plain = 1 + 2 * sum(hasattr(block.se, "squeeze") for block in model.blocks)  # the embedding; two in each SE
    assert kinds.count(nn.Conv2d) == len(branched) + len(pairs) + plain
    assert all(module.bias is not None for module in folded.modules() if isinstance(module, nn.Conv2d))
    assert not any(module.training for module in folded.modules())


def test_folding_leaves_the_original_and_the_random_state_alone():
    model = lived_in(create_model("gn-s", seed=0))
    before = copy.deepcopy(model.state_dict())
    random_state = torch.get_rng_state()
    folded = fold(model)
    with torch.no_grad():
        for parameter in folded.parameters():
            parameter.zero_()  # nothing may be shared
    assert model.training and all(module.training for module in model.modules())
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)


def test_only_the_training_form_of_a_ghostnet_can_be_folded():
    with pytest.raises(ValueError, match="cannot fold a Linear: only gn-s and gn-d"):
        fold(nn.Linear(3, 3))
    folded = fold(create_model("gn-s", width=0.25, seed=0))
    with pytest.raises(ValueError, match="folded already"):
        fold(folded)


@pytest.mark.parametrize("name", ["gn-s", "gn-d"])
def test_a_batch_of_one_gets_the_logits_it_gets_in_company(name):
    model = lived_in(create_model(name, seed=0)).eval()
    images = pictures(3, seed=9)
    with torch.no_grad():
        alone = model(images[1:2])
        assert alone.shape == (1, 10)
        assert largest_difference(alone, model(images)[1:2]) < TOLERANCE


def test_a_batch_of_one_can_train_gn_s():
    model = create_model("gn-s", seed=0)
    assert model.training
    assert model(torch.randn(1, 3, 32, 32, generator=generator())).shape == (1, 10)


@pytest.mark.parametrize("name", ["gn-s", "gn-d"])
def test_every_parameter_takes_part(name):
    model = create_model(name, seed=0)
    model(torch.randn(4, 3, 32, 32, generator=generator())).square().sum().backward()
    unused = [path for path, parameter in model.named_parameters() if parameter.grad is None]
    assert unused == []


def test_the_blocks_of_gn_s_are_the_papers():
    model = create_model("gn-s", seed=0)
    blocks = list(model.blocks)
    shapes = []
    x = torch.zeros(1, 16, 32, 32)
    for block in model.eval().blocks:
        x = block(x)
        shapes.append(tuple(x.shape[1:3]))
    stages = [[(16, 32)], [(20, 16)] * 2, [(32, 16)] * 2, [(48, 8), (48, 8), (64, 8)], [(80, 8)] * 2]
    assert shapes == [shape for stage in stages for shape in stage]
    assert [hasattr(block.se, "squeeze") for block in blocks] == [False] * 3 + [True] * 2 + [False] * 2 + [True] * 3
    assert [block.expand.gate is not None for block in blocks] == [False] * 2 + [True] * 8
    assert all(block.project.gate is None for block in blocks)
    # The identity branch of the expanding 1 x 1 convolution, where half the hidden width is the input's width
    equal = [block.expand.primary.identity is not None for block in blocks]
    assert equal == [False, True, True, False, True, False, True, False, True, True]


def test_no_network_of_ours_drops_out():
    for name in ("gn-s", "gn-d"):
        assert not any(isinstance(module, nn.Dropout) for module in create_model(name, seed=0).modules())


# GN-D against timm's ghostnetv3_100: the same function of the image, once timm's weights are in place.


def state_from_timm(theirs: nn.Module) -> dict[str, Tensor]:
    """The state of a timm ``ghostnetv3_100`` under our names."""
    renames = {
        "stem.conv": "conv_stem",
        "stem.bn": "bn1",
        "embedding": "conv_head",
        "classifier": "classifier",
    }
    stages = list(theirs.blocks)
    paths = [f"blocks.{i}.{j}" for i, stage in enumerate(stages[:-1]) for j in range(len(stage))]
    ours = GhostNet(GN_D_STAGES).blocks._modules.keys()
    for our_name, path in zip(ours, paths, strict=True):
        block = f"blocks.{our_name}"
        for our_module, their_module in (("expand", "ghost1"), ("project", "ghost2")):
            for kind in ("primary", "cheap"):
                renames |= branched_names(f"{block}.{our_module}.{kind}", f"{path}.{their_module}.{kind}")
            for index, part in enumerate(("mix", "rows", "columns")):
                gate = f"{block}.{our_module}.gate.{part}"
                renames[f"{gate}.conv"] = f"{path}.{their_module}.short_conv.{2 * index}"
                renames[f"{gate}.bn"] = f"{path}.{their_module}.short_conv.{2 * index + 1}"
        renames |= branched_names(f"{block}.depthwise", f"{path}.dw")
        renames |= {
            f"{block}.se.squeeze": f"{path}.se.conv_reduce",
            f"{block}.se.excite": f"{path}.se.conv_expand",
        }
        for index in range(2):
            renames[f"{block}.shortcut.{index}.conv"] = f"{path}.shortcut.{2 * index}"
            renames[f"{block}.shortcut.{index}.bn"] = f"{path}.shortcut.{2 * index + 1}"
    renames |= {"head.conv": f"blocks.{len(stages) - 1}.0.conv", "head.bn": f"blocks.{len(stages) - 1}.0.bn1"}
    ours_of = {their_name: our_name for our_name, their_name in renames.items()}
    state = {}
    for key, value in theirs.state_dict().items():
        module, leaf = key.rsplit(".", 1)
        state[f"{ours_of[module]}.{leaf}"] = value
    return state


def branched_names(ours: str, theirs: str) -> dict[str, str]:
    names = {f"{ours}.identity": f"{theirs}_rpr_skip"}
    for our_pair, their_pair in [("scale", "scale"), *((f"branches.{i}", f"conv.{i}") for i in range(3))]:
        names[f"{ours}.{our_pair}.conv"] = f"{theirs}_rpr_{their_pair}.conv"
        names[f"{ours}.{our_pair}.bn"] = f"{theirs}_rpr_{their_pair}.bn1"
    return names


def test_gn_d_computes_what_timms_ghostnetv3_computes():
    import timm

    theirs = initialise(timm.create_model("ghostnetv3_100", pretrained=False, num_classes=10), seed=0)
    theirs = lived_in(theirs, size=64).eval()
    ours = GhostNet(GN_D_STAGES, stem_stride=2)
    ours.load_state_dict(state_from_timm(theirs))  # strict: every weight and statistic must find its place
    ours.eval()
    images = pictures(4, size=64, seed=9)
    with torch.no_grad():
        expected = theirs(images)
        assert expected.std(dim=0).mean() > 100 * TOLERANCE
        assert largest_difference(expected, ours(images)) < TOLERANCE
        assert largest_difference(expected, fold(ours)(images)) < TOLERANCE


def test_gn_d_of_the_course_differs_from_ghostnetv3_in_the_stem_stride_only():
    ours = create_model("gn-d", seed=0)
    assert ours.stem.conv.stride == (1, 1)
    twice = GhostNet(GN_D_STAGES, stem_stride=2)
    twice.load_state_dict(ours.state_dict())
    ours.eval(), twice.eval()
    x = torch.randn(2, 3, 32, 32, generator=generator())
    with torch.no_grad():
        torch.testing.assert_close(ours.stem(x)[:, :, ::2, ::2], twice.stem(x))
