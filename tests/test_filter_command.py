"""``flawsmith filter``: what it writes and prints, its refusals, interruption, any workers."""

import json

import pytest
from click.testing import CliRunner

from flawsmith.cli import cli
from flawsmith.data import build as engine
from flawsmith.data.formats import read_dataset
from flawsmith.errors import InputError
from flawsmith.evaluate.filtering.job import read_accepted
from tests.augment_helpers import part, surface, write_scan
from tests.eye import eye  # noqa: F401
from tests.filter_helpers import CLASSES, real_parts


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Real parts, candidates pasted from them, and moved ones, some of them clean."""
    root = tmp_path_factory.mktemp("folders")
    real = write_scan(root / "real", real_parts(), CLASSES).dataset.root
    for method, count in (("paste", 24), ("classical", 10)):
        words = ["augment", real, root / method, "--method", method, "--count", count]
        words += ["--sources", "all"] if method == "classical" else []
        done = CliRunner().invoke(cli, [*map(str, words), "--workers", "1"])
        assert done.exception is None, done.output
    return root


def run(*words, workers=1):
    return CliRunner().invoke(cli, ["filter", *map(str, words), "--workers", str(workers)])


def result_of(*words, workers=1):
    done = run(*words, "--no-segmenter", "--json", workers=workers)
    assert done.exception is None, (done.exception, done.stderr)
    return json.loads(done.stdout)


def refusal_of(*words):
    done = run(*words, "--no-segmenter")
    assert isinstance(done.exception, InputError), (done.exception, done.output)
    assert done.exception.exit_code == 2
    assert "\n" not in str(done.exception)
    return str(done.exception)


def lines_of(out):
    return [json.loads(line) for line in (out / "samples.jsonl").read_text().splitlines()]


def tree_of(out):
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def test_what_it_writes(folders, tmp_path):
    out = tmp_path / "out"
    result = result_of(folders / "paste", out, "--real", folders / "real", "--keep", 0.4)
    accepted, lines = read_accepted(out), lines_of(out)
    assert result["candidates"] == len(lines) == len(read_dataset(folders / "paste"))
    assert {line["id"] for line in lines if line["accepted"]} == set(accepted.ids)
    assert result["accepted"] == len(accepted) == sum(e["accepted"] for e in lines)
    assert sum(result["rejected"].values()) == len(lines) - len(accepted)
    assert all(bool(line["reason"]) != line["accepted"] for line in lines)
    assert {line["method"] for line in lines} == {"paste"}
    assert accepted.classes == CLASSES
    for sample in accepted:
        assert sample.meta["decision"] == "accepted"
        assert {"contrast", "quality", "novelty"} <= set(sample.meta["scores"])
    assert result == {"out": str(out), **json.loads((out / "filter.json").read_text())}
    assert {(e["class"], e["step"]) for e in result["thresholds"]} == {
        (name, step) for name in CLASSES for step in ("quality", "copies")
    }
    done = CliRunner().invoke(cli, ["data", "check", str(out / "accepted"), "--workers", "1"])
    assert done.exit_code == 0, done.output


def test_any_number_of_workers_and_a_second_call(folders, tmp_path):
    words = (folders / "paste", tmp_path / "one", "--real", folders / "real")
    first = result_of(*words)
    result_of(folders / "paste", tmp_path / "two", *words[2:], workers=2)
    assert tree_of(tmp_path / "one") == tree_of(tmp_path / "two")
    done = run(*words, "--no-segmenter", "--json")
    assert "complete already" in done.stderr
    assert json.loads(done.stdout) == first
    assert "--overwrite" in refusal_of(*words, "--keep", 0.9)


def test_an_interrupted_filter_goes_on(folders, tmp_path, monkeypatch):
    words = (folders / "paste", tmp_path / "whole", "--real", folders / "real")
    result_of(*words)
    write, seen = engine.write_manifest, []

    def stop(*given, **named):
        seen.append(given)
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "write_manifest", stop)
    run(folders / "paste", tmp_path / "cut", *words[2:], "--no-segmenter")
    assert seen
    assert not (tmp_path / "cut").exists()
    monkeypatch.setattr(engine, "write_manifest", write)
    result_of(folders / "paste", tmp_path / "cut", *words[2:])
    assert tree_of(tmp_path / "cut") == tree_of(tmp_path / "whole")


def test_what_it_prints(folders, tmp_path):
    done = run(
        folders / "classical", tmp_path / "out", "--real", folders / "real", "--no-segmenter"
    )
    assert done.exception is None
    assert " candidates accepted" in done.stdout.splitlines()[0]
    assert "note: agreement with segmenters not judged" in done.stdout
    assert "distance to a real crop, at most" in done.stdout
    # Clean candidates have no defect to be judged by: they are kept by their share.
    labels = {sample.label for sample in read_accepted(tmp_path / "out")}
    assert labels == {"good", "defective"}


def test_nothing_accepted_is_said(folders, tmp_path):
    samples = [part(f"c{i}", image=surface(i, size=(0, 0, 200, 160))) for i in range(3)]
    for sample in samples:
        object.__setattr__(sample, "label", "defective")
        sample.meta["method"] = "drawn"
    made = write_scan(tmp_path / "made", samples, CLASSES).dataset.root
    done = run(made, tmp_path / "out", "--real", folders / "real", "--no-segmenter")
    assert done.exit_code == 0, done.exception
    assert "nothing is accepted" in done.stdout
    assert "3 rejected: mask empty" in done.stdout
    assert json.loads((tmp_path / "out" / "filter.json").read_text())["accepted"] == 0
    assert len(lines_of(tmp_path / "out")) == 3


def test_bad_input(folders, tmp_path):
    real, paste, out = folders / "real", folders / "paste", tmp_path / "out"
    assert "does not say how it was made" in refusal_of(real, out, "--real", real)
    assert "no such folder" in refusal_of(tmp_path / "none", out, "--real", real)
    (tmp_path / "empty").mkdir()
    assert "no known layout" in refusal_of(tmp_path / "empty", out, "--real", real)
    assert "inside of the source" in refusal_of(paste, real / "out", "--real", real)
    config = tmp_path / "config.yaml"
    config.write_text("segment: {crops: 3}\n")
    assert "no such setting: crops" in refusal_of(paste, out, "--real", real, "--config", config)
    config.write_text("segment: {steps: 3}\n")
    assert "beside segment" in refusal_of(paste, out, "--real", real, "--config", config)
    config.write_text("quality: 0.2\n")
    assert "quality" in refusal_of(paste, out, "--real", real, "--config", config)
    assert not out.exists()
    assert not (tmp_path / "out.partial").exists()
