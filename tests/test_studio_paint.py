"""Painting on the page: inside the hole only, saved as inpaint apply does, with a certificate."""

import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from flawsmith.data.formats import read_dataset
from flawsmith.data.images import encode_png
from flawsmith.data.scan import scan
from flawsmith.errors import InputError
from flawsmith.evaluate.certificate import certify
from flawsmith.inpaint.hole import hole_of
from flawsmith.studio import opened as opened_names
from flawsmith.studio import paint
from flawsmith.studio.opened import open_folder
from flawsmith.studio.painting import Studio
from flawsmith.studio.runs import DrawnMask, packed, unpacked
from flawsmith.studio.saving import Growing
from tests.inpaint_run_helpers import SHAPE, texture
from tests.studio_helpers import TOKEN, app_of, client_of, make_run, running, spoken


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("trained"), steps=10)


@pytest.fixture
def client(trained, tmp_path) -> TestClient:
    run, source = trained
    opened = open_folder(run, images=source, save=tmp_path / "painted")
    return client_of(opened, tmp_path / "cache")


def disc(x, y, radius, value=1):
    """Return a mask as the page sends it, and (H, W) bool."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    plane = np.hypot(rows - y, columns - x) <= radius
    runs = [n * value if i % 2 == 0 else n for i, n in enumerate(packed(plane))]
    return {"box": [0, 0, SHAPE[1], SHAPE[0]], "runs": runs}, plane


def order(client, **changes):
    name = client.get("/api/paint/pictures").json()["ids"][0]
    return {"picture": name, "mask": disc(36, 28, 6)[0], "seed": 7, "strength": 1.0, **changes}


def painted(client, asked):
    """Return the picture before and after, as the page puts it together, and the box."""
    answer = client.post("/api/paint", json=asked)
    assert answer.status_code == 200, answer.text
    before = decoded(client.get(f"/p/{asked['picture']}/picture").content)
    x, y, w, h = map(int, answer.headers["x-box"].split(","))
    after = before.copy()
    after[y : y + h, x : x + w] = decoded(answer.content)
    return before, after, answer.headers["x-fault"]


def decoded(content):
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize("place", [(36, 28, 6), (1, 1, 5), (70, 54, 8), (36, 28, 0)])
def test_only_the_hole_changes(client, place):
    mask, plane = disc(*place)
    before, after, _ = painted(client, order(client, mask=mask, strength=2.0))
    grow = client.get("/api/paint/about").json()["grow"]
    changed = before != after
    assert changed.any()
    assert not (changed & ~hole_of(plane, grow)).any()


def test_the_seed_decides_and_strength_scales(client):
    def result(**changes):
        return painted(client, order(client, **changes))[1]

    assert np.array_equal(result(), result())
    assert not np.array_equal(result(), result(seed=8))
    before, after, fault = painted(client, order(client, strength=0.0))
    assert np.array_equal(before, after)
    assert fault == "change not visible"


def test_a_saved_pair_is_as_apply_writes_it(client, trained, tmp_path):
    asked = order(client, mask=disc(36, 28, 5, value=2)[0], strength=1.5)
    _, seen, fault = painted(client, asked)
    assert fault == ""
    assert client.post("/api/save", json=asked).json() == {"id": "studio_000000", "saved": 1}
    again = order(client, mask=disc(20, 20, 5, value=2)[0], strength=1.5, seed=9)
    bank = client.get("/api/paint/bank").json()
    assert {one["class"] for one in bank} == {1, 2}
    again["origins"] = {"disc": [bank[-1]["id"]]}
    assert client.post("/api/save", json=again).json()["id"] == "studio_000001"
    made = scan(read_dataset(tmp_path / "painted"))
    assert made.dataset.notices == ("read as folder: dataset.json",)
    assert made.dataset.classes == ("square", "disc")
    first, second = made.dataset
    # What was seen is what was saved, and nobody else's pixels.
    assert np.array_equal(first.image, seen)
    assert first.masks[1].sum() == disc(36, 28, 5)[1].sum()
    assert not first.masks[0].any()
    for verdict in certify(made.dataset, scan(read_dataset(trained[1])), 1, ""):
        assert verdict.accepted, verdict.reason
    assert first.meta["method"] == "inpaint"
    assert first.meta["background"] == asked["picture"]
    assert first.meta["seed"] == 7
    assert first.meta["defects"] == [{"class": "disc", "mask": "drawn", "strength": "1.500"}]
    assert second.meta["defects"][0]["mask"] == f"drawn+{bank[-1]['id']}"
    assert len(first.meta["weights"]) == 64
    content = json.loads((tmp_path / "painted" / "dataset.json").read_text())
    assert (content["samples"], content["labels"]["defective"]) == (2, 2)
    # The next visit goes on with the numbers.
    opened = open_folder(trained[0], images=trained[1], save=tmp_path / "painted")
    later = client_of(opened, tmp_path / "cache")
    assert later.post("/api/save", json=again).json() == {"id": "studio_000002", "saved": 3}


def test_what_a_filter_would_reject_is_not_saved(client, tmp_path):
    for changes, why in (
        ({"strength": 0.0}, "change not visible"),
        ({"mask": disc(36, 28, 0)[0], "strength": 3.0}, "mask area outside of the real range"),
    ):
        refused = client.post("/api/save", json=order(client, **changes))
        assert refused.status_code == 422
        assert why in refused.json()["error"]
    assert not (tmp_path / "painted" / "samples.jsonl").exists()


def test_a_dropped_picture_is_kept_with_its_pair(client, tmp_path):
    image = texture(99)
    name = client.post("/api/drop", content=encode_png(image)).json()["id"]
    assert client.get("/api/paint/pictures").json()["ids"][0] == name
    asked = order(client, picture=name, mask=disc(36, 28, 5, value=2)[0], strength=1.5)
    before, _, _ = painted(client, asked)
    assert np.array_equal(before, image)
    for _ in range(2):
        assert client.post("/api/save", json=asked).status_code == 200
    kept = scan(read_dataset(tmp_path / "painted-backgrounds"))
    assert kept.dataset.ids == (name,)
    assert kept.facts[0].label == "good"
    assert np.array_equal(kept.dataset[0].image, image)
    for verdict in certify(read_dataset(tmp_path / "painted"), kept, 1, ""):
        assert verdict.accepted, verdict.reason


def test_bad_orders_are_said_in_a_line(client):
    good = order(client)
    w, h = SHAPE[1], SHAPE[0]
    masks = [
        ({"box": [0, 0, w + 1, h], "runs": [1, (w + 1) * h]}, "leaves the picture"),
        ({"box": [-1, 0, 5, 5], "runs": [1, 25]}, "leaves the picture"),
        ({"box": [0, 0, 5, 5], "runs": [1, 24]}, "do not fill"),
        ({"box": [0, 0, 5, 5], "runs": [1, 24, 1]}, "do not fill"),
        ({"box": [0, 0, 5, 5], "runs": [1, 30, 1, -5]}, "do not fill"),
        ({"box": [0, 0, 5, 5], "runs": [3, 25]}, "not among 2"),
        ({"box": [0, 0, 5, 5], "runs": [-1, 25]}, "not among 2"),
        ({"box": [0, 0, 5, 5], "runs": [1, 1 << 62, 1, 1 << 62]}, "do not fill"),
        ({"box": [0, 0, 5, 5], "runs": [0, 25]}, "nothing is drawn"),
    ]
    for mask, why in masks:
        refused = client.post("/api/paint", json={**good, "mask": mask})
        assert refused.status_code == 422
        assert why in refused.json()["error"]
    for changes in ({"seed": -1}, {"seed": 1 << 32}, {"strength": 5.0}, {"picture": None}):
        assert client.post("/api/paint", json={**good, **changes}).status_code == 400
    unknown = {**good, "picture": "../../etc/passwd"}
    assert client.post("/api/paint", json=unknown).status_code == 422
    foreign = {**good, "mask": disc(36, 28, 5, 2)[0], "origins": {"disc": ["nobody's"]}}
    assert client.post("/api/save", json={**foreign, "strength": 1.5}).status_code == 422


def test_two_are_painted_at_a_time_and_the_rest_waits(trained, tmp_path, monkeypatch):
    run, source = trained
    opened = open_folder(run, images=source, save=tmp_path / "painted")
    at_work, most, go_on = [], [], threading.Event()
    actual = Studio.paint

    def slow(self, background, asked):
        at_work.append(asked.seed)
        most.append(len(at_work))
        assert go_on.wait(60)
        at_work.remove(asked.seed)
        return actual(self, background, asked)

    monkeypatch.setattr(Studio, "paint", slow)
    monkeypatch.setattr(paint, "WAITING", 5)
    with running(app_of(opened, tmp_path / "cache")) as port:
        told = spoken(port, f"GET /{TOKEN}/api/paint/pictures HTTP/1.1")
        name = json.loads(told.split(b"\r\n\r\n", 1)[1])["ids"][0]

        def asked(seed):
            body = {"picture": name, "mask": disc(36, 28, 6)[0], "seed": seed, "strength": 1.0}
            content = json.dumps(body).encode()
            head = (f"POST /{TOKEN}/api/paint HTTP/1.1", f"Content-Length: {len(content)}")
            return spoken(port, *head, body=content).split(b" ")[1]

        with ThreadPoolExecutor(10) as pool:
            answers = as_completed([pool.submit(asked, seed) for seed in range(10)])
            # Two at work, five in the queue; the others hear at once that it is busy.
            assert [next(answers).result() for _ in range(3)] == [b"503"] * 3
            assert spoken(port, f"GET /{TOKEN}/api/about HTTP/1.1").startswith(b"HTTP/1.1 200")
            go_on.set()
            assert [answer.result() for answer in answers] == [b"200"] * 7
    assert len(most) == 7
    assert max(most) == 2


def test_masks_survive_the_way():
    generator = np.random.default_rng(3)
    for _ in range(20):
        plane = generator.random((9, 13)) < 0.3
        if plane.any():
            mask = DrawnMask(box=(2, 3, 13, 9), runs=packed(plane))
            found = unpacked(mask, (20, 20), 1).within((0, 0, 20, 20))
            assert np.array_equal(found[0, 3:12, 2:15], plane)
            assert found.sum() == plane.sum()


def test_nothing_is_written_where_others_files_lie(tmp_path):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="holds no data set"):
        Growing(foreign, ("a",)).check()
    linked = tmp_path / "linked"
    linked.symlink_to(foreign)
    with pytest.raises(InputError, match="a link"):
        Growing(linked, ("a",)).check()
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "images").symlink_to(foreign)
    with pytest.raises(InputError, match="a link"):
        Growing(inner, ("a",)).check()


def test_without_clean_pictures_regions_are_offered(trained, tmp_path):
    run, source = trained
    marked = tmp_path / "marked"
    for name in ("images", "masks"):
        (marked / name).mkdir(parents=True)
        for i in range(4):
            (marked / name / f"{i:03d}.png").write_bytes(
                (source / name / f"{i:03d}.png").read_bytes()
            )
    (marked / "classes.txt").write_text((source / "classes.txt").read_text())
    opened = open_folder(run, images=marked, save=tmp_path / "painted")
    client = client_of(opened, tmp_path / "cache")
    told = client.get("/api/paint/pictures").json()
    assert "no clean image" in told["notices"][0]
    name = told["ids"][0]
    size = decoded(client.get(f"/p/{name}/picture").content).shape
    mask = {"box": [size[1] // 2 - 4, size[0] // 2 - 4, 8, 8], "runs": [2, 64]}
    asked = {"picture": name, "mask": mask, "seed": 1, "strength": 1.5}
    assert client.post("/api/save", json=asked).status_code == 200, client.post(
        "/api/save", json=asked
    ).text
    (verdict,) = certify(read_dataset(tmp_path / "painted"), scan(read_dataset(marked)), 1, "")
    assert verdict.accepted, verdict.reason


def test_report_and_curves_run_no_script(trained, tmp_path):
    run, _ = trained
    (run / "previews").mkdir(exist_ok=True)
    (run / "previews" / "000010.png").write_bytes(encode_png(texture(1)))
    client = client_of(open_folder(run, save=tmp_path / "painted"), tmp_path / "cache")
    told = client.get("/api/see").json()
    assert told["curves"]
    assert not told["report"]
    page = client.get("/see/curves")
    assert page.status_code == 200
    assert "<svg" in page.text
    assert page.headers["content-security-policy"].startswith("sandbox")
    assert "script" not in page.headers["content-security-policy"]
    assert client.get("/see/report").status_code == 422
    for missing in ("0/12345", "9/1"):
        assert client.get(f"/see/previews/{missing}.jpg").status_code == 422
    (own,) = told["previews"]
    assert (own["run"], own["name"]) == (0, "inpaint")
    assert 10 in own["steps"]
    for step in own["steps"]:
        assert client.get(f"/see/previews/0/{step}.jpg").content.startswith(b"\xff\xd8")


def test_a_run_of_whole_parts_is_seen_and_not_painted_with(tmp_path):
    from flawsmith.gen.task import GenTask

    assert GenTask.kind == opened_names.WHOLE
    run = tmp_path / "run"
    (run / "previews").mkdir(parents=True)
    (run / "config.json").write_text(json.dumps({"format": 1, "job": {"kind": "gen"}}))
    (run / "model.safetensors").write_bytes(b"")
    (run / "metrics.jsonl").write_text('{"step": 1, "losses": {"d": 0.5}}\n')
    (run / "previews" / "000001.png").write_bytes(encode_png(texture(1)))
    opened = open_folder(run)
    assert opened.run is None
    client = client_of(opened, tmp_path / "cache")
    about = client.get("/api/about").json()
    assert (about["paint"], about["see"]) == (False, True)
    assert client.get("/api/see").json()["previews"][0]["steps"] == [1]
    assert "clean images" in client.get("/see/curves").text


def test_names_are_those_of_their_writers():
    from flawsmith.evaluate.filtering import output
    from flawsmith.pipeline import surfaces
    from flawsmith.pipeline.stages import MARK
    from flawsmith.train import runs

    assert opened_names.MARK == MARK
    assert surfaces.CLEAN == opened_names.WHOLE
    for name in ("ACCEPTED", "CANDIDATES", "RESULT"):
        assert getattr(opened_names, name) == getattr(output, name)
    for name in ("CONFIG", "WEIGHTS", "PREVIEWS"):
        assert getattr(opened_names, name) == getattr(runs, name)


def test_a_review_needs_no_torch():
    code = (
        "import sys; import flawsmith.studio.app, flawsmith.studio.opened, flawsmith.studio.server;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
