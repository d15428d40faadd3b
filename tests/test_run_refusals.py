"""What ``flawsmith run`` refuses, in one line and with nothing written."""

import subprocess
import sys

import pytest
from click.testing import CliRunner
from filelock import FileLock

from flawsmith.cli import cli
from flawsmith.data.images import write_png
from flawsmith.errors import InputError
from tests.augment_helpers import surface
from tests.run_helpers import make_source, refusal_of, result_of, run
from tests.trees import tree_hash

# pycocotools' compiled module does not know NumPy 2's copy keyword yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_source(tmp_path_factory.mktemp("run") / "parts")


def test_nothing_to_make_candidates_from(tmp_path):
    root = tmp_path / "images"
    (root / "images").mkdir(parents=True)
    for index in range(6):
        write_png(root / "images" / f"{index}.png", surface(index))
    told = refusal_of(root, tmp_path / "out")
    assert "nothing to make candidates from: classical left out" in told
    assert "--assume-good" in told
    result_of(root, tmp_path / "out", "--assume-good", "--count", 3)
    one_group = ("--assume-good", "--group-regex", "images", "--count", 3)
    assert "too few groups to set a test part aside" in refusal_of(root, tmp_path / "b", *one_group)


def test_two_runs_into_one_folder(source, tmp_path):
    whole = tmp_path / "out"
    result_of(source, whole, "--count", 2)
    before = tree_hash(whole)
    with FileLock(whole / ".lock"):
        command = [sys.executable, "-m", "flawsmith", "run", source, whole, "--count", "3"]
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    wanted = f"flawsmith: {whole}: another run is at work in it (mend: wait for it)"
    assert done.stderr.splitlines() == [wanted]
    assert tree_hash(whole) == before  # run.json too is the first one's


def test_places_that_are_refused(source, tmp_path):
    before = tree_hash(source)
    for flags in ((), ("--dry-run",)):
        assert "inside of the source folder" in refusal_of(source, source / "out", *flags)
    assert tree_hash(source) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    assert "holds no run of flawsmith" in refusal_of(source, tmp_path / "mine")
    assert "it holds a data set, not a run" in refusal_of(source, data_set(source, tmp_path))
    assert "no such folder" in refusal_of(tmp_path / "none", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_network_that_cannot_be_had_is_refused_before_anything_is_made(source, tmp_path):
    config = tmp_path / "run.yaml"
    config.write_text("segment: {encoder: resnet999}\n")
    done = run(source, tmp_path / "out", "--config", config, plain=False)
    assert isinstance(done.exception, InputError)
    assert "no encoder 'resnet999'" in str(done.exception)
    assert not (tmp_path / "out").exists()


def data_set(source, folder):
    words = ["data", "convert", source, folder / "converted", "--to", "folder", "--workers", 1]
    assert CliRunner().invoke(cli, list(map(str, words))).exception is None
    return folder / "converted"


def test_dry_run_writes_nothing(source, tmp_path):
    plan = result_of(source, tmp_path / "out", "--count", 7, "--dry-run")
    assert plan["settings"]["count"] == 7
    assert (plan["format"], plan["images"], plan["classes"]) == ("folder", 19, ["pit", "streak"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cuont: 3", "no such setting: cuont (mend: one of seed, count"),
        ("seed: -1", "seed: input should be greater than or equal to 0, found '-1'"),
        (
            "methods: [glue]",
            "methods.0: input should be 'classical', 'paste', 'procedural' or 'inpaint'",
        ),
        ("paste: {blend: glue}", "settings of paste: blend: input should be 'feather'"),
        ("paste: {glue: 1}", "settings of paste: no such setting: glue"),
        ("paste: {masks: gan, masks_run: x}", "settings of paste: masks of a trained run cannot"),
        ("inpaint: {apply: {masks_run: x}}", "masks of a trained run cannot be used here: it may"),
        ("paste: {method: classical}", "settings of paste: its method is settled by its name"),
        ("inpaint: {train: {glue: 1}}", "no such setting: glue"),
        ("seeds: 1", "seeds: input should be greater than or equal to 2, found '1'"),
        ("arms: [glue]", "arms.0: input should be 'filtered', 'random', 'paste'"),
        ("segment: {steps: 9}", "settings of segment: steps is no setting here (mend: set gate_s"),
        ("segment: {glue: 1}", "settings of segment: no such setting: glue"),
        ("filtering: {keep: 2}", "settings of filtering: keep: input should be less than or equal"),
        ("filtering: {segment: {steps: 9}}", "settings of filtering: segment has steps"),
        ("to: zip", "the format 'zip' cannot be written"),
    ],
)
def test_a_wrong_setting_is_one_line(source, tmp_path, text, message):
    config = tmp_path / "run.yaml"
    config.write_text(text + "\n")
    for flags in ((), ("--dry-run",)):
        assert message in refusal_of(source, tmp_path / "out", "--config", config, *flags)
    assert not (tmp_path / "out").exists()
