"""``flawsmith inpaint``: train, stop, go on, paint; flags, the config file, one-line errors."""

import json
import signal

import pytest
import torch
from click.testing import CliRunner

from flawsmith.cli import cli
from flawsmith.data.formats import read_dataset
from flawsmith.data.images import read_image, write_png
from flawsmith.errors import EXIT_INTERRUPTED, InputError, Interrupted
from flawsmith.inpaint.task import InpaintTask
from flawsmith.inpaint.training import setup_of
from tests.augment_helpers import make_parts, write_scan
from tests.feature_helpers import one_thread  # noqa: F401
from tests.killing import name_of, run_until
from tests.trees import tree_hash

TRAIN = ("--preset", "tiny", "--steps", 8, "--device", "cpu", "--workers", 1)
APPLY = ("--count", 8, "--seed", 5, "--device", "cpu")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with ``parts``, the ``run`` trained on them, and ``whole``, painted by it."""
    root = tmp_path_factory.mktemp("inpaint")
    write_scan(root / "parts", make_parts())
    told = result_of("train", root / "parts", root / "run", *TRAIN)
    assert (told["steps"], told["made"]) == (8, 8)
    assert told["steps_per_second"] > 0
    result_of("apply", root / "run", root / "parts", root / "whole", *APPLY, "--workers", 1)
    return root


def run(*words):
    return CliRunner().invoke(cli, ["inpaint", *map(str, words)])


def result_of(*words):
    done = run(*words, "--json")
    assert done.exception is None, (done.exception, done.stderr)
    return json.loads(done.stdout)


def refusal_of(*words):
    """Return the one line of an error that the user can mend."""
    done = run(*words)
    assert isinstance(done.exception, InputError), (done.exception, done.output)
    assert done.exception.exit_code == 2
    assert "\n" not in str(done.exception)
    return str(done.exception)


def test_two_workers_write_the_same(home, tmp_path):
    words = ("apply", home / "run", home / "parts", tmp_path / "out", *APPLY, "--workers", 2)
    result = result_of(*words)
    assert tree_hash(tmp_path / "out") == tree_hash(home / "whole")
    assert sum(result["labels"].values()) + sum(result["refused"].values()) == 8
    assert {s.meta["method"] for s in read_dataset(tmp_path / "out")} == {"inpaint"}


def test_one_worker_does_not_depend_on_the_threads_around(home, tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        words = ("apply", home / "run", home / "parts", tmp_path / "out", *APPLY)
        result_of(*words, "--workers", 1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert tree_hash(tmp_path / "out") == tree_hash(home / "whole")


@pytest.mark.parametrize(
    "point", [("flawsmith.data.folder", "write_picture", "after", 4)], ids=name_of
)
def test_painting_killed_and_run_again(home, tmp_path, point):
    words = ("apply", home / "run", home / "parts", tmp_path / "out", *APPLY, "--workers", 1)
    run_until(point, "inpaint", *words)
    assert not (tmp_path / "out").exists()
    assert "resuming" in run(*words).stderr
    assert tree_hash(tmp_path / "out") == tree_hash(home / "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    again = run(*words)
    assert "is complete already" in again.stderr
    assert f"{tmp_path / 'out'}: 8 of 8 samples" in again.stdout
    assert "not made by this command" in refusal_of(*words, "--strength", "0.5-2")


def test_training_stopped_goes_on_to_the_same_weights(home, tmp_path, monkeypatch):
    words = ("train", home / "parts", tmp_path / "run", *TRAIN)
    inner = InpaintTask.step

    def step(task, context):
        if context.step == 4:
            signal.raise_signal(signal.SIGINT)
        return inner(task, context)

    monkeypatch.setattr(InpaintTask, "step", step)
    done = run(*words)
    assert isinstance(done.exception, Interrupted)
    assert done.exception.exit_code == EXIT_INTERRUPTED
    assert "stopped at step 5; the same command goes on" in str(done.exception)
    # What is there can be painted with.
    result_of("apply", tmp_path / "run", home / "parts", tmp_path / "early", *APPLY, "--workers", 1)
    monkeypatch.undo()
    told = result_of(*words)
    assert (told["steps"], told["made"]) == (8, 3)
    name = "model.safetensors"
    assert (tmp_path / "run" / name).read_bytes() == (home / "run" / name).read_bytes()
    masks = tree_hash(tmp_path / "run" / "masks")
    assert masks == tree_hash(home / "run" / "masks")
    assert result_of(*words)["made"] == 0
    told = refusal_of(*words, "--seed", 1)
    assert "it was trained with other settings: training.seed 0 there, 1 now" in told
    assert tree_hash(tmp_path / "run" / "masks") == masks


def test_a_dry_run_writes_nothing(home, tmp_path):
    words = ("train", home / "parts", tmp_path / "run", "--dry-run", "--batch", 3)
    plan = result_of(*words)
    assert plan["classes"] == ["pit", "streak"]
    assert (plan["inpaint"]["size"], plan["training"]["batch"]) == (64, 3)
    assert "images: 11" in run(*words).stdout
    assert not list(tmp_path.iterdir())


def test_preset_file_and_flags_fill_both_models(tmp_path):
    config = tmp_path / "settings.yaml"
    config.write_text("size: 48\nbatch: 6\nsteps: 90\nl1: 2\n")
    setup = setup_of("tiny", config, {"steps": 7, "batch": None})
    assert (setup.inpaint.size, setup.inpaint.width, setup.inpaint.l1) == (48, 8, 2.0)
    assert (setup.loop.batch, setup.loop.steps, setup.loop.ema) == (6, 7, 0.99)
    with pytest.raises(InputError, match="no preset 'huge'"):
        setup_of("huge", None, {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sise: 64", "no such setting: sise (mend: one of "),
        ("size: 50", "size: input should be a multiple of 16, found '50'"),
        ("steps: many", "steps: input should be a valid integer"),
        ("precision: fp16", "precision: input should be 'no' or 'bf16'"),
    ],
)
def test_a_wrong_setting_of_training_is_one_line(home, tmp_path, text, message):
    config = tmp_path / "settings.yaml"
    config.write_text(text + "\n")
    told = refusal_of("train", home / "parts", tmp_path / "run", "--config", config)
    assert told.startswith(f"{config}: ")
    assert message in told
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--masks", "nowhere"), "nowhere: no such folder"),
        (("--classes", "dent"), "the run has not learned a class 'dent' (mend: of pit, streak)"),
        (("--strength", "2-1"), "strength: needs 0 <= low <= high <= 4"),
        (("--per-image", "0"), "per_image: needs 1 <= low <= high <= 100"),
        (("--to", "zip"), "the format 'zip' cannot be written"),
        (("--preview", "grid.jpg"), "a preview is a PNG"),
    ],
)
def test_what_cannot_be_painted_is_one_line(home, tmp_path, words, message):
    told = refusal_of("apply", home / "run", home / "parts", tmp_path / "out", *words)
    assert message in told
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--per-image", "few"), "'few' is no range such as 1-3"),
    ],
)
def test_a_wrong_flag(home, tmp_path, words, message):
    done = run("apply", home / "run", home / "parts", tmp_path / "out", *words)
    assert done.exit_code == 2
    assert message in done.stderr


def test_only_what_was_tried_is_offered(home, tmp_path):
    done = run("train", home / "parts", tmp_path / "run", "--discriminator", "patch")
    assert done.exit_code == 2
    assert "is not" in done.stderr


def test_places_that_are_refused(home, tmp_path):
    words = ("apply", home / "run", home / "parts")
    assert "lie in one another" in refusal_of(*words, home / "run" / "out")
    assert "inside of the source folder" in refusal_of(*words, home / "parts" / "out")
    assert "inside of the source folder" in refusal_of("train", home / "parts", home / "parts/run")
    told = refusal_of("apply", home / "parts", home / "parts", tmp_path / "out")
    assert "no trained weights here (mend: flawsmith inpaint train SRC RUN)" in told
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    told = refusal_of("train", home / "parts", tmp_path / "mine", *TRAIN)
    assert "holds files that are no training run" in told
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_unlabelled_pictures_are_clean_when_the_user_says_so(home, tmp_path):
    for i, sample in enumerate(s for s in read_dataset(home / "parts") if s.label == "good"):
        (tmp_path / "photos" / "images").mkdir(parents=True, exist_ok=True)
        write_png(tmp_path / "photos" / "images" / f"{i}.png", sample.image)
    words = ("apply", home / "run", tmp_path / "photos", tmp_path / "out", *APPLY, "--workers", 1)
    told = refusal_of(*words)
    assert "no clean image, and no defect-free region of another" in told
    assert "--assume-good if images without masks are clean" in told
    result = result_of(*words, "--assume-good", "--preview", tmp_path / "grid.png")
    assert result["labels"]["defective"] == 8
    assert min(read_image(tmp_path / "grid.png").shape[:2]) > 200
    made_by = json.loads((tmp_path / "out" / "dataset.json").read_text())["made_by"]
    assert made_by["settings"]["device"] == "cpu"
    assert read_dataset(tmp_path / "out").classes == ("pit", "streak")


@pytest.mark.parametrize("to", ["severstal", "mvtec", "coco"])
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_other_formats(home, tmp_path, to):
    words = ("apply", home / "run", home / "parts", tmp_path / "out", "--count", 3, "--to", to)
    assert sum(result_of(*words, "--workers", 1)["labels"].values()) == 3
    assert len(read_dataset(tmp_path / "out")) == 3
