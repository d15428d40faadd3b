"""Masks of a trained run: whose they are, where they lie, what is no mask, the same bytes."""

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from flawsmith.augment.job import prepare
from flawsmith.augment.settings import AugmentSettings
from flawsmith.augment.shapes import Shape
from flawsmith.cli import cli
from flawsmith.data.clusters import clusters
from flawsmith.data.formats import read_dataset
from flawsmith.data.scan import components, scan
from flawsmith.errors import InputError
from flawsmith.gen.masks import CUT, EMPTY, one_defect, open_masks, scaled
from flawsmith.gen.pictures import FULL, graded
from flawsmith.gen.sampler import load_sampler
from flawsmith.gen.shapes import marked
from flawsmith.gen.training import train_on
from flawsmith.inpaint.training import setup_of, train_inpaint
from flawsmith.seeding import rng
from tests.augment_helpers import CLASSES, make_parts, write_scan
from tests.feature_helpers import one_thread  # noqa: F401
from tests.gen_run_helpers import setup
from tests.trees import tree_hash


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with ``parts``, a ``run`` of gen with their masks, and one without, ``bare``."""
    root = tmp_path_factory.mktemp("masks")
    found = write_scan(root / "parts", make_parts())
    for name, masks in (("run", True), ("bare", False)):
        chosen = setup(arch="dcgan", steps=3, batch=4, longest=32, with_masks=masks)
        train_on(found, root / name, chosen, {})
    return root


def augment(home, out, *words):
    told = ["augment", home / "parts", out, "--method", "procedural", "--count", 4, "--seed", 3]
    return CliRunner().invoke(cli, [*map(str, (*told, *words))])


def refusal_of(*words):
    done = augment(*words)
    assert isinstance(done.exception, InputError), (done.exception, done.output)
    assert "\n" not in str(done.exception)
    return str(done.exception)


def test_a_mask_is_the_samples_own(home):
    shapes = open_masks(home / "run", 4)
    sampler = load_sampler(home / "run", "cpu")
    assert (shapes.classes, shapes.planes, shapes.digest) == (CLASSES, (0, 1), sampler.digest)
    frame = (sampler.shape.height, sampler.shape.width)
    assert frame == (24, 32)
    drawn = 0
    for i in range(6):
        shape = shapes.draw(rng(i, "test"), 1, frame)
        again = shapes.draw(rng(i, "test"), 1, frame)
        if isinstance(shape, str):
            assert shape == again
            continue
        drawn += 1
        assert np.array_equal(shape.mask, again.mask)
        start, _, index = shape.origin.rpartition(" ")
        assert start == f"gan {sampler.digest} seed 4 index"
        (sample,) = sampler.sample(1, 4, start=int(index))
        large = [c for c in components(sample.masks[1:]) if c.area >= 4]
        boxes = [(c.x, c.y, c.width, c.height) for c in large]
        views = [sample.masks[1, y : y + h, x : x + w] for (x, y, w, h), _ in clusters(boxes, 12)]
        assert any(np.array_equal(view, shape.mask) for view in views)
    assert drawn


def plane(*boxes, shape=(20, 40)):
    """Return a mask with filled boxes x0, y0, x1, y1."""
    mask = np.zeros(shape, bool)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = True
    return mask


def test_one_defect_of_several_where_it_was():
    both = plane((4, 5, 8, 9), (30, 10, 33, 16), (20, 3, 21, 5))  # the third is too small
    seen = set()
    for i in range(12):
        mask, wish = one_defect(rng(i, "test"), both, (20, 40), windows=False)
        assert mask.all()
        seen.add((mask.shape, wish.centre, wish.touches))
    assert seen == {
        ((4, 4), (6 / 40, 7 / 20), frozenset()), ((6, 3), (31.5 / 40, 13 / 20), frozenset())
    }  # fmt: skip
    # Twice as large where the pictures are, and as far along.
    mask, wish = one_defect(rng(0, "test"), plane((4, 5, 8, 9)), (40, 80), windows=False)
    assert 7 <= min(mask.shape) <= max(mask.shape) <= 8
    assert wish.centre == pytest.approx((6 / 40, 7 / 20), abs=0.01)
    # Windows are of full size and say nothing of the place.
    mask, wish = one_defect(rng(0, "test"), plane((4, 5, 8, 9)), (400, 80), windows=True)
    assert (mask.shape, wish.centre) == ((4, 4), None)


def test_what_an_edge_cuts_is_no_shape():
    edge = plane((0, 5, 6, 9))
    # The picture's own edge: there it lies again.
    _, wish = one_defect(rng(0, "test"), edge, (20, 40), windows=False)
    assert wish.touches == {"left"}
    assert one_defect(rng(0, "test"), edge, (20, 40), windows=True) == CUT
    # Pictures of 20x80 were cut to 20x40 in the middle: left and right are cuts, top is not.
    assert one_defect(rng(0, "test"), edge, (20, 80), windows=False) == CUT
    top = plane((10, 0, 14, 4))
    _, wish = one_defect(rng(0, "test"), top, (20, 80), windows=False)
    assert wish.touches == {"top"}
    assert wish.centre == ((12 + 20) / 80, 2 / 20)
    # A side that rounding made a little shorter is no cut: 256 lines became 10, of 25 each.
    _, wish = one_defect(rng(0, "test"), plane((3, 0, 9, 4), shape=(10, 64)), (256, 1600),
                         windows=False)  # fmt: skip
    assert wish.touches == {"top"}
    assert one_defect(rng(0, "test"), plane(), (20, 40), windows=False) == EMPTY


def test_thin_lines_survive_shrinking():
    line = plane((3, 11, 37, 12))
    assert scaled(line, 0.5).sum(axis=1).max() >= 16
    assert np.array_equal(scaled(line, 1.0), line)


def test_the_same_bytes_with_two_workers_and_their_origin(home, tmp_path):
    words = ("--masks", "gan", "--masks-run", home / "run")
    for workers in (1, 2):
        done = augment(home, tmp_path / str(workers), *words, "--workers", workers)
        assert done.exception is None, done.exception
    assert tree_hash(tmp_path / "1") == tree_hash(tmp_path / "2")
    found = read_dataset(tmp_path / "1")
    assert found.classes == CLASSES
    digest = load_sampler(home / "run", "cpu").digest
    assert len(found)
    for sample in found:
        assert sample.meta["mask_source"] == "gan"
        assert all(d["mask"].startswith(f"gan {digest} seed 3 ") for d in sample.meta["defects"])
    made_by = json.loads((tmp_path / "1" / "dataset.json").read_text())["made_by"]
    assert made_by["settings"]["files"] == {"masks_run": digest}


@dataclass(frozen=True)
class Stub:
    """Masks of known classes: every second draw gives none."""

    classes: tuple[str, ...] = CLASSES
    digest: str = "0" * 64
    planes: tuple[int, ...] = (0,)

    def draw(self, generator, plane, frame):
        return EMPTY if generator.random() < 0.5 else Shape(np.ones((5, 5), bool), "gan stub")


def chosen(home, **more):
    masks = {"masks": "gan", "masks_run": home / "run"}
    return AugmentSettings(method="paste", count=6, **masks, **more)


def test_empty_masks_are_skipped_and_counted(home):
    recipe = prepare(scan(read_dataset(home / "parts")), chosen(home), 1, Stub()).recipe
    made = [recipe.make(i) for i in range(6)]
    assert sum(sample.meta["redrawn"].get(EMPTY, 0) for sample in made) > 2
    for sample in made:
        assert all(defect["mask"] == "gan stub" for defect in sample.meta["defects"])
        assert sample.masks[0].any()
        assert not sample.masks[1].any()


def test_what_cannot_be_used_is_one_line(home, tmp_path):
    out, words = tmp_path / "out", ("--masks", "gan", "--masks-run")
    together = "masks=gan and masks_run belong together"
    assert together in refusal_of(home, out, "--masks", "gan")
    assert together in refusal_of(home, out, "--masks-run", home / "run")
    assert "makes pictures without masks" in refusal_of(home, out, *words, home / "bare")
    assert "no trained weights here" in refusal_of(home, out, *words, home / "parts")
    assert "would lie inside" in refusal_of(home, home / "run" / "out", *words, home / "run")
    assert "no mask of the class 'dent'" in refusal_of(
        home, out, *words, home / "run", "--classes", "dent"
    )
    foreign = replace(Stub(), classes=("pit", "dent"))
    with pytest.raises(InputError, match="its masks are of dent, which the images do not have"):
        prepare(scan(read_dataset(home / "parts")), chosen(home), 1, foreign)
    assert not out.exists()


def test_inpainting_under_such_masks(home, tmp_path):
    painter = setup_of("tiny", None, {"steps": 1, "device": "cpu"})
    train_inpaint(home / "parts", tmp_path / "painter", painter)

    def apply(run, *words):
        told = ["inpaint", "apply", tmp_path / "painter", home / "parts", tmp_path / "out"]
        told += ["--count", 3, "--device", "cpu", "--workers", 1, "--masks", "gan"]
        return CliRunner().invoke(cli, [*map(str, (*told, "--masks-run", run, *words))])

    done = apply(home / "run")
    assert done.exception is None, done.exception
    found = read_dataset(tmp_path / "out")
    assert len(found)
    digest = load_sampler(home / "run", "cpu").digest
    for sample in found:
        assert sample.meta["mask_source"] == "gan"
        assert all(digest in defect["mask"] for defect in sample.meta["defects"])
    # A run that learned other classes.
    dents = [
        replace(sample, masks=sample.masks[:1]) for sample in make_parts() if "st" not in sample.id
    ]
    other = write_scan(tmp_path / "dents", dents, ("dent",))
    train_on(other, tmp_path / "other", setup(arch="dcgan", steps=1, batch=4, with_masks=True), {})
    told = str(apply(tmp_path / "other", "--overwrite").exception)
    assert "masks of dent, which the run does not paint (mend: masks of a run that learned" in told


def test_planes_grade_the_distance_to_a_mask_s_edge():
    masks = np.zeros((4, 64, 48), bool)
    masks[0, 8:24, 10:30] = True
    masks[1, 5, 7] = True  # of one pixel, it is still marked
    masks[2] = True
    planes = graded(masks) / 127.5 - 1
    assert ((planes > 0) == masks).all()
    # The reach is a sixteenth of the shorter side: 3 pixels; an edge lies between two pixels.
    steps = [-FULL, -FULL, -FULL * 2.5 / 3, -FULL * 1.5 / 3, -FULL * 0.5 / 3]
    row = [*steps, *[-value for value in reversed(steps)]]
    assert planes[0, 16, 5:15] == pytest.approx(row, abs=1 / 127)
    assert planes[1, 5, 7] == pytest.approx(FULL * 0.5 / 3, abs=1 / 127)
    assert planes[2] == pytest.approx(FULL, abs=1 / 127)
    assert planes[3] == pytest.approx(-FULL, abs=1 / 127)


@pytest.mark.parametrize("side", [8, 400, 4096])
def test_a_graded_edge_keeps_its_side_in_any_size(side):
    mask = np.zeros((1, side, 16), bool)
    mask[:, : side // 2] = True
    assert ((graded(mask) > 127) == mask).all()


def test_a_plane_marks_where_nine_pixels_say_so():
    plane = torch.full((1, 1, 6, 7), -0.5)
    plane[0, 0, 1:4, 2:5] = 0.9
    plane[0, 0, 5, 6] = 0.9  # at the rim a corner counts four times
    plane[0, 0, 5, 0] = 0.3
    wanted = np.zeros((6, 7), bool)
    # Four of nine at 0.9 outweigh five at -0.5, three do not outweigh six.
    wanted[1:4, 2:5] = True
    wanted[5, 6] = True
    assert (marked(plane)[0, 0].numpy() == wanted).all()
    assert marked(torch.zeros(2, 0, 4, 4)).shape == (2, 0, 4, 4)
