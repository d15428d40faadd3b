"""Sources for ``flawsmith run``, ways to call it, and what must hold of what it leaves."""

import hashlib
import json
import re
import sys

from click.testing import CliRunner

from flawsmith.cli import cli
from flawsmith.data.formats import read_dataset
from flawsmith.errors import InputError
from tests.augment_helpers import part, surface, write_scan
from tests.trees import tree_hash

# Neither planned, nor filtered, nor measured: quick.
PLAIN = ("--budget", "none", "--no-filter", "--no-gate")
STAGES = ("read", "split", "candidates-classical", "candidates-paste", "certificate", "dataset")
FLAGS = ("--count", 8, "--seed", 4, *PLAIN)
# In a report, what the run cost: the one thing that two alike runs differ in.
TIMED = re.compile(r"^costs\.json$|/times\.json$|/metrics\.jsonl$|/tensorboard/")
COST = re.compile(r"<h3>Cost</h3>.*?</table>", re.DOTALL)


def make_source(root, each=5):
    """Write 9 clean parts and so many of each class; two photos of a part share its group."""
    samples = [part(f"clean-{i}", image=surface(i)) for i in range(9)]
    for i in range(each):
        pit, streak = (0, (12 + i, 9, 19 + i, 15)), (1, (30, 30 + i, 46, 33 + i))
        samples.append(part(f"pit-{i}", [pit], image=surface(20 + i)))
        samples.append(part(f"streak-{i}", [streak], image=surface(30 + i)))
    for number, sample in enumerate(samples):
        object.__setattr__(sample, "group", f"part-{number // 2}")
    return write_scan(root, samples).dataset.root


def run(*words, workers=1, plain=True):
    words = (*words, *(PLAIN if plain else ()))
    return CliRunner().invoke(cli, ["run", *map(str, words), "--workers", str(workers)])


def result_of(*words, workers=1, plain=True):
    done = run(*words, "--json", workers=workers, plain=plain)
    assert done.exception is None, (done.exception, done.stderr)
    return json.loads(done.stdout)


def figures_of(out, part=""):
    """Return the digest of each file of a run, or of a part, without the time that it took."""
    found = {k: v for k, v in tree_hash(out).items() if not TIMED.search(k) and k.startswith(part)}
    if part:
        return found
    page = COST.sub("", (out / "report.html").read_text("utf-8"))
    return found | {"report.html": hashlib.sha256(page.encode()).hexdigest()}


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


def kept_in(lines):
    """Return the stages that were kept, as a run's lines tell."""
    return {line.split(":")[0] for line in lines if line.endswith(": kept from the last run")}


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


def spoil_tests(monkeypatch):
    """Let a run's test images be no pictures any more, once it knows which ones they are."""
    inner = sys.modules["flawsmith.pipeline.run"].split_stage

    def spoiled(stages, found, settings):
        parts = inner(stages, found, settings)
        for index in parts["test"]:
            found.dataset.records[index].image.write_bytes(b"no picture")
        return parts

    monkeypatch.setattr("flawsmith.pipeline.run.split_stage", spoiled)


def assert_blind(source, out, words, whole, places, monkeypatch):
    """Assert that nothing below these places of a run looks at a test image of ``source``.

    The test images are spoiled. whole: the folder of the same run, undisturbed.
    """
    spoil_tests(monkeypatch)
    done = run(source, out, *words)
    # The data set of real images is the first that needs them.
    assert isinstance(done.exception, InputError), done.exception
    for place in places:
        told, wanted = (figures_of(root, place) for root in (out, whole))
        assert told
        assert told == wanted
