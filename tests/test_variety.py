"""How much the noise matters, measured with real crops as the ruler: unheeded, it is no variety."""

import json

import pytest
import torch

from flawsmith.data.formats import read_dataset
from flawsmith.data.scan import scan
from flawsmith.inpaint import variety
from flawsmith.inpaint.crops import Crops
from flawsmith.inpaint.geometry import Geometry
from flawsmith.inpaint.varied import VARIETY, keep_variety, read_variety, told
from flawsmith.inpaint.variety import MASKS, PAINTINGS, Ruler, Variety
from flawsmith.train.backbone import lite0
from tests.inpaint_run_helpers import CLASSES, make_source, train_shapes


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return scan(read_dataset(make_source(tmp_path_factory.mktemp("shapes") / "src", count=6)))


@pytest.fixture(scope="module")
def ruler(found):
    torch.set_num_threads(1)
    crops = Crops(found, Geometry(32, 2, 2), (True, True))
    return Ruler(crops, [f.group for f in found.facts], CLASSES, 1, lite0())


class Deaf(torch.nn.Module):
    """Paints a grey that no noise changes."""

    def forward(self, image, hole, masks, noise):
        return torch.zeros_like(image)


class Toned(torch.nn.Module):
    """Paints stripes whose direction the latent decides."""

    def forward(self, image, hole, masks, noise):
        size = image.shape[-1]
        stripes = (torch.arange(size) % 8 < 4).float() * 2 - 1
        lying = stripes[None, :, None].expand(1, size, size)
        upright = stripes[None, None, :].expand(1, size, size)
        which = noise.z[:, 0] > 0
        return torch.stack([lying if one else upright for one in which])


def test_no_noise_no_variety(ruler):
    for figure in ruler.measure(Deaf()):
        assert figure.painted == pytest.approx(0, abs=1e-5)
        assert figure.share == pytest.approx(0, abs=1e-4)
        assert figure.real > 0.05


def test_noise_is_variety(ruler):
    found = ruler.measure(Toned())
    assert [one.name for one in found] == list(CLASSES)
    for figure in found:
        assert figure.painted > 0.1
        assert figure.masks == 6 <= MASKS
        assert figure.defects == 6
        assert figure.pairs == 15  # each picture is its own group


def test_pairs_are_compared_in_portions(ruler, monkeypatch):
    whole = ruler.measure(Toned())
    monkeypatch.setattr(variety, "PAIRS", 4)
    for one, other in zip(whole, ruler.measure(Toned()), strict=True):
        assert other.pairs == one.pairs
        assert other.real == pytest.approx(one.real, rel=1e-5)


def test_the_same_each_time(ruler):
    assert ruler.measure(Toned()) == ruler.measure(Toned())


def test_one_group_is_no_ruler(found):
    crops = Crops(found, Geometry(32, 2, 2), (True, True))
    alone = Ruler(crops, ["one"] * len(found.facts), CLASSES, 1, lite0())
    (figure, _) = alone.measure(Deaf())
    assert (figure.real, figure.share, figure.pairs) == (None, None, 0)
    assert "no two real defects" in str(figure)


def test_too_little_is_said():
    poor = Variety("crack", 0.3, 8, 1.0, 10, 45)
    rich = Variety("pit", 0.6, 8, 1.0, 10, 45)
    lines = told((poor, rich))
    assert "crack: 0.30" in lines[0]
    assert "pit: 0.60" in lines[0]
    assert "crack" in lines[1]
    assert "pit" not in lines[1]
    assert len(told((rich,))) == 1


def test_a_run_keeps_its_figures(found, tmp_path, monkeypatch):
    source = make_source(tmp_path / "src", count=3)
    train_shapes(source, tmp_path / "run", steps=2)
    kept = read_variety(tmp_path / "run")
    assert [one["name"] for one in kept["classes"]] == list(CLASSES)
    assert kept["paintings"] == PAINTINGS
    assert all(one["painted"] > 0 for one in kept["classes"])
    monkeypatch.setattr(Ruler, "measure", lambda *_: pytest.fail("measured again"))
    keep_variety(scan(read_dataset(source)), tmp_path / "run", "cpu")
    # Of other weights, the figures are not these weights'.
    content = kept | {"weights": "other"}
    (tmp_path / "run" / VARIETY).write_text(json.dumps(content))
    monkeypatch.setattr(Ruler, "measure", lambda *_: (Variety("square", 0.1, 1, 0.2, 2, 1),))
    keep_variety(scan(read_dataset(source)), tmp_path / "run", "cpu")
    assert read_variety(tmp_path / "run")["classes"][0]["share"] == 0.5


def test_a_foreign_file_is_no_figure(tmp_path):
    assert read_variety(tmp_path) is None
    (tmp_path / VARIETY).write_text("[]")
    assert read_variety(tmp_path) is None
