"""Painting with a trained run: what changes, what must not, and what cannot be used."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from flawsmith.data.dataset import DataSet
from flawsmith.data.formats import read_dataset
from flawsmith.data.images import write_png
from flawsmith.data.scan import scan
from flawsmith.data.surfaces import cut
from flawsmith.data.visibility import distance_outside
from flawsmith.errors import InputError, OutputError
from flawsmith.evaluate.certificate import check_pair
from flawsmith.inpaint import recipe as recipes
from flawsmith.inpaint.apply import apply
from flawsmith.inpaint.apply_settings import ApplySettings
from flawsmith.inpaint.maskbank import MASKS, read_masks
from flawsmith.inpaint.prepare import open_run, prepare
from flawsmith.inpaint.training import setup_of, train_inpaint
from flawsmith.train.weights import read_tensors
from tests.augment_helpers import CLASSES, make_parts, part, surface, write_scan

# An untrained generator paints plainly visible noise: what it paints is not the matter here.
STEPS = 16


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with ``parts`` and the ``run`` that was trained on them."""
    root = tmp_path_factory.mktemp("inpaint")
    write_scan(root / "parts", make_parts())
    setup = setup_of("tiny", None, {"steps": STEPS, "device": "cpu"})
    train_inpaint(root / "parts", root / "run", setup)
    return root


@pytest.fixture(scope="module")
def opened(home):
    return open_run(home / "run", "cpu")


def settings_of(**changes):
    return ApplySettings(**{"count": 6, "seed": 4} | changes)


def painted(home, out, **changes):
    """Paint into the parts' clean images; return what was written."""
    return apply(home / "run", home / "parts", out, settings_of(**changes), device="cpu")


def refusal_of(call, *words, **more):
    """Return the one line of an error that the user can mend."""
    with pytest.raises(InputError) as found:
        call(*words, **more)
    assert "\n" not in str(found.value)
    return str(found.value)


def assert_holds(sample, before, hole_px):
    """Assert, from the files alone, that only the hole changed, and that the mask shows."""
    outside = distance_outside(sample.union) > hole_px
    assert np.array_equal(sample.image[outside], before.image[outside])
    assert sample.image.shape == before.image.shape
    assert not np.array_equal(sample.image[sample.union], before.image[sample.union])


@pytest.mark.parametrize("masks", ["bank", "procedural", "folder"])
def test_only_the_hole_changes_and_the_mask_is_written(home, tmp_path, monkeypatch, masks):
    asked = []
    inner = recipes.Canvas.paint

    def spy(canvas, plane, view, image, mask, hole):
        done = inner(canvas, plane, view, image, mask, hole)
        if done:
            whole = np.zeros((len(CLASSES), *canvas.taken.shape), bool)
            whole[plane][view] = mask
            asked.append((canvas, whole))
        return done

    monkeypatch.setattr(recipes.Canvas, "paint", spy)
    more = {}
    if masks == "folder":
        more = {"mask_folder": tmp_path / "drawn"}
        (tmp_path / "drawn" / "streak").mkdir(parents=True)
        write_png(tmp_path / "drawn" / "streak" / "bar.png", np.full((4, 15), 255, np.uint8))
    painted(home, tmp_path / "out", masks=masks, **more)
    found, real = read_dataset(tmp_path / "out"), read_dataset(home / "parts")
    before = {sample.id: sample for sample in real}
    wanted = {}
    for canvas, whole in asked:
        wanted[id(canvas)] = wanted.get(id(canvas), 0) | whole
    assert len(found) == len(wanted) == 6
    for sample, masks_wanted in zip(found, wanted.values(), strict=True):
        assert np.array_equal(sample.masks, masks_wanted)
        background = before[sample.meta["background"]]
        assert background.label == "good"
        assert sample.group == background.group
        assert_holds(sample, background, sample.meta["hole_px"])
        assert not check_pair(sample, found.classes, background, {}).reason
    if masks == "folder":
        assert not any(sample.masks[0].any() for sample in found)


def test_more_defects_an_image_in_the_region_asked_for(home, tmp_path):
    roi = np.zeros((48, 64), np.uint8)
    roi[:, 24:] = 255
    write_png(tmp_path / "roi.png", roi)
    painted(home, tmp_path / "out", roi=tmp_path / "roi.png", per_image=(3, 3), classes=("pit",))
    for sample in read_dataset(tmp_path / "out"):
        assert not sample.union[:, :24].any()
        assert not sample.masks[1].any()
        assert {defect["class"] for defect in sample.meta["defects"]} == {"pit"}
        assert 1 <= len(sample.meta["defects"]) <= 3


def test_a_sample_depends_on_seed_and_index_alone(home, opened):
    found = scan(read_dataset(home / "parts"))
    make = prepare(opened, found, settings_of()).recipe.make
    backwards = [make(i) for i in reversed(range(3))][::-1]
    again = prepare(opened, found, settings_of(count=99)).recipe
    for left, right in zip(backwards, map(again.make, range(3)), strict=True):
        assert np.array_equal(left.image, right.image)
        assert np.array_equal(left.masks, right.masks)
    other = prepare(opened, found, settings_of(seed=5)).recipe.make(0)
    assert not np.array_equal(other.image, backwards[0].image)


def test_strength_scales_the_change_and_none_is_refused(home, opened, tmp_path):
    found = scan(read_dataset(home / "parts"))
    before = {sample.id: sample for sample in found.dataset}

    def changes(strength):
        made = prepare(opened, found, settings_of(strength=strength)).recipe.make(1)
        clean = before[made.meta["background"]].image
        return made, made.image.astype(int) - clean

    # The first place, mask and look do not depend on the strength.
    full, whole = changes((1.0, 1.0))
    half, part_of = changes((0.5, 0.5))
    first = full.masks & half.masks
    assert first.any()
    shared = first.any(axis=0)
    assert np.abs(part_of[shared] - whole[shared] / 2).mean() < 1
    assert all(d["strength"] == "0.500" for d in half.meta["defects"])

    built = painted(home, tmp_path / "out", strength=(0, 0), count=3)
    assert built.refused == {"change not visible": 3}
    assert sum(built.labels.values()) == 0


def test_without_clean_images_regions_are_painted_on(home, capsys, tmp_path):
    # Their own classes are none of the run's business: no old defect is in a region.
    worn = [replace(s, masks=s.masks[:1] | s.masks[1:]) for s in make_parts(clean=0)]
    before = {s.id: s for s in write_scan(tmp_path / "worn", worn, ("dent",)).dataset}
    built = apply(home / "run", tmp_path / "worn", tmp_path / "out", settings_of(), device="cpu")
    assert sum(built.labels.values()) == 6
    told = "note: no clean image: 6 defect-free regions of 6 defective images are painted on"
    assert told in capsys.readouterr().err
    found = read_dataset(tmp_path / "out")
    assert found.classes == CLASSES
    for sample in found:
        piece = cut(before[sample.meta["background"]], tuple(sample.meta["region"]))
        assert_holds(sample, piece, sample.meta["hole_px"])
        assert sample.group == piece.group
        assert not check_pair(sample, found.classes, piece, {}).reason


def test_colour_backgrounds_and_small_ones(home, opened, tmp_path):
    tints = [part(f"tint-{i}", image=surface(i, rgb=True)) for i in range(2)]
    tints.append(part("narrow", image=surface(7, size=(0, 0, 40, 12))))
    tints.append(part("tiny", image=surface(7, size=(0, 0, 40, 7))))
    found = write_scan(tmp_path / "tints", tints)
    candidates = prepare(opened, found, settings_of(position="uniform"))
    assert candidates.notices == ("1 backgrounds left out, smaller than 8 pixels: tiny",)
    before = {sample.id: sample for sample in found.dataset}
    made = [candidates.recipe.make(i) for i in range(8)]
    assert {sample.meta["background"] for sample in made} == {"tint-0", "tint-1", "narrow"}
    for sample in made:
        assert_holds(sample, before[sample.meta["background"]], sample.meta["hole_px"])
    found = write_scan(tmp_path / "flat", [part("tiny", image=surface(7, size=(0, 0, 40, 7)))])
    told = refusal_of(prepare, opened, found, settings_of())
    assert "every background is smaller than 8 pixels" in told


def test_a_mask_larger_than_the_image_is_counted(home, tmp_path):
    (tmp_path / "drawn" / "pit").mkdir(parents=True)
    write_png(tmp_path / "drawn" / "pit" / "vast.png", np.full((90, 90), 255, np.uint8))
    built = painted(home, tmp_path / "out", masks="folder", mask_folder=tmp_path / "drawn", count=2)
    assert built.refused == {"mask larger than the image": 2}


def test_the_run_keeps_masks_and_no_picture(home):
    kept, real = read_dataset(home / "run" / MASKS), read_dataset(home / "parts")
    marked = {sample.id: sample.masks for sample in real if sample.masks.any()}
    assert kept.ids == tuple(marked)
    for sample in kept:
        assert np.array_equal(sample.masks, marked[sample.id])
        assert not sample.image.any()
    secret = str(home / "parts").encode()
    for path in (home / "run").rglob("*"):
        assert not path.is_file() or secret not in path.read_bytes()


@pytest.mark.parametrize("place", [(0, 0), (-1, -1)])
def test_stray_pixels_are_not_written(home, tmp_path, monkeypatch, place):
    """Whole pictures are compared, not the windows that were painted: a far corner is seen."""
    inner = recipes.Canvas.paint

    def careless(canvas, *words):
        done = inner(canvas, *words)
        canvas.image[place] ^= 1
        return done

    monkeypatch.setattr(recipes.Canvas, "paint", careless)
    with pytest.raises(OutputError, match=r"inpaint_00000\d: not written: 1 pixels outside"):
        painted(home, tmp_path / "out", per_image=(1, 1))
    assert not (tmp_path / "out").exists()


def test_weights_that_change_meanwhile_are_not_mixed(home, tmp_path):
    """A training may go on beside a painting job, whose workers load the weights themselves."""
    opened = open_run(run_copy(home, tmp_path / "run"), "cpu")
    found = scan(read_dataset(home / "parts"))
    make = prepare(opened, found, settings_of()).recipe.make
    weights = tmp_path / "run" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    assert "the weights changed since this job began" in refusal_of(make, 0)


def run_copy(home, folder):
    shutil.copytree(home / "run", folder, ignore=shutil.ignore_patterns("state", "tensorboard"))
    return folder


def test_runs_that_cannot_be_used(home, tmp_path):
    assert "no trained weights here" in refusal_of(open_run, tmp_path)
    run = run_copy(home, tmp_path / "cut")
    weights = run / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert "no valid safetensors file" in refusal_of(open_run, run)
    from safetensors.torch import save_file

    save_file(read_tensors(home / "run" / "model.safetensors", {}), weights)
    assert "these weights are not flawsmith's" in refusal_of(open_run, run)
    weights.write_bytes(whole)
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "format": 99}))
    assert "a run of format 99; this flawsmith reads 1" in refusal_of(open_run, run)
    config["job"]["kind"] = "gen"
    (run / "config.json").write_text(json.dumps(config))
    assert "a run of 'gen', not of inpaint train" in refusal_of(open_run, run)
    # Weights alone are enough to be a run; its masks are asked for when needed.
    (run / "config.json").unlink()
    shutil.rmtree(run / MASKS)
    found = scan(read_dataset(home / "parts"))
    told = refusal_of(prepare, open_run(run, "cpu"), found, settings_of())
    assert "the masks that it was trained on are not kept here" in told
    shutil.copytree(home / "run" / MASKS, run / MASKS)
    assert "masks of pit, streak; the run paints dent" in refusal_of(read_masks, run, ("dent",))


def test_what_cannot_be_painted(home, opened, tmp_path):
    found = scan(read_dataset(home / "parts"))
    told = refusal_of(prepare, opened, found, settings_of(classes=("dent",)))
    assert "the run has not learned a class 'dent' (mend: of pit, streak)" in told
    drawn = tmp_path / "drawn"
    for name in ("pit", "dent"):
        (drawn / name).mkdir(parents=True)
        write_png(drawn / name / "a.png", np.full((3, 3), 255, np.uint8))
    own = settings_of(masks="folder", mask_folder=drawn)
    assert "masks of dent, which the run does not paint" in refusal_of(prepare, opened, found, own)
    shutil.rmtree(drawn / "dent")
    own = settings_of(masks="folder", mask_folder=drawn, classes=("streak", "pit"))
    assert "no usable mask of streak" in refusal_of(prepare, opened, found, own)
    bare = DataSet(tmp_path, "folder", (), ())
    told = refusal_of(prepare, opened, replace(found, dataset=bare, facts=()), settings_of())
    assert "no clean image, and no defect-free region of another, to paint on (mend: add" in told
    wide = write_scan(tmp_path / "b", [part("w", [(0, (12, 12, 52, 36))], image=surface(3))])
    assert "no defect-free region of another" in refusal_of(prepare, opened, wide, settings_of())
    words = (home / "run", home / "parts", home / "run" / "out", settings_of())
    assert "lie in one another" in refusal_of(apply, *words, device="cpu")


def test_a_class_that_no_image_shows(tmp_path, capsys):
    parts = [replace(s, masks=np.pad(s.masks, ((0, 1), (0, 0), (0, 0)))) for s in make_parts()]
    write_scan(tmp_path / "parts", parts, (*CLASSES, "ghost"))
    setup = setup_of("tiny", None, {"steps": 1, "device": "cpu"})
    train_inpaint(tmp_path / "parts", tmp_path / "run", setup)
    assert "note: not learned, as no image shows it: ghost" in capsys.readouterr().err
    found = scan(read_dataset(tmp_path / "parts"))
    opened = open_run(tmp_path / "run", "cpu")
    assert tuple(prepare(opened, found, settings_of(masks="procedural")).recipe.kinds) == (0, 1)
    told = refusal_of(prepare, opened, found, settings_of(classes=("ghost",)))
    assert "not learned a class 'ghost'" in told


def test_nothing_marked(tmp_path):
    write_scan(tmp_path / "parts", [part("a", image=surface(1))])
    setup = setup_of("tiny", None, {"steps": 1, "device": "cpu"})
    told = refusal_of(train_inpaint, tmp_path / "parts", tmp_path / "run", setup)
    assert "no defect is marked" in told
    assert not (tmp_path / "run").exists()
