"""Divided painting, sampling and features: the same bytes, and the same figures, as undivided."""

import json

import pytest
from click.testing import CliRunner

from flawsmith.cli import cli
from flawsmith.data.division import Shard
from flawsmith.data.merge import merge
from flawsmith.errors import EXIT_USER, InputError, OutputError
from flawsmith.evaluate import share
from flawsmith.evaluate.distance import Compute, DistanceSettings, measure
from flawsmith.evaluate.feature_store import FeatureStore
from flawsmith.evaluate.share import fill
from flawsmith.gen.candidates import write_samples
from flawsmith.inpaint.apply import apply
from flawsmith.inpaint.apply_settings import ApplySettings
from flawsmith.inpaint.training import setup_of, train_inpaint
from tests.augment_helpers import make_parts, write_scan
from tests.distance_helpers import MADE, REAL, clean, eye  # noqa: F401
from tests.eye import Eye
from tests.feature_helpers import one_thread  # noqa: F401
from tests.gen_run_helpers import make_source, train_squares
from tests.trees import tree_hash


def assert_joined(made, root):
    """Assert that the shards which ``made(out, shard)`` writes are together what one job is."""
    whole = made(root / "whole", None)
    folders = [root / f"{n}" for n in (1, 2, 3)]
    for n, folder in enumerate(folders, 1):
        made(folder, Shard(n, 3))
    assert merge(folders, root / "out").built == whole
    assert tree_hash(root / "out") == tree_hash(root / "whole")
    assert sum(whole.labels.values()) > 3


def test_inpaint_apply(tmp_path):
    write_scan(tmp_path / "parts", make_parts())
    setup = setup_of("tiny", None, {"steps": 8, "device": "cpu"})
    train_inpaint(tmp_path / "parts", tmp_path / "run", setup)
    settings = ApplySettings(count=7, seed=4)

    def made(out, shard):
        run, parts = tmp_path / "run", tmp_path / "parts"
        return apply(run, parts, out, settings, device="cpu", shard=shard)

    assert_joined(made, tmp_path)


def test_gen_sample(tmp_path):
    make_source(tmp_path / "parts")
    train_squares(tmp_path / "parts", tmp_path / "run", arch="dcgan", steps=2, with_masks=True)

    def made(out, shard):
        return write_samples(tmp_path / "run", out, count=7, seed=4, device="cpu", shard=shard)

    assert_joined(made, tmp_path)


@pytest.fixture
def folders(tmp_path):
    """Real parts, candidates, and training parts of which some are real parts again."""
    sets = {"real": REAL + clean("clean", 3), "made": MADE, "train": REAL[:4] + clean("t", 3, 50)}
    return [write_scan(tmp_path / name, samples).dataset.root for name, samples in sets.items()]


def test_features_of_all_shards_are_all_that_the_figures_need(folders, tmp_path):
    real, made, train = folders
    settings = DistanceSettings(views=("image", "crop"))
    whole = measure(real, made, settings, train=train)
    seen, counts = Eye.seen, []
    for n in (1, 2, 3):
        Eye.seen = 0
        store = FeatureStore(tmp_path / "cache", "eye")
        compute = Compute(store)
        counts.append(fill(real, made, settings, Shard(n, 3), train=train, compute=compute))
        assert 0 < Eye.seen < seen
    # An image and a crop a defective part, an image a clean one.
    assert sum(counts) == 2 * len(REAL + MADE + REAL[:4]) + 6
    Eye.seen = 0
    store = FeatureStore(tmp_path / "cache", "eye")
    again = measure(real, made, settings, train=train, compute=Compute(store))
    assert Eye.seen == 0
    assert again.distances == whole.distances


def test_a_shard_without_a_picture_is_done_at_once(folders, tmp_path):
    compute = Compute(FeatureStore(tmp_path / "cache", "eye"))
    assert fill(*folders[:2], DistanceSettings(), Shard(1, 512), compute=compute) == 0


def test_features_that_cannot_be_kept_are_an_error(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(share, "CHUNK", 4)
    Eye.seen = 0
    (tmp_path / "cache").write_text("a file")
    compute = Compute(FeatureStore(tmp_path / "cache", "eye"))
    with pytest.raises(OutputError, match="could not be kept"):
        fill(*folders[:2], DistanceSettings(), Shard(1, 2), compute=compute)
    assert Eye.seen == 4
    with pytest.raises(InputError, match="compute for nothing"):
        fill(*folders[:2], DistanceSettings(), Shard(1, 2), compute=Compute())


def test_the_command(folders, tmp_path):
    def run(*more):
        words = ["evaluate", "distance", *folders[:2], "--workers", "1", *more]
        return CliRunner().invoke(cli, [*map(str, words)])

    done = run("--cache", tmp_path / "cache", "--shard", "2/2", "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    told = json.loads(done.stdout)
    assert (told["shard"], told["pictures"]) == ("2/2", 42)
    assert told["cache"].startswith(str(tmp_path / "cache"))
    done = run("--cache", tmp_path / "cache", "--shard", "1/2")
    assert "the same command without --shard finds them there" in done.stdout
    for more in (("--no-cache",), ("--report", tmp_path / "r.html")):
        done = run("--shard", "1/2", *more)
        assert isinstance(done.exception, InputError)
        assert "--shard only fills the cache" in str(done.exception)
    assert run("--shard", "3/2").exit_code == EXIT_USER
