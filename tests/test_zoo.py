"""Every network by name: its size, its initial weights, and what a wrong request is answered with."""

import math
import subprocess
import sys

import pytest
import torch
from torch import nn

from course_lib.data import load_dataset
from course_lib.data.augment import MEAN, STD
from course_lib.files import CourseError, repo_path
from course_lib.models import DISPLAY_NAMES, MODEL_NAMES, PAPER_WIDTHS, create_model, initialise, input_size
from course_lib.models.cifar_resnet import PUBLISHED, BasicBlock, renormalise
from course_lib.models.cost import count_parameters
from course_lib.models.weights import load_published
from course_lib.training.loop import evaluate

PAPER_COUNTS = {
    ("gn-s", 1.0): 483_554,
    ("gn-s", 1.3): 712_198,
    ("gn-s", 1.6): 973_606,
    ("gn-s", 1.9): 1_277_070,
    ("gn-s", 2.2): 1_617_674,
    ("gn-s", 2.8): 2_426_850,
    ("gn-s", 3.4): 3_380_066,
    ("gn-d", None): 6_860_838,
    ("resnet18", None): 11_173_962,
    ("resnet34", None): 21_282_122,
    ("resnet50", None): 23_520_842,
    ("vgg13", None): 28_334_410,
    ("densenet161", None): 26_482_570,
    ("inceptionv3", None): 21_638_954,
    ("efficientnetv2_s", None): 20_190_298,
}
PUBLISHED_COUNTS = {  # in no table of the paper; He et al. (2016) give 0.27 M to 0.85 M
    ("resnet20", None): 269_722,
    ("resnet32", None): 464_154,
    ("resnet44", None): 658_586,
    ("resnet56", None): 853_018,
}
FEATURES = {  # what the last linear layer sees; each class more costs that many weights and a bias
    "gn-s": 1280,
    "gn-d": 1280,
    "resnet18": 512,
    "resnet34": 512,
    "resnet50": 2048,
    "vgg13": 4096,
    "densenet161": 2208,
    "inceptionv3": 2048,
    "efficientnetv2_s": 1280,
} | {name: 64 for name, _ in PUBLISHED_COUNTS}


COUNTS = PAPER_COUNTS | PUBLISHED_COUNTS


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """On layers this small a second thread gains nothing; on a busy machine the two wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def weightless(name: str, **options) -> nn.Module:
    with torch.device("meta"):
        return create_model(name, **options)


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(("name", "width"), COUNTS)
def test_parameter_counts_are_right_to_the_digit(name, width):
    ten, hundred = (weightless(name, width=width, num_classes=classes) for classes in (10, 100))
    assert count_parameters(ten) == COUNTS[name, width]
    assert count_parameters(hundred) == COUNTS[name, width] + 90 * (FEATURES[name] + 1)


def test_the_list_of_names_is_complete():
    assert set(MODEL_NAMES) == {name for name, _ in COUNTS} == set(DISPLAY_NAMES)
    assert PAPER_WIDTHS == tuple(width for name, width in PAPER_COUNTS if name == "gn-s")
    assert DISPLAY_NAMES["gn-s"] == "GN-S"


def test_gn_s_is_1x_by_default():
    assert count_parameters(weightless("gn-s")) == PAPER_COUNTS["gn-s", 1.0]


@pytest.mark.parametrize("name", [name for name in MODEL_NAMES if name != "efficientnetv2_s"])
def test_every_network_takes_32_pixels_and_starts_sound(name):
    model = create_model(name, num_classes=7, seed=0)
    assert input_size(name) == 32
    assert model.training
    with torch.no_grad():
        logits = model.eval()(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert logits.shape == (2, 7)
    assert logits.isfinite().all()
    check_initial_weights(model)


def test_efficientnet_takes_224_pixels_and_starts_sound():
    model = create_model("efficientnetv2_s", seed=0)
    assert input_size("efficientnetv2_s") == 224
    with torch.no_grad():
        logits = model.eval()(torch.zeros(1, 3, 224, 224))
    assert logits.shape == (1, 10)
    check_initial_weights(model)


def test_small_linear_layers_let_a_big_network_start_at_guessing():
    images = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))

    def first_loss(**options) -> float:
        with torch.no_grad():
            logits = create_model("vgg13", seed=0, **options)(images)
        return nn.functional.cross_entropy(logits, torch.arange(16) % 10).item()

    assert first_loss(linear_std=0.01) == pytest.approx(math.log(10), abs=0.3)
    assert first_loss() > 10


def check_initial_weights(model: nn.Module) -> None:
    """Kaiming-normal by the fan-out, biases zero, batch normalisation fresh."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all() and (module.bias == 0).all()
            assert (module.running_mean == 0).all() and (module.running_var == 1).all()
            assert module.num_batches_tracked == 0
        elif isinstance(module, nn.Conv2d | nn.Linear):
            assert module.bias is None or (module.bias == 0).all()
            if module.weight.numel() >= 10_000:  # enough to tell the spread to a few per cent
                fan_out = module.weight.shape[0] * module.weight[0, 0].numel()
                assert module.weight.std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=0.05)
                assert abs(module.weight.mean().item()) < 0.05 * math.sqrt(2 / fan_out)


def test_inception_works_at_32_then_15_then_7_pixels():
    model = weightless("inceptionv3").eval()
    sizes = {}
    for name in ("Conv2d_1a_3x3", "Mixed_5d", "Mixed_6a", "Mixed_6e", "Mixed_7a", "Mixed_7c"):
        model.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: sizes.update({name: tuple(output.shape[1:3])})
        )
    model(torch.empty(1, 3, 32, 32, device="meta"))
    assert sizes == {
        "Conv2d_1a_3x3": (192, 32),
        "Mixed_5d": (288, 32),
        "Mixed_6a": (768, 15),
        "Mixed_6e": (768, 15),
        "Mixed_7a": (1280, 7),
        "Mixed_7c": (2048, 7),
    }


def test_the_teachers_keep_torchvisions_dropout():
    def dropout(name: str) -> list[float]:
        return [module.p for module in weightless(name).modules() if isinstance(module, nn.Dropout)]

    assert dropout("vgg13") == [0.5, 0.5]
    assert dropout("efficientnetv2_s") == [0.2]
    assert dropout("inceptionv3") == [0.5]
    assert dropout("resnet18") == []


@pytest.mark.parametrize("name", ["gn-s", "resnet18"])
def test_a_seed_makes_the_weights_reproducible_and_touches_no_other_randomness(name):
    before = torch.get_rng_state()
    one = create_model(name, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    assert same_weights(one, create_model(name, seed=3))
    assert not same_weights(one, create_model(name, seed=4))


def test_without_a_seed_torchs_global_seed_governs():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        one, another = create_model("gn-s"), create_model("gn-s")
        torch.manual_seed(5)
        again = create_model("gn-s")
    assert same_weights(one, again)
    assert not same_weights(one, another)


def test_initialise_starts_a_used_network_afresh():
    model = create_model("gn-s", width=0.5, seed=1)
    fresh = create_model("gn-s", width=0.5, seed=1)
    with torch.no_grad():
        model(torch.randn(4, 3, 32, 32))  # moves the running statistics
        for parameter in model.parameters():
            parameter.add_(1)
    assert not same_weights(model, fresh)
    assert initialise(model, seed=1) is model
    assert same_weights(model, fresh)


def test_initialise_refuses_layers_it_does_not_know():
    with pytest.raises(TypeError, match="do not know how to initialise a LayerNorm"):
        initialise(nn.Sequential(nn.Conv2d(3, 4, 1), nn.LayerNorm(4)))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet19", {}, "unknown model 'resnet19': choose one of gn-s, gn-d, resnet18"),
        ("GN-S", {}, "unknown model 'GN-S'"),
        ("resnet18", {"width": 1.0}, "resnet18 has no width"),
        ("gn-d", {"width": 1.3}, "gn-d has no width"),
        ("gn-s", {"width": math.nan}, "width nan is not possible: gn-s takes a number from 0.25 to 6"),
        ("gn-s", {"width": math.inf}, "width inf"),
        ("gn-s", {"width": -1}, "width -1"),
        ("gn-s", {"width": 0}, "width 0"),
        ("gn-s", {"width": 0.2}, "width 0.2"),
        ("gn-s", {"width": 6.1}, "width 6.1"),
        ("gn-s", {"width": "wide"}, "width 'wide'"),
        ("gn-s", {"num_classes": 0}, "num_classes 0"),
        ("gn-s", {"num_classes": 2.5}, "num_classes 2.5"),
    ],
)
def test_a_wrong_request_gets_one_clear_line(name, options, message):
    with pytest.raises(ValueError) as caught:
        create_model(name, **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_input_size_knows_its_names_too():
    with pytest.raises(ValueError, match="unknown model 'lenet'"):
        input_size("lenet")


@pytest.mark.parametrize("width", [0.25, 6, 6.0, 1])
def test_the_ends_of_the_width_range_are_in_it(width):
    logits = weightless("gn-s", width=width)(torch.empty(2, 3, 32, 32, device="meta"))
    assert logits.shape == (2, 10)


def test_the_students_need_no_torchvision():
    code = (
        "import sys; from course_lib.models import create_model; create_model('gn-s');"
        "sys.exit('torchvision' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# --- published teachers ---------------------------------------------------------------------------


def test_a_cifar_resnet_sees_images_as_imagenet_normalises_them():
    pixels = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    def normalised(mean, std):
        return (pixels - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)

    expected = normalised((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    torch.testing.assert_close(renormalise(normalised(MEAN, STD)), expected)


def test_option_a_takes_every_second_pixel_and_adds_zeros_on_both_sides():
    x = torch.rand(2, 16, 8, 8)
    out = BasicBlock(16, 32, 2).shortcut(x)
    assert torch.equal(out[:, 8:24], x[:, :, ::2, ::2])
    assert out.shape == (2, 32, 4, 4) and out[:, :8].abs().sum() == out[:, 24:].abs().sum() == 0
    assert torch.equal(BasicBlock(16, 16, 1).shortcut(x), x)


# Right answers among the sample's 1,000 test images; on all 10,000 they are 91.73, 92.63, 93.10 and 93.39 %.
@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("resnet20", 916),
        *(pytest.param(name, right, marks=pytest.mark.slow)
          for name, right in (("resnet32", 913), ("resnet44", 937), ("resnet56", 935))),
    ],
)  # fmt: skip
def test_a_published_teacher_knows_the_test_images(name, right):
    if not repo_path("data", "cache", "teachers", PUBLISHED[name][0]).exists():
        pytest.skip("the weights have not been fetched")
    found = evaluate(load_published(name), load_dataset("cifar10", "sample").test)
    assert abs(found.accuracy - right / 10) < 0.15  # an image at the edge may fall to either side


def test_a_published_teacher_that_is_not_there_is_one_line(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="no weights of 'resnet18' are published: choose one of resnet20"):
        load_published("resnet18")
    monkeypatch.setenv("COURSE_HOME", str(tmp_path))
    monkeypatch.setenv("COURSE_MIRROR", "http://127.0.0.1:9")
    with pytest.raises(CourseError, match=r"^[^\n]*resnet20-12fca82f.th[^\n]*cannot be fetched[^\n]*$"):
        load_published("resnet20")
