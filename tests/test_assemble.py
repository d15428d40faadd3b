"""Plates assembled from parts: every pixel and mask where it belongs, and traceable."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from flawsmith.commands.gen_assemble import assemble as command
from flawsmith.data import coco
from flawsmith.data.demo_plates import draw_plate
from flawsmith.data.formats import read_dataset
from flawsmith.data.plates import PARTS
from flawsmith.errors import InputError
from flawsmith.gen.assemble import Parts
from flawsmith.gen.seam_report import NOT_JUDGED
from flawsmith.seeding import rng
from tests.assemble_helpers import (
    HEIGHT,
    SCALE,
    WIDTH,
    join,
    made,
    sample_of,
    write,
    write_parts,
)
from tests.killing import run_until
from tests.trees import tree_hash


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> Parts:
    return write_parts(tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module")
def plates(parts, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("plates") / "out"
    join(parts, out)
    return out


def test_every_pixel_is_a_parts_own_but_for_clean_ones_at_seams(parts, plates):
    sources = {
        part: {s.id: s for s in read_dataset(folder)} for part, folder in vars(parts).items()
    }
    for plate in read_dataset(plates):
        assert plate.image.shape == (3 * HEIGHT, WIDTH, 3)
        picked = [sources[part][plate.meta["parts"][part]["id"]] for part in PARTS]
        assert np.array_equal(plate.masks, np.concatenate([p.masks for p in picked], axis=1))
        assert plate.label == ("defective" if plate.masks.any() else "good")
        changed = (plate.image != np.concatenate([p.image for p in picked])).any(axis=2)
        assert not changed[plate.union].any()
        rows = np.flatnonzero(changed.any(axis=1))
        assert set(rows) <= {*range(96, 104), *range(196, 204)}
        assert {96, 103, 196, 203} <= set(rows)


def test_every_part_about_equally_often_and_no_plate_twice(parts, tmp_path):
    done = join(parts, tmp_path / "out", count=31)
    assert done.parts == {
        "anode": {"usable": 4, "unknown": 0},
        "glass": {"usable": 3, "unknown": 0},
        "cathode": {"usable": 5, "unknown": 0},
    }
    triples = [
        tuple(line["meta"]["parts"][part]["id"] for part in PARTS)
        for line in made(tmp_path / "out")
    ]
    assert len(set(triples)) == 31
    for number, count in enumerate((4, 3, 5)):
        uses = Counter(triple[number] for triple in triples)
        assert len(uses) == count
        assert max(uses.values()) - min(uses.values()) <= 1


def test_provenance(plates):
    line = made(plates)[3]
    meta = line["meta"]
    assert (line["id"], line["group"]) == ("assembled_000003",) * 2
    assert (meta["method"], meta["seed"], meta["index"], meta["blend_px"]) == ("assemble", 2, 3, 4)
    glass = meta["parts"]["glass"]
    assert glass["file"] == f"images/{glass['id']}.png"
    assert glass == {
        "id": glass["id"],
        "group": f"plate-{glass['id']}",
        "folder": "glass",
        "file": glass["file"],
        "meta": {"seed": 8, "number": 1},
    }
    assert list(meta["seams"]) == ["anode-glass", "glass-cathode"]
    assert all(score > 0 for score in meta["seams"].values())


def marked(box: tuple[int, int, int, int], plane: int, planes: int):
    masks = np.zeros((planes, HEIGHT, WIDTH), bool)
    x0, y0, x1, y1 = box
    masks[plane, y0:y1, x0:x1] = True
    return masks


def test_classes_are_united_by_name_from_any_layout(tmp_path):
    grey = [np.full((HEIGHT, WIDTH), tone, np.uint8) for tone in (60, 190, 140)]
    box = (5, 90, 9, 100)
    write(tmp_path / "anode", [sample_of("a", grey[0], marked(box, 1, 2))])
    glass = sample_of("g", grey[1], marked((20, 0, 30, 4), 0, 2))
    write(tmp_path / "glass", [glass], ("burn", "dent"), coco, "coco")
    both = marked(box, 0, 1) | marked((6, 95, 7, 100), 0, 1)
    write(tmp_path / "cathode", [sample_of("c", grey[2], both)], ("scratch",))
    join(Parts(*(tmp_path / part for part in PARTS)), tmp_path / "out", count=1)
    found = read_dataset(tmp_path / "out")
    assert found.classes == ("scratch", "dent", "burn")
    (plate,) = found
    wanted = np.zeros((3, 3 * HEIGHT, WIDTH), bool)
    wanted[1, 90:100, 5:9] = True
    wanted[2, 100:104, 20:30] = True
    wanted[0, 290:300, 5:9] = True
    assert np.array_equal(plate.masks, wanted)
    # A step of 130 over nine gaps; what is marked keeps its tone, and its step.
    assert plate.image[95:105, 40].tolist() == [60, 74, 89, 103, 118, 132, 147, 161, 176, 190]
    assert (plate.image[90:100, 5:9] == 60).all()
    assert (plate.image[100:104, 20:30] == 190).all()


def test_clean_parts_without_any_class(tmp_path):
    image = np.full((HEIGHT, WIDTH), 90, np.uint8)
    none = np.zeros((0, HEIGHT, WIDTH), bool)
    for part in PARTS:
        write(tmp_path / part, [sample_of(f"{part}-{i}", image, none) for i in range(2)], ())
    done = join(Parts(*(tmp_path / part for part in PARTS)), tmp_path / "out", count=8)
    assert done.built.labels == {"good": 8, "defective": 0, "unknown": 0}
    found = read_dataset(tmp_path / "out")
    assert found.classes == ()
    assert [plate.label for plate in found] == ["good"] * 8


def test_the_same_for_two_workers_and_run_again(parts, plates, tmp_path):
    first = join(parts, tmp_path / "out", workers=2)
    assert tree_hash(tmp_path / "out") == tree_hash(plates)
    assert join(parts, tmp_path / "out") == first
    assert join(parts, tmp_path / "other", seed=3).built.labels
    assert tree_hash(tmp_path / "other") != tree_hash(plates)


def test_parts_of_unknown_label_are_left_out(tmp_path):
    parts = write_parts(tmp_path / "parts", (2, 2, 2))
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    unknown = sample_of("doubtful", image, label="unknown")
    glass = [*read_dataset(parts.glass)]
    write(tmp_path / "glass", [*glass, unknown])
    done = join(replace(parts, glass=tmp_path / "glass"), tmp_path / "out", count=8)
    assert done.parts["glass"] == {"usable": 2, "unknown": 1}
    assert "doubtful" not in (tmp_path / "out/samples.jsonl").read_text()
    write(tmp_path / "none", [unknown])
    with pytest.raises(InputError, match=r"no glass part can be used.*--assume-good"):
        join(replace(parts, glass=tmp_path / "none"), tmp_path / "other")
    assert not list(tmp_path.glob("other*"))


def write_real(root: Path, count: int) -> Path:
    drawn = [draw_plate(rng(9, "real", i), defective=False, scale=SCALE) for i in range(count)]
    return write(root, [sample_of(f"real-{i}", plate.image) for i, plate in enumerate(drawn)])


def test_the_command_judges_the_seams(parts, tmp_path):
    real = write_real(tmp_path / "real", 20)
    words = [f for part in PARTS for f in (f"--{part}", str(getattr(parts, part)))]
    words += [str(tmp_path / "out"), "--count", "12", "--real", str(real), "--workers", "1"]
    done = CliRunner().invoke(command, [*words, "--json"])
    assert done.exit_code == 0, done.output
    result = json.loads(done.stdout)
    assert sum(result["labels"].values()) == 12
    assert result["parts"]["anode"] == {"usable": 4, "unknown": 0}
    for number, seam in enumerate(result["seams"]):
        scores = [line["meta"]["seams"][seam["seam"]] for line in made(tmp_path / "out")]
        assert seam["row"] == HEIGHT * (number + 1)
        assert seam["real"]["plates"] == 20
        measured = [score for score in scores if score is not None]
        assert seam["made"]["plates"] == len(measured)
        assert seam["made"]["median"] == pytest.approx(np.median(measured), abs=1e-4)
        assert seam["above"] == pytest.approx(
            np.mean([score > seam["real"]["high"] for score in measured]), abs=1e-4
        )
        assert seam["verdict"] != NOT_JUDGED
    kept = json.loads((tmp_path / "out/seams.json").read_text())
    assert kept["seams"] == result["seams"]
    again = CliRunner().invoke(command, words)
    assert "complete already" in again.stderr
    assert "12 plates" in again.stdout
    assert "glass-cathode" in again.stdout


def test_without_real_plates_nothing_is_claimed(parts, plates):
    done = join(parts, plates)
    assert {(f.verdict, f.why) for f in done.seams} == {
        (NOT_JUDGED, "no real plates given (--real)")
    }
    assert all(f.made.plates > 0 for f in done.seams)


KILL_AT = [
    ("flawsmith.data.folder", "write_picture", "after", 4),
    ("flawsmith.gen.assemble", "build", "after", 1),  # plates without their report
    ("flawsmith.gen.assemble", "write_file", "after", 1),  # all there, under the other name
]


@pytest.mark.parametrize("point", KILL_AT, ids=lambda p: f"{p[0].split('.')[-1]}.{p[1]}")
def test_killed_and_run_again(parts, plates, tmp_path, point):
    folders = [f for part in PARTS for f in (f"--{part}", getattr(parts, part))]
    words = ("--count", 9, "--seed", 2, "--workers", 1)
    run_until(point, "gen", "assemble", *folders, tmp_path / "out", *words)
    assert not (tmp_path / "out").exists()
    join(parts, tmp_path / "out")
    assert tree_hash(tmp_path / "out") == tree_hash(plates)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
