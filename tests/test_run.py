"""``flawsmith run``: what it leaves, what it never shows a method, what a second start repeats."""

import json
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from filelock import FileLock

from flawsmith.cli import cli
from flawsmith.data.build import JOURNAL
from flawsmith.data.formats import read_dataset
from flawsmith.data.images import write_png
from flawsmith.errors import InputError
from tests.augment_helpers import part, surface, write_scan
from tests.killing import name_of, run_until
from tests.trees import tree_hash

# pycocotools' compiled module does not know NumPy 2's copy keyword yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STAGES = ("read", "split", "candidates-classical", "candidates-paste", "certificate", "dataset")
FLAGS = ("--count", 8, "--seed", 4)


def make_source(root):
    """Write 9 clean and 10 defective parts; two photos of a part share its group."""
    samples = [part(f"clean-{i}", image=surface(i)) for i in range(9)]
    for i in range(5):
        pit, streak = (0, (12 + i, 9, 19 + i, 15)), (1, (30, 30 + i, 46, 33 + i))
        samples.append(part(f"pit-{i}", [pit], image=surface(20 + i)))
        samples.append(part(f"streak-{i}", [streak], image=surface(30 + i)))
    for number, sample in enumerate(samples):
        object.__setattr__(sample, "group", f"part-{number // 2}")
    return write_scan(root, samples).dataset.root


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_source(tmp_path_factory.mktemp("run") / "parts")


@pytest.fixture(scope="module")
def whole(source):
    """An undisturbed run of one process: its folder."""
    out = source.parent / "whole"
    result_of(source, out, *FLAGS)
    return out


def run(*words, workers=1):
    return CliRunner().invoke(cli, ["run", *map(str, words), "--workers", str(workers)])


def result_of(*words, workers=1):
    done = run(*words, "--json", workers=workers)
    assert done.exception is None, (done.exception, done.stderr)
    return json.loads(done.stdout)


def refusal_of(*words):
    done = run(*words)
    assert isinstance(done.exception, InputError), (done.exception, done.output)
    assert "\n" not in str(done.exception)
    return str(done.exception)


def kept(*words):
    """Run again; return the stages that were kept."""
    done = run(*words)
    assert done.exception is None, done.exception
    lines = done.stderr.splitlines()
    return [name for name in STAGES if f"{name}: kept from the last run" in lines]


def check_sets(dataset, names=("train", "test", "synthetic")):
    for name in names:
        done = CliRunner().invoke(cli, ["data", "check", str(dataset / name), "--workers", "1"])
        assert done.exit_code == 0, done.output
    return {name: read_dataset(dataset / name) for name in names}


def used_by(sample):
    """Return the ids of the real samples that a candidate was made from."""
    meta = sample.meta
    donors = {defect.get("donor") for defect in meta.get("defects", ())}
    return (donors | {meta.get("background"), meta.get("source")}) - {None}


def assert_sound(dataset):
    sets = check_sets(dataset)
    train, test = set(sets["train"].ids), set(sets["test"].ids)
    assert train
    assert test
    assert not train & test
    assert not set(sets["train"].groups) & set(sets["test"].groups)
    assert set(sets["synthetic"].groups) <= set(sets["train"].groups)
    for sample in sets["synthetic"]:
        assert used_by(sample)
        assert used_by(sample) <= train
        assert sample.meta["decision"] == "accepted"
    assert len({found.classes for found in sets.values()}) == 1
    return sets


def test_a_run_leaves_sound_data_sets_and_a_report(source, whole):
    sets = assert_sound(whole / "dataset")
    assert len(sets["train"]) + len(sets["test"]) == 19
    assert {sample.meta["method"] for sample in sets["synthetic"]} == {"classical", "paste"}
    real = {sample.id: sample for sample in read_dataset(source)}
    for name in ("train", "test"):
        for sample in sets[name]:
            assert (sample.image == real[sample.id].image).all()
            assert (sample.masks == real[sample.id].masks).all()
    page = (whole / "report.html").read_text("utf-8")
    assert page.count("<img") > 4
    rejected = (whole / "dataset" / "rejected.jsonl").read_text().splitlines()
    assert len(rejected) + len(sets["synthetic"]) == 16
    assert all(json.loads(line)["reason"] for line in rejected)


@pytest.mark.parametrize(("kind", "count"), [("severstal", 14), ("plates", 10)])
def test_demo_data(tmp_path, kind, count):
    words = ["demo", tmp_path / "demo", "--kind", kind, "--count", count, "--seed", 3]
    words += ["--scale", 0.1, "--workers", 1]
    assert CliRunner().invoke(cli, list(map(str, words))).exception is None
    result = result_of(tmp_path / "demo", tmp_path / "out", "--count", 4)
    sets = assert_sound(tmp_path / "out" / "dataset")
    assert len(sets["synthetic"]) == sum(result["parts"]["synthetic"].values()) >= 2
    assert (tmp_path / "out" / "report.html").is_file()
    if kind == "plates":
        assert sets["train"][0].size == (240, 1200)


def test_two_workers_write_the_same(source, whole, tmp_path):
    result_of(source, tmp_path / "out", *FLAGS, workers=2)
    assert tree_hash(tmp_path / "out") == tree_hash(whole)


def test_a_second_start_keeps_every_stage(source, tmp_path):
    out = tmp_path / "out"
    result_of(source, out, *FLAGS)
    before = tree_hash(out)
    assert kept(source, out, *FLAGS) == list(STAGES)
    assert tree_hash(out) == before


def test_a_changed_setting_repeats_what_depends_on_it(source, tmp_path):
    out = tmp_path / "out"
    result_of(source, out, *FLAGS)
    assert kept(source, out, "--count", 6, "--seed", 4) == ["read", "split"]
    assert kept(source, out, "--count", 6, "--seed", 5) == ["read"]
    words = ("--count", 6, "--seed", 5, "--to", "coco")
    assert kept(source, out, *words) == list(STAGES[:-1])
    assert kept(source, out, *words, "--test-fraction", 0.4) == ["read"]
    # Only the one method's candidates when its own settings change.
    config = tmp_path / "run.yaml"
    config.write_text("count: 6\nseed: 5\nto: coco\ntest_fraction: 0.4\npaste: {feather: 2}\n")
    assert kept(source, out, "--config", config) == ["read", "split", "candidates-classical"]
    fresh = tmp_path / "fresh"
    result_of(source, fresh, "--config", config)
    assert tree_hash(fresh / "dataset") == tree_hash(out / "dataset")


KILL_AT = [
    ("flawsmith.pipeline.stages", "write_file", "before", 1),  # a folder with nothing but a lock
    ("flawsmith.pipeline.source", "write_lines", "after", 1),
    ("flawsmith.data.folder", "write_picture", "after", 11),
    ("flawsmith.pipeline.candidates", "write_lines", "after", 1),
    ("flawsmith.data.folder", "write_picture", "before", 25),
    ("flawsmith.data.staging", "_publish", "before", 6),
    ("flawsmith.pipeline.run", "report_stage", "before", 1),
]


@pytest.mark.parametrize("point", KILL_AT, ids=name_of)
def test_killed_and_run_again(source, whole, tmp_path, point):
    words = (source, tmp_path / "out", *FLAGS)
    run_until(point, "run", *words, "--workers", 1)
    result_of(*words)
    assert tree_hash(tmp_path / "out") == tree_hash(whole)


def test_two_workers_killed_at_work(source, whole, tmp_path):
    out = tmp_path / "out"
    journal = out / "stages" / "candidates-paste.partial" / "data" / JOURNAL
    words = ["run", source, out, *FLAGS, "--workers", 2]
    with subprocess.Popen([sys.executable, "-m", "flawsmith", *map(str, words)]) as process:
        for _ in range(60_000):
            if journal.is_file() or process.poll() is not None:
                break
            time.sleep(0.0005)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    result_of(source, out, *FLAGS)
    assert tree_hash(out) == tree_hash(whole)


@pytest.mark.parametrize(
    ("place", "flags"), [("images/good", ()), ("train/good", ("--format", "mvtec"))]
)
def test_good_images_alone_get_drawn_defects(tmp_path, place, flags):
    root = tmp_path / "photos" / place
    root.mkdir(parents=True)
    for index in range(8):
        write_png(root / f"{index:03d}.png", surface(index))
    done = run(tmp_path / "photos", tmp_path / "out", "--count", 4, *flags)
    assert done.exception is None, done.exception
    assert "note: paste left out: no image with a defect" in done.stderr
    assert "note: classical left out: no defective image" in done.stderr
    sets = assert_sound(tmp_path / "out" / "dataset")
    assert {sample.meta["method"] for sample in sets["synthetic"]} == {"procedural"}
    assert sets["train"].classes == ("blob", "pits", "scratch")


def test_without_clean_images_paste_is_left_out(tmp_path):
    samples = [
        part(f"pit-{i}", [(0, (20 + i, 20, 27 + i, 26))], image=surface(i)) for i in range(8)
    ]
    root = write_scan(tmp_path / "parts", samples).dataset.root
    done = run(root, tmp_path / "out", "--count", 4)
    assert "note: paste left out: no clean image to put defects into" in done.stderr
    assert "classical: 4 asked" in done.stdout
    assert "no clean image" in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert_sound(tmp_path / "out" / "dataset")


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


def test_two_runs_into_one_folder(source, whole):
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
        ("methods: [glue]", "methods.0: input should be 'classical', 'paste' or 'procedural'"),
        ("paste: {blend: glue}", "settings of paste: blend: input should be 'feather'"),
        ("paste: {glue: 1}", "settings of paste: no such setting: glue"),
        ("paste: {method: classical}", "settings of paste: its method is settled by its name"),
        ("to: zip", "the format 'zip' cannot be written"),
    ],
)
def test_a_wrong_setting_is_one_line(source, tmp_path, text, message):
    config = tmp_path / "run.yaml"
    config.write_text(text + "\n")
    for flags in ((), ("--dry-run",)):
        assert message in refusal_of(source, tmp_path / "out", "--config", config, *flags)
    assert not (tmp_path / "out").exists()


def test_methods_and_seed_from_a_file(source, tmp_path):
    config = tmp_path / "run.yaml"
    config.write_text("seed: 6\nmethods: [procedural, procedural]\ncount: 3\n")
    result = result_of(source, tmp_path / "out", "--config", config)
    assert list(result["methods"]) == ["procedural"]
    sets = check_sets(tmp_path / "out" / "dataset")
    assert {sample.meta["seed"] for sample in sets["synthetic"]} == {6}
    # Drawn classes stand beside the real ones.
    assert sets["train"].classes == ("pit", "streak", "blob", "pits", "scratch")


@pytest.mark.parametrize("to", ["severstal", "mvtec", "coco", "yolo-seg"])
def test_every_format(source, tmp_path, to):
    out = tmp_path / "out"
    result = result_of(source, out, "--count", 4, "--to", to)
    sets = check_sets(out / "dataset")
    assert sum(result["parts"]["synthetic"].values()) == len(sets["synthetic"]) > 0
    assert {found.format for found in sets.values()} == {to}
