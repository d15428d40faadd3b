"""``flawsmith data`` and ``demo`` on small made-up folders: results, errors, exit codes."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from flawsmith.cli import cli
from flawsmith.data import jobs
from flawsmith.data.cropping import label_of
from flawsmith.data.formats import read_dataset
from flawsmith.data.images import encode_bmp, write_png
from flawsmith.errors import InputError
from tests.trees import make_folder, tree_hash

# pycocotools' compiled module does not know NumPy 2's copy keyword yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def run(*words: object) -> Result:
    """Run ``flawsmith data ...`` in this process; errors of ours come back in ``exception``."""
    return CliRunner().invoke(cli, ["data", *map(str, words)])


def result_of(*words: object) -> Any:
    """Run a command with --json on one worker and return what it prints."""
    workers = () if words[0] == "demo" else ("--workers", 1)
    done = run(*words, "--json", *workers)
    assert done.exception is None, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Twelve images, two a group: four clean, and four of each class."""
    return make_folder(tmp_path / "source")


def test_every_help_has_an_example():
    names = ["info", "check", "convert", "split", "plates"]
    for words in [[], *([name] for name in names)]:
        shown = run(*words, "--help")
        assert shown.exit_code == 0
        assert "Example" in shown.stdout
        assert "flawsmith data" in shown.stdout.split("Example")[1]


def test_info(source, tmp_path):
    found = result_of("info", source, "--plots", tmp_path / "plots")
    assert found["labels"] == {"good": 4, "defective": 8, "unknown": 0}
    assert [entry["images"] for entry in found["classes"]] == [4, 4]
    assert found["groups"] == 6
    assert all(Path(path).is_file() for path in found["plots"])
    table = run("info", source, "--workers", 1)
    assert "12 images in 6 groups, read as folder" in table.stdout
    assert "read as folder: images/" in table.stderr


def break_source(source: Path) -> None:
    (source / "images/part_001.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    write_png(source / "masks/part_004.png", np.zeros((5, 7), np.uint8))
    write_png(source / "masks/part_005.png", np.full((24, 24), 9, np.uint8))
    write_png(source / "masks/lonely.png", np.zeros((24, 24), np.uint8))


def test_info_obeys_on_error(source):
    break_source(source)
    stopped = run("info", source, "--workers", 1)
    assert isinstance(stopped.exception, InputError)
    assert "part_001.png" in str(stopped.exception)
    found = result_of("info", source, "--on-error", "skip")
    assert found["samples"] == 9
    assert len(found["skipped"]) == 4


def test_check_names_every_bad_pair(source):
    fine = run("check", source, "--workers", 1)
    assert (fine.exit_code, fine.stdout) == (0, "12 samples fine, 0 bad, 0 passed over\n")
    break_source(source)
    done = run("check", source, "--workers", 1)
    assert isinstance(done.exception, InputError)
    assert done.exception.exit_code == 2
    assert "3 bad entries" in str(done.exception)
    *entries, total = done.stdout.splitlines()
    assert total == "9 samples fine, 3 bad, 1 passed over"
    bad = [line for line in entries if line.startswith("bad: ")]
    assert [line.split(": ")[1] for line in bad] == [
        "images/part_001.png",
        "masks/part_004.png",
        "masks/part_005.png",
    ]
    assert "7x5, its image 24x24 (mend: draw" in bad[1]
    assert "value 9" in bad[2]
    printed = json.loads(run("check", source, "--workers", 1, "--json").stdout)
    assert printed["passed_over"][0]["where"] == "masks/lonely"
    assert printed["bad"][1]["mend"].startswith("draw")


@pytest.mark.parametrize("to", ["folder", "severstal", "mvtec", "coco", "yolo-seg"])
def test_convert_keeps_pixels_labels_and_groups(source, tmp_path, to):
    write_png(source / "images/no_mask.png", np.zeros((9, 8), np.uint8))
    out = tmp_path / "out"
    found = result_of("convert", source, out, "--to", to)
    assert found["labels"] == {"good": 4, "defective": 8, "unknown": 1}
    before = {sample.id: sample for sample in read_dataset(source)}
    after = list(read_dataset(out))
    assert {sample.id for sample in after} == set(before)
    for sample in after:
        wanted = before[sample.id]
        assert (sample.label, sample.group) == (wanted.label, wanted.group)
        assert np.array_equal(sample.image, wanted.image)
        assert np.array_equal(sample.masks, wanted.masks)
        assert sample.meta["source"] == f"images/{sample.id}.png"
    # The first origin survives a second conversion; the same again is found done.
    assert result_of("convert", out, tmp_path / "back", "--to", "folder")
    assert read_dataset(tmp_path / "back")[0].meta["source"].startswith("images/")
    tree = tree_hash(out)
    assert result_of("convert", source, out, "--to", to) == found
    assert tree_hash(out) == tree


def test_convert_refuses(source, tmp_path):
    for out, to, wanted in (
        (source / "sub", "coco", "inside of the source"),
        (source, "coco", "inside of the source"),
        (tmp_path / "out", "plates", "cannot be written"),
    ):
        with pytest.raises(InputError, match=wanted):
            jobs.convert(source, out, to=to)
    assert run("convert", source, tmp_path / "out", "--to", "plates").exit_code == 2
    result_of("convert", source, tmp_path / "out", "--to", "coco")
    taken = run("convert", source, tmp_path / "out", "--to", "mvtec", "--workers", 1)
    assert "--overwrite" in str(taken.exception)
    # A source that has changed makes it another job.
    os.utime(source / "images/part_000.png", (1, 1))
    changed = run("convert", source, tmp_path / "out", "--to", "coco", "--workers", 1)
    assert isinstance(changed.exception, InputError)
    result_of("convert", source, tmp_path / "out", "--to", "mvtec", "--overwrite")
    assert read_dataset(tmp_path / "out").format == "mvtec"


def test_convert_with_hostile_meta(source, tmp_path):
    result_of("convert", source, tmp_path / "a", "--to", "folder")
    path = tmp_path / "a/samples.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line, value in zip(lines, (5, "x", [1], {"a": "b"}, None), strict=False):
        line["meta"] = {"redrawn": value, "source": 3}
    path.write_text("\n".join(map(json.dumps, lines)))
    assert result_of("convert", tmp_path / "a", tmp_path / "b", "--to", "coco")["labels"]


def test_split(source, tmp_path):
    out = tmp_path / "out"
    done = result_of("split", source, out, "--fractions", "0.5, 0.5", "--names", "one,two")
    assert [part["labels"] for part in done["parts"]] == [
        {"good": 2, "defective": 4, "unknown": 0}
    ] * 2
    assert [part["images"] for part in done["parts"]] == [{"a": 2, "b": 2}] * 2
    one, two = read_dataset(out / "one"), read_dataset(out / "two")
    assert not set(one.groups) & set(two.groups)
    assert sorted(one.ids + two.ids) == sorted(read_dataset(source).ids)
    assert sorted(p.name for p in out.iterdir()) == ["job.json", "one", "two"]


def test_split_few_shot_and_left_out(source, tmp_path):
    words = (source, tmp_path / "out", "--fractions", "0.5,0.34", "--per-class", "1")
    done = result_of("split", *words)
    train, test = done["parts"]
    assert train["images"] == {"a": 1, "b": 1}
    assert train["dropped"] > 0
    assert test["dropped"] == 0
    kept = sum(sum(part["labels"].values()) + part["dropped"] for part in done["parts"])
    assert done["left_out"] == 12 - kept > 0
    table = run("split", *words, "--workers", 1)  # found done: the same from what is there
    assert table.stdout.splitlines()[0].split() == [
        *("part", "good", "defective", "unknown", "a", "b", "dropped")
    ]
    assert f"left out: {done['left_out']}" in table.stdout


def test_split_of_some_classes(source, tmp_path):
    done = result_of("split", source, tmp_path / "out", "--classes", "b")
    assert [part["images"] for part in done["parts"]] == [{"a": 0, "b": 2}] * 2
    assert [part["labels"]["good"] for part in done["parts"]] == [2, 2]
    assert done["left_out"] == 0  # images of the class a are not asked for
    assert done["notices"] == []


def test_split_preset(source, tmp_path):
    out = tmp_path / "out"
    result_of("split", source, out, "--preset", "steel-thesis")
    uses = [
        json.loads((out / name / "dataset.json").read_text())["made_by"]["use"]
        for name in ("train", "test")
    ]
    assert uses == ["generators", "measuring only"]
    assert (out / "train/train.csv").is_file()
    both = run("split", source, out, "--preset", "steel-thesis", "--fractions", "0.6,0.4")
    assert "--preset steel-thesis settles --fractions" in str(both.exception)


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--fractions", "0.5,0.6"], "more than 1"),
        (["--fractions", "0.5"], "2 names for 1 fractions"),
        (["--names", "a,../b"], "cannot be a folder's name"),
        (["--names", "a,A"], "occurs twice"),
        (["--names", ".a,b"], "cannot be a folder's name"),
        (["--fractions", "0.99,0.01"], "'test' would be empty"),
        (["--group-regex", "("], "no regular expression"),
        (["--classes", "a,c"], "no class 'c'"),
    ],
)
def test_split_refuses(source, tmp_path, words, wanted):
    done = run("split", source, tmp_path / "out", *words, "--workers", 1)
    assert isinstance(done.exception, InputError)
    assert wanted in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_split_fractions_must_be_numbers(source, tmp_path):
    done = run("split", source, tmp_path / "out", "--fractions", "half")
    assert done.exit_code == 2
    assert "no list with commas" in done.stderr


def test_demo_plates_cropped_and_divided(tmp_path):
    demo = tmp_path / "demo"
    built = jobs.write_demo(demo, kind="plates", count=3, scale=0.1, seed=3, workers=1)
    assert sum(built.labels.values()) == 3
    blank = np.full((400, 300, 3), 120, np.uint8)
    (demo / "good/blank.bmp").write_bytes(encode_bmp(blank))
    (demo / "samples.jsonl").unlink()
    out = tmp_path / "out"
    done = result_of("plates", demo, out, "--whole")
    assert done["refused"] == ["good/blank.bmp: not exactly one whole plate could be found in it"]
    plate = read_dataset(out / "plate")
    assert [sample.size for sample in plate] == [(240, 1200)] * 3
    assert len(set(plate.ids)) == 3
    for number, name in enumerate(("anode", "glass", "cathode")):
        part = read_dataset(out / name)
        assert part.ids == plate.ids
        assert part.groups == plate.groups
        for crop, parent in zip(part, plate, strict=True):
            rows = slice(400 * number, 400 * (number + 1))
            assert np.array_equal(crop.image, parent.image[rows])
            assert np.array_equal(crop.masks, parent.masks[:, rows])
            assert crop.label == label_of(parent.label, crop.masks)
            assert crop.meta["part"] == name

    again = result_of("plates", demo, tmp_path / "parts")
    assert again["refused"] == done["refused"]
    assert sorted(p.name for p in (tmp_path / "parts").iterdir()) == [
        *("anode", "cathode", "glass", "job.json")
    ]


def test_photos_without_any_plate(tmp_path):
    (tmp_path / "photos/good").mkdir(parents=True)
    blank = np.full((400, 300, 3), 120, np.uint8)
    (tmp_path / "photos/good/blank.bmp").write_bytes(encode_bmp(blank))
    (tmp_path / "photos/good/broken.bmp").write_bytes(b"BM")
    stopped = run("plates", tmp_path / "photos", tmp_path / "out", "--workers", 1)
    assert "broken.bmp" in str(stopped.exception)
    words = ("--on-error", "skip", "--workers", 1)
    done = run("plates", tmp_path / "photos", tmp_path / "out", *words)
    assert "no plate found in any of 2 photos" in str(done.exception)


def test_label_of_a_crop():
    empty, marked = np.zeros((1, 2, 2), bool), np.ones((1, 2, 2), bool)
    assert label_of("good", empty) == "good"
    assert label_of("defective", marked) == "defective"
    # The annotator marked the plate's defect, which does not make the other parts clean.
    assert label_of("defective", empty) == "unknown"
    assert label_of("unknown", empty) == "unknown"


def test_demo_strips(tmp_path):
    words = ["demo", str(tmp_path / "a"), "--count", "2", "--seed", "5", "--json", "--workers", "1"]
    done = CliRunner().invoke(cli, words)
    assert done.exception is None
    assert sum(json.loads(done.stdout)["labels"].values()) == 2
    assert read_dataset(tmp_path / "a").format == "severstal"
