"""``flawsmith evaluate distance``: what it prints, which flags reach what, and its refusals."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from flawsmith.cli import cli
from flawsmith.errors import InputError
from flawsmith.evaluate.features import Extractor
from flawsmith.sample import Sample
from tests.augment_helpers import part, surface, write_scan
from tests.eye import Eye
from tests.report_helpers import Page

# pycocotools' compiled module does not know NumPy 2's copy keyword yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PARTS = 20
FIGURES = {
    *("KID", "FD (lite0)", "precision", "recall", "density", "coverage"),
    *("diversity", "nearest real", "near copies"),
}


@pytest.fixture(autouse=True)
def eye(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Extractor, "network", lambda self, device="auto": Eye())
    monkeypatch.setenv("FLAWSMITH_CACHE", str(tmp_path / "cache"))
    # Enough of them for what is tested here.
    monkeypatch.setattr("flawsmith.evaluate.figures.HALVINGS", 20)
    Eye.seen = 0


def pits(prefix: str, seed: int, *, count: int = PARTS, level: int = 110) -> list[Sample]:
    """Return parts with one pit each, somewhere."""
    rng = np.random.default_rng(seed)
    samples = []
    for i in range(count):
        x, y = int(rng.integers(2, 50)), int(rng.integers(2, 34))
        image = surface(100 * seed + i, level=level)
        samples.append(part(f"{prefix}-{i}", [(0, (x, y, x + 9, y + 8))], image=image))
    return samples


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write real parts and candidates: alike ones, bright ones, copies, and too few."""
    root = tmp_path_factory.mktemp("folders")
    real = pits("real", 1)
    copies = [part(f"copy-{i}", image=s.image) for i, s in enumerate(real)]
    for copy, original in zip(copies, real, strict=True):
        object.__setattr__(copy, "masks", original.masks)
        object.__setattr__(copy, "label", "defective")
    sets = {
        "real": real,
        "train": pits("train", 2),
        "alike": pits("alike", 3),
        "bright": pits("bright", 4, level=190),
        "copies": copies,
        "few": pits("few", 5, count=5),
    }
    return {name: write_scan(root / name, samples).dataset.root for name, samples in sets.items()}


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, ["evaluate", "distance", *map(str, words), "--workers", "1"])


def result_of(*words: object) -> dict[str, Any]:
    done = run(*words, "--json")
    assert done.exception is None, (done.exception, done.stderr)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def refusal_of(*words: object) -> str:
    done = run(*words)
    assert isinstance(done.exception, InputError), (done.exception, done.output)
    assert done.exception.exit_code == 2
    assert "\n" not in str(done.exception)
    return str(done.exception)


def figures(result: dict[str, Any], scope: str) -> dict[str, dict[str, Any]]:
    (found,) = (c for c in result["comparisons"] if c["scope"] == scope)
    return {figure["name"]: figure for figure in found["figures"]}


def test_alike_is_within_and_another_light_is_beyond(folders: dict[str, Path]) -> None:
    alike = result_of(folders["real"], folders["alike"], "--crops")
    assert {c["view"] for c in alike["comparisons"]} == {"crop"}
    found = figures(alike, "(all)")
    assert set(found) == FIGURES
    assert found["KID"]["inside"]
    assert found["FD (lite0)"]["inside"]
    bright = figures(result_of(folders["real"], folders["bright"], "--crops"), "(all)")
    assert not bright["KID"]["inside"]
    assert bright["FD (lite0)"]["value"] > 5 * bright["FD (lite0)"]["floor"]
    assert bright["coverage"]["value"] == 0


def test_copies_of_the_training_part_are_found(folders: dict[str, Path]) -> None:
    # The real part is another one: only --train can tell that these are copies.
    words = (folders["train"], folders["copies"], "--images")
    assert figures(result_of(*words), "(defective)")["near copies"]["value"] < 0.5
    result = result_of(*words, "--train", folders["real"])
    copies = figures(result, "(defective)")["near copies"]
    assert (copies["value"], copies["inside"]) == (1, False)
    closest = result["comparisons"][0]["closest"][0]
    assert closest["distance"] == 0
    assert closest["real"] == closest["made"].replace("copy", "real")


def test_the_table_and_the_verdict(folders: dict[str, Path]) -> None:
    done = run(folders["real"], folders["alike"], "--images")
    assert done.exception is None, done.exception
    lines = done.stdout.splitlines()
    head = "view scope figure value 5% to 95% floor verdict n real parts made"
    assert " ".join(lines[0].split()) == head
    kid = next(line for line in lines if line.startswith("image  (defective)  KID"))
    assert kid.split()[-5:] == ["within", "10", "20", "20", "20"]
    assert "Whole images:" in lines
    assert any(line.startswith("  Defective images are") for line in lines)
    assert "Defect crops:" not in lines


def test_the_report_shows_both_views_and_the_pictures(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "new" / "distances.html"
    words = (folders["real"], folders["copies"], "--train", folders["train"], "--report", path)
    done = run(*words)
    assert done.exception is None, done.exception
    assert done.stdout.splitlines()[-1] == f"report: {path}"
    page = Page(path.read_text("utf-8"))
    assert "How close to real: copies" in page.text
    assert "Training images 20" in page.text
    assert len(page.all("svg")) == 2
    assert len(page.all("img")) == 2 * 2 * 4
    assert "distance 0 " in page.text


def test_features_are_kept_and_known_the_next_time(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    words = (folders["real"], folders["alike"], "--images")
    first = result_of(*words, "--cache", tmp_path / "here")
    assert Eye.seen == 2 * PARTS
    assert list((tmp_path / "here").rglob("*.safetensors"))
    assert result_of(*words, "--cache", tmp_path / "here") == first
    assert Eye.seen == 2 * PARTS
    assert result_of(*words, "--no-cache") == first
    assert Eye.seen == 4 * PARTS
    assert not (tmp_path / "cache").exists()
    assert result_of(*words) == first
    assert list((tmp_path / "cache").rglob("*.safetensors"))


def test_the_seed_decides_the_draws(folders: dict[str, Path]) -> None:
    words = (folders["real"], folders["alike"], "--images")
    first, other = result_of(*words, "--seed", 1), result_of(*words, "--seed", 2)
    assert first["seed"] == 1
    assert first["comparisons"] != other["comparisons"]
    assert result_of(*words, "--seed", 1) == first


def test_too_few_is_one_line_that_says_how_many(folders: dict[str, Path]) -> None:
    text = refusal_of(folders["real"], folders["few"])
    assert text.startswith(f"{folders['few']}: nothing can be compared: ")
    assert "5 made samples, and 10 are needed" in text
    text = refusal_of(folders["few"], folders["real"])
    assert "5 real samples, and 10 are needed" in text
    assert Eye.seen == 0


def test_a_report_overwrites_nothing_of_the_user_s(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    own = tmp_path / "own.txt"
    own.write_text("mine")
    inside = next(folders["real"].rglob("*.png"))
    for path, told in ((own, "no report of flawsmith"), (inside, "would lie in the data folder")):
        before = path.read_bytes()
        assert told in refusal_of(folders["real"], folders["alike"], "--report", path)
        assert path.read_bytes() == before
    assert Eye.seen == 0


def test_other_mistakes_are_one_line(folders: dict[str, Path], tmp_path: Path) -> None:
    assert "no such folder" in refusal_of(tmp_path / "none", folders["real"])
    alike = (folders["real"], folders["alike"])
    assert "--crops and --images" in refusal_of(*alike, "--crops", "--images")
    assert "--cache and --no-cache" in refusal_of(*alike, "--cache", tmp_path / "c", "--no-cache")
    assert "no such folder" in refusal_of(folders["real"], tmp_path / "none")
    broken = tmp_path / "weights.safetensors"
    words = (folders["real"], folders["alike"], "--weights", broken)
    assert str(broken) in refusal_of(*words)
    pickled = tmp_path / "weights.pth"
    pickled.write_bytes(b"no weights")
    assert "safetensors" in refusal_of(folders["real"], folders["alike"], "--weights", pickled)
    done = run(folders["real"], folders["alike"], "--features", "vgg")
    assert done.exit_code == 2
    assert "'lite0', 'inception'" in done.output
