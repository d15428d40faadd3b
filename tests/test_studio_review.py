"""Review: decisions on the disk at once, through kills and two tabs; what is shown of each."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner

from flawsmith.cli import cli
from flawsmith.data import review
from flawsmith.data.formats import read_dataset
from flawsmith.errors import InputError
from flawsmith.studio import decisions
from flawsmith.studio.candidates import Candidates, reserved
from flawsmith.studio.decisions import Conflict, Decisions
from flawsmith.studio.opened import open_folder
from flawsmith.studio.paths import Roots
from flawsmith.studio.pictures import outlines
from tests.eye import eye  # noqa: F401
from tests.filter_helpers import CLASSES
from tests.studio_helpers import (
    choices,
    lines_of,
    make_candidates,
    make_real,
    review_client,
    run_filter,
)


@pytest.fixture
def made(tmp_path):
    return make_candidates(tmp_path / "made")


def decide(client, number, choice, was=None):
    return client.post("/api/decide", json={"number": number, "choice": choice, "was": was})


def test_a_decision_is_on_the_disk_when_it_is_confirmed(made, tmp_path):
    client = review_client(made, tmp_path / "cache")
    before = lines_of(made)
    assert decide(client, 2, "accepted").status_code == 200
    assert decide(client, 4, "rejected").status_code == 200
    assert choices(made) == [None, None, "accepted", None, "rejected", None]
    after = lines_of(made)
    for old, new in zip(before, after, strict=True):
        assert new["meta"].pop("review", None) is None or old["id"] in (
            "paste_000002", "paste_000004"
        )  # fmt: skip
        assert new == old
    assert decide(client, 2, None, "accepted").status_code == 200
    assert choices(made) == [None, None, None, None, "rejected", None]
    # Another visit finds them, and so does every other command.
    again = review_client(made, tmp_path / "cache").get("/api/candidates").json()
    assert again["choice"] == [None, None, None, None, "rejected", None]
    assert review.choice_of(read_dataset(made).records[4].meta) == "rejected"


def test_two_tabs_do_not_overwrite_each_other(made, tmp_path):
    client = review_client(made, tmp_path / "cache")
    table = client.get("/api/candidates").json()
    assert decide(client, 1, "accepted").status_code == 200
    assert decide(client, 3, "rejected").status_code == 200
    # The second tab still believes that candidate 1 is undecided.
    late = decide(client, 1, "rejected")
    assert late.status_code == 409
    assert late.json()["choice"] == "accepted"
    assert choices(made)[1] == "accepted"
    news = client.get(f"/api/changes/{table['change']}").json()
    assert news["choices"] == {"1": "accepted", "3": "rejected"}
    assert client.get(f"/api/changes/{news['change']}").json()["choices"] == {}


@pytest.mark.parametrize("what", ["line", "image", "mask"])
def test_nobody_decides_on_what_was_made_anew(made, tmp_path, what):
    client = review_client(made, tmp_path / "cache")
    assert decide(client, 1, "accepted").status_code == 200
    assert client.get("/c/1/look").status_code == 200
    if what == "line":
        lines = lines_of(made)
        lines[1]["meta"]["seed"] = "another"
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (made / "samples.jsonl").write_text(text)
    else:
        path = made / f"{what}s" / "paste_000001.png"
        path.write_bytes((made / f"{what}s" / "paste_000003.png").read_bytes())
        for call in ("tile.jpg", "crop.jpg", "look"):
            told = client.get(f"/c/1/{call}")
            assert told.status_code == 422
            assert "made anew" in told.json()["error"]
    refused = decide(client, 1, "rejected", "accepted")
    assert refused.status_code == 409
    assert "made anew" in refused.json()["error"]
    assert choices(made)[1] == "accepted"
    assert decide(client, 2, "rejected").status_code == 200


def test_a_change_during_the_table_is_told_again(made, monkeypatch):
    candidates = Candidates((made,), None, Roots([made]))
    actual = candidates.choice

    def choice(number):
        if number == 3 and not candidates.changes:
            candidates.decide(1, "accepted", None)
        return actual(number)

    monkeypatch.setattr(candidates, "choice", choice)
    table = candidates.table()
    assert table["choice"][1] is None
    assert candidates.since(table["change"])["choices"] == {"1": "accepted"}


def test_choices_stand_while_the_list_is_read_again(made, monkeypatch):
    own = Decisions(made / "samples.jsonl", Roots([made]))
    own.decide("paste_000000", "accepted", None)
    Decisions(made / "samples.jsonl", Roots([made])).decide("paste_000001", "rejected", None)
    actual, seen = decisions.choice_of, []

    def choice_of(meta):
        seen.append(own.choice("paste_000000"))
        return actual(meta)

    monkeypatch.setattr(decisions, "choice_of", choice_of)
    own.decide("paste_000002", "accepted", None)
    assert seen == ["accepted"] * 6


def test_lines_of_others_are_kept(made, tmp_path):
    """Another program changed the file since: its lines stay, its decisions count."""
    roots = Roots([made])
    own = Decisions(made / "samples.jsonl", roots)
    Decisions(made / "samples.jsonl", roots).decide("paste_000000", "rejected", None)
    own.decide("paste_000001", "accepted", None)
    assert choices(made)[:2] == ["rejected", "accepted"]
    with pytest.raises(Conflict) as conflict:
        own.decide("paste_000000", "accepted", None)
    assert conflict.value.choice == "rejected"
    with pytest.raises(InputError, match="no candidate"):
        own.decide("gone", "accepted", None)


# Decides, and kills itself before the file is written, half-way, or just after.
KILLED = """
import os, signal, sys
from pathlib import Path
from flawsmith.studio import decisions
from flawsmith.studio.paths import Roots

path, when = Path(sys.argv[1]), sys.argv[2]
actual = decisions.replace_file

def replace_file(target, content):
    if when == "within":
        target.with_name(target.name + ".new").write_bytes(content[: len(content) // 2])
    if when == "after":
        actual(target, content)
    os.kill(os.getpid(), signal.SIGKILL)

decisions.replace_file = replace_file
decisions.Decisions(path, Roots([path.parent])).decide("paste_000001", "rejected", None)
"""


@pytest.mark.parametrize("when", ["before", "within", "after"])
def test_killed_while_writing(made, when):
    """Old or new, never half: whatever the moment of a kill."""
    path = made / "samples.jsonl"
    Decisions(path, Roots([made])).decide("paste_000000", "accepted", None)
    words = [sys.executable, "-c", KILLED, path, when]
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert choices(made)[:2] == ["accepted", "rejected" if when == "after" else None]
    Decisions(path, Roots([made])).decide("paste_000002", "accepted", None)
    assert choices(made)[2] == "accepted"
    assert len(read_dataset(made)) == 6


def test_one_server_a_data_set(made):
    with reserved((made,)), pytest.raises(InputError, match="another studio"), reserved((made,)):
        pass
    with reserved((made,)):
        pass


def test_pictures_of_a_candidate(made, tmp_path):
    client = review_client(made, tmp_path / "cache", images=make_real(tmp_path / "real"))
    sample = read_dataset(made)[1]
    look = client.get("/c/1/look").json()
    assert look["id"] == "paste_000001"
    assert look["size"] == [200, 160]
    x, y, w, h = look["box"]
    rows, columns = np.nonzero(sample.union)
    assert x <= columns.min()
    assert columns.max() < x + w
    assert y <= rows.min()
    assert rows.max() < y + h
    assert [one["class"] for one in look["outlines"]] == ["disc"]
    for name in ("tile.jpg", "crop.jpg", "whole.jpg", "near.jpg"):
        found = client.get(f"/c/1/{name}")
        assert found.status_code == 200, found.text
        assert found.content.startswith(b"\xff\xd8")
    near = client.get("/c/1/near").json()
    assert near["class"] == "disc"
    assert near["id"].startswith("real-")
    assert near["distance"] >= 0


def test_the_nearest_real_crop_is_the_nearest(tmp_path):
    """A candidate that is a real part has itself for a neighbour, at no distance."""
    real = make_real(tmp_path / "real")
    client = review_client(real, tmp_path / "cache", images=real)
    ids = read_dataset(real).ids
    for number in (ids.index("real-0"), ids.index("real-3")):
        found = client.get(f"/c/{number}/near").json()
        assert found["distance"] == 0
        assert found["id"] == client.get(f"/c/{number}/look").json()["id"]
    assert client.get(f"/c/{ids.index('clean-0')}/near").json() is None


def test_small_pictures_are_made_once(made, tmp_path, monkeypatch):
    from flawsmith.studio import review as calls

    asked = []
    actual = calls.tile
    monkeypatch.setattr(calls, "tile", lambda sample: asked.append(sample.id) or actual(sample))
    first = review_client(made, tmp_path / "cache").get("/c/0/tile.jpg").content
    second = review_client(made, tmp_path / "cache").get("/c/0/tile.jpg").content
    assert first == second
    assert asked == ["paste_000000"]
    # A picture that was made anew is drawn anew.
    image = made / "images" / "paste_000000.png"
    os.utime(image, (time.time() + 5, time.time() + 5))
    review_client(made, tmp_path / "cache").get("/c/0/tile.jpg")
    assert len(asked) == 2


def test_outlines_follow_the_mask():
    masks = np.zeros((2, 20, 30), bool)
    masks[1, 5:10, 7:12] = True
    (found,) = outlines(masks, CLASSES)
    assert found["class"] == "disc"
    assert found["path"] == "M7.5,5.5 7.5,9.5 11.5,9.5 11.5,5.5Z"


def test_what_can_be_opened(made, tmp_path):
    real = make_real(tmp_path / "real", 12)
    assert open_folder(made).sets == (made,)
    words = ["augment", real, tmp_path / "pasted", "--method", "paste", "--count", 8]
    assert CliRunner().invoke(cli, [*map(str, words), "--workers", "1"]).exception is None
    out = tmp_path / "out"
    done = run_filter(tmp_path / "pasted", out, "--real", real)
    assert done.exception is None, done.exception
    opened = open_folder(out)
    assert opened.sets == (out / "accepted",)
    assert opened.verdicts == out / "samples.jsonl"
    judged = open_folder(tmp_path / "pasted", judged=out)
    table = Candidates(judged.sets, judged.verdicts, Roots([*judged.folders])).table()
    assert table["verdict"].count("accepted") == sum(e["accepted"] for e in lines_of(out)) > 0
    assert set(table["reasons"]) == {line["reason"] for line in lines_of(out)}
    assert all(table["of"])
    for bad in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError):
            open_folder(bad)
    refused = CliRunner().invoke(cli, ["studio", str(tmp_path), "--no-browser"])
    assert isinstance(refused.exception, InputError)
    assert "nothing to paint, review or see" in str(refused.exception)
