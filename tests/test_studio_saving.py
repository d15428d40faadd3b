"""Saved pairs: through no link, into no other's data set, whole after kills, beside decisions."""

import json
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from flawsmith.data.formats import read_dataset
from flawsmith.data.review import choice_of
from flawsmith.errors import InputError
from flawsmith.sample import Sample
from flawsmith.studio.candidates import reserved
from flawsmith.studio.decisions import Decisions
from flawsmith.studio.locking import WRITING, writing
from flawsmith.studio.paths import Roots
from flawsmith.studio.saving import Growing
from flawsmith.train.files import replace_file
from tests.studio_helpers import make_candidates

MINE = "mine"


def pair(seed=0):
    image = np.random.default_rng(seed).integers(0, 255, (20, 30), np.uint8)
    masks = np.zeros((1, 20, 30), bool)
    masks[0, 5:9, 5:9] = True
    return Sample("studio", image, masks, "defective", "part")


@pytest.fixture
def growing(tmp_path):
    own = Growing(tmp_path / "painted", ("scratch",))
    own.add(pair, "studio")
    return own


@pytest.fixture
def victim(tmp_path):
    path = tmp_path / "victim"
    path.write_text(MINE)
    return path


def test_a_file_is_replaced_and_never_what_a_link_leads_to(tmp_path, victim):
    (tmp_path / "list.new").symlink_to(victim)
    replace_file(tmp_path / "list", b"new")
    assert victim.read_text() == MINE
    assert (tmp_path / "list").read_bytes() == b"new"
    assert not (tmp_path / "list").is_symlink()


def test_a_decision_is_not_written_through_a_link(tmp_path, victim):
    made = make_candidates(tmp_path / "made", 2)
    (made / "samples.jsonl.new").symlink_to(victim)
    Decisions(made / "samples.jsonl", Roots([made])).decide("paste_000000", "accepted", None)
    assert victim.read_text() == MINE


@pytest.mark.parametrize("name", ["images/studio_000001.png", "masks/studio_000001.png"])
@pytest.mark.parametrize("dangling", [True, False])
def test_a_pair_is_not_saved_through_a_link(growing, victim, name, dangling):
    if dangling:
        victim.unlink()
    (growing.root / name).symlink_to(victim)
    (growing.root / "images" / "studio_000002.png.new").symlink_to(victim)
    assert growing.add(pair, "studio") == ("studio_000002", 2)
    assert victim.exists() != dangling
    assert dangling or victim.read_text() == MINE


def test_no_lock_is_a_link(growing, victim, tmp_path):
    (growing.root / WRITING).unlink(missing_ok=True)
    (growing.root / WRITING).symlink_to(victim)
    with pytest.raises(InputError, match="a link"):
        growing.add(pair, "studio")
    (growing.root / ".review.lock").symlink_to(victim)
    with pytest.raises(InputError, match="a link"), reserved((growing.root,)):
        pass
    assert victim.read_text() == MINE


def test_only_a_set_of_the_studio_grows(tmp_path, growing):
    growing.check()
    made = make_candidates(tmp_path / "made", 2)
    before = {p: p.read_bytes() for p in made.rglob("*") if p.is_file()}
    other = Growing(made, read_dataset(made).classes)
    for call in (other.check, lambda: other.add(pair, "studio")):
        with pytest.raises(InputError, match="the studio did not begin"):
            call()
    assert {p: p.read_bytes() for p in made.rglob("*") if p.is_file()} == before


def test_a_decision_while_a_pair_is_painted_is_kept(growing):
    decisions = Decisions(growing.root / "samples.jsonl", Roots([growing.root]))

    def make():
        decisions.decide("studio_000000", "accepted", None)
        return pair(1)

    assert growing.add(make, "studio") == ("studio_000001", 2)
    first, second = read_dataset(growing.root).records
    assert choice_of(first.meta) == "accepted"
    assert choice_of(second.meta) is None


def test_who_decides_waits_for_who_saves(growing):
    decisions = Decisions(growing.root / "samples.jsonl", Roots([growing.root]))
    words = ("studio_000000", "rejected", None)
    decide = threading.Thread(target=decisions.decide, args=words)
    with writing(growing.root):
        decide.start()
        decide.join(0.3)
        assert decide.is_alive()
        assert choice_of(read_dataset(growing.root).records[0].meta) is None
    decide.join(20)
    assert choice_of(read_dataset(growing.root).records[0].meta) == "rejected"


# Saves a pair, and kills itself before, within or after the file of that number is replaced.
KILLED = """
import os, signal, sys
from pathlib import Path
from flawsmith.studio import saving
import numpy as np
from flawsmith.sample import Sample

image, masks = np.full((20, 30), 7, np.uint8), np.ones((1, 20, 30), bool)
pair = lambda: Sample("studio", image, masks, "defective", "part")
root, last, when = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
actual, count = saving.replace_file, 0

def replace_file(target, content):
    global count
    if count == last:
        if when == "within":
            target.with_name(target.name + ".new").write_bytes(content[: len(content) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    count += 1
    actual(target, content)

saving.replace_file = replace_file
saving.Growing(root, ("scratch",)).add(pair, "studio")
"""


STOPS = [(0, "within"), (1, "before"), (2, "within"), (4, "before"), (6, "within"), (7, "before")]


@pytest.mark.parametrize(("last", "when"), STOPS)
def test_killed_within_the_first_save(tmp_path, last, when):
    root = tmp_path / "painted"
    words = [sys.executable, "-c", KILLED, root, last, when]
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    own = Growing(root, ("scratch",))
    own.check()
    saved = own.count()
    assert saved == (last == 7)
    own.add(pair, "studio")
    found = read_dataset(root)
    assert len(found) == saved + 1
    assert all(sample.masks.any() for sample in found)
    assert json.loads((root / "dataset.json").read_text())["samples"] == saved + 1
    assert not os.path.lexists(root / "samples.jsonl.new")
