"""``flawsmith run --methods ...,inpaint``: trained on the training part, resumed, one line each."""

import json

import pytest

from flawsmith.data.formats import read_dataset
from flawsmith.data.surfaces import cut
from flawsmith.data.visibility import distance_outside
from tests.augment_helpers import make_parts, part, surface, write_scan
from tests.run_helpers import assert_sound, kept_in, make_source, refusal_of, result_of, run

FLAGS = ("--count", 8, "--seed", 4, "--methods", "paste,inpaint", "--features", "none")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_source(tmp_path_factory.mktemp("run") / "parts")


@pytest.fixture
def config(tmp_path):
    def write(steps=6, **apply):
        path = tmp_path / "run.yaml"
        settings = {"preset": "tiny", "train": {"steps": steps, "device": "cpu"}, "apply": apply}
        path.write_text(json.dumps({"inpaint": settings}))
        return ("--config", path)

    return write


def test_painted_candidates_are_judged_like_the_others(source, tmp_path, config):
    out = tmp_path / "out"
    result = result_of(source, out, *FLAGS, *config())
    counts = result["methods"]["inpaint"]
    assert counts["asked"] == 8
    made = counts["accepted"] + sum(counts["rejected"].values())
    assert made + sum(counts["refused"].values()) == 8
    train = read_dataset(out / "dataset" / "train")
    backgrounds = {sample.id: sample for sample in train}
    for sample in read_dataset(out / "stages" / "candidates-inpaint" / "data"):
        assert sample.meta["method"] == "inpaint"
        assert sample.meta["background"] in backgrounds
        same = sample.image == backgrounds[sample.meta["background"]].image
        outside = distance_outside(sample.union) > sample.meta["hole_px"]
        assert outside.any()
        assert same[outside].all()
    assert "inpaint" in (out / "report.html").read_text("utf-8")
    # Again: nothing is repeated; with other painting only that is.
    words = (source, out, *FLAGS)
    assert {"inpaint", "candidates-inpaint"} <= kept_in(run(*words, *config()).stderr.splitlines())
    again = kept_in(run(*words, *config(strength=[1.5, 1.5])).stderr.splitlines())
    assert "inpaint" in again
    assert "candidates-inpaint" not in again
    assert "candidates-paste" in again


def test_wrong_settings_are_one_line_before_any_work(source, tmp_path, config):
    out = tmp_path / "out"
    assert "strength" in refusal_of(source, out, *FLAGS, *config(strength=[3, 1]))
    path = tmp_path / "bad.yaml"
    path.write_text(json.dumps({"inpaint": {"train": {"generators": "unet"}}}))
    assert "no such setting: generators" in refusal_of(source, out, *FLAGS, "--config", path)
    assert not out.exists()


def test_without_clean_images_regions_are_painted_on(tmp_path, config):
    worn = make_parts(clean=0) + [
        part(f"more-{i}", [(i % 2, (8, 6 + i, 14, 12 + i))], image=surface(50 + i))
        for i in range(4)
    ]
    source = write_scan(tmp_path / "parts", worn).dataset.root
    out = tmp_path / "out"
    done = run(source, out, *FLAGS, *config())
    assert done.exception is None, done.exception
    assert "left out" not in done.stderr
    sets = assert_sound(out / "dataset")
    count = len(sets["train"])
    told = f"no clean image: {count} defect-free regions of {count} defective images are painted on"
    assert f"note: {told}" in done.stderr  # the training says so
    assert f"inpaint: {told}" in (out / "report.html").read_text("utf-8")
    real = {sample.id: sample for sample in sets["train"]}
    made = read_dataset(out / "stages" / "candidates-inpaint" / "data")
    assert len(made) >= 6
    for sample in made:
        piece = cut(real[sample.meta["background"]], tuple(sample.meta["region"]))
        outside = distance_outside(sample.union) > sample.meta["hole_px"]
        assert (sample.image[outside] == piece.image[outside]).all()
    # Crops larger than any region can serve: that is said before anything is trained.
    path = tmp_path / "large.yaml"
    path.write_text(json.dumps({"inpaint": {"preset": "tiny", "train": {"size": 256}}}))
    told = refusal_of(source, tmp_path / "b", *FLAGS, "--config", path, "--methods", "inpaint")
    assert "inpaint left out: no clean image, and no defect-free region" in told
