"""What commands keep for themselves and read again: as it was written, or refused in one line.

Of a stage of ``run`` every change is told by its seal. Where the seal is put right, too, or
missing, what is read has the shape that was written, and what is said of it does not fail.
"""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import NoneType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flawsmith.data import kept
from flawsmith.data.build import JOURNAL, complete, finished
from flawsmith.data.kept import SEAL, check_seal, seal
from flawsmith.data.merge import merge
from flawsmith.data.shard_manifest import FILES, LINES, SHARD, is_shard
from flawsmith.data.staging import job_digest
from flawsmith.data.writing import Spec
from flawsmith.errors import CONTROL, DoesNotHelp, InputError
from flawsmith.pipeline.candidates import DIGEST
from flawsmith.pipeline.stages import UNSEALED
from tests.feature_helpers import one_thread  # noqa: F401
from tests.fuzzing import BRIEFLY, changed, edits, only_inside
from tests.gate_helpers import config_of, gated
from tests.kept_cases import Case, Files, Reader, as_json, of_run, write, written
from tests.merge_helpers import JOB, rewrite, write_shards
from tests.run_helpers import make_source
from tests.trees import tree_hash


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run with filter and gate; its source beside it."""
    root = tmp_path_factory.mktemp("run")
    make_source(root / "in", each=10)
    config_of(root)
    done = gated(*words(root / "out"))
    assert isinstance(done.exception, (DoesNotHelp, NoneType)), (done.exception, done.output)
    return root / "out"


def words(out: Path) -> tuple[object, ...]:
    home = out.parent
    return home / "in", out, "--config", home / "run.yaml", "--device", "cpu"


@pytest.fixture(scope="module")
def cases(whole: Path) -> dict[str, Case]:
    found = dict(of_run(whole))
    found |= dict(written())
    for case in found.values():
        with TemporaryDirectory() as folder:
            case.read(write(Path(folder).resolve(), case.files))
    return found


def plain(error: InputError) -> None:
    """What an error says must be one line, short, and fit for a terminal."""
    said = str(error)
    assert not CONTROL.search(said), said
    assert len(said) < 1500, said


NAMES = (
    "read", "split", "plan", "candidates-paste", "certificate", "filter", "gate", "counts",
    "rounds", "data set", "distances", "curve", "no curve", "digest", "seams", "selected",
    "filter.json", "report", "variety", "losses", "detect",
)  # fmt: skip


# Of each kind: by lot, some would hardly ever be met.
SHARE = settings(BRIEFLY, max_examples=max(3, BRIEFLY.max_examples // 7))


@pytest.mark.parametrize("name", NAMES)
@SHARE
@given(which=st.integers(0, 9), changes=edits)
def test_kept_files(whole, cases, name, which, changes) -> None:
    """The seal is put right, as somebody would who means ill; or there never was one."""
    case = cases[name]
    place = case.changes[which % len(case.changes)]
    files = {k: v for k, v in case.files.items() if k != SEAL}
    files[place] = changed(files[place], changes, 60 if place.endswith("png") else 0)
    attempt(files, case.read, f"kept {name}", whole.parent)


def attempt(files: Files, read: Reader, name: str, *homes: Path) -> str:
    """Let files be read; return the refusal, or nothing."""
    with TemporaryDirectory() as folder:
        root = write(Path(folder).resolve(), files)
        try:
            with only_inside(root, *homes, name=name):
                read(root)
        except InputError as error:
            plain(error)
            return str(error)
    return ""


SEALED = ("read", "split", "plan", "candidates-paste", "certificate", "filter", "gate")


@BRIEFLY
@given(st.sampled_from(SEALED), st.integers(0, 9), edits)
def test_sealed_files(cases, name, which, changes) -> None:
    """Not one other byte is taken for what was written."""
    case = cases[name]
    tops = [k for k in case.files if "/" not in k and k not in (*UNSEALED, SEAL)]
    place = tops[which % len(tops)]
    files = {k: v for k, v in case.files.items() if "/" not in k}
    files[place] = changed(files[place], changes)
    said = attempt(files, check_seal, f"sealed {name}")
    if files[place] != case.files[place]:
        assert f"{place}: changed since it was written (mend: remove" in said
    else:
        assert not said


@BRIEFLY
@given(st.sampled_from(SEALED), edits)
def test_seals(cases, name, changes) -> None:
    case = cases[name]
    files = {k: v for k, v in case.files.items() if "/" not in k}
    files[SEAL] = changed(files[SEAL], changes)
    attempt(files, check_seal, "seals")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shards")
    write_shards(root, 2)
    return root


@BRIEFLY
@given(st.sampled_from([SHARD, LINES, FILES]), edits, st.booleans())
def test_shards(shards, name, changes, matching) -> None:
    """matching: the digest is put right, as somebody would who means ill."""
    with TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        folders = [shutil.copytree(shards / n, root / n) for n in ("1", "2")]
        path = folders[0] / name
        before, content = path.read_bytes(), changed(path.read_bytes(), changes)
        path.write_bytes(content)
        if matching and name != SHARD:
            with suppress(ValueError, RecursionError):  # else there is no line to put right
                rewrite(folders[0], name, lambda entries: None)
        try:
            with only_inside(root, name=f"shards {name}"):
                is_shard(folders[0])
                merge(folders, root / "out")
                finished(root / "out")
        except InputError as error:
            plain(error)
            assert not (root / "out").exists()
        else:
            assert matching or name == SHARD or content == before


@BRIEFLY
@given(edits)
def test_journals(shards, changes) -> None:
    """The lines of a job that was stopped, from which it goes on."""
    lines = b"".join((shards / n / LINES).read_bytes() for n in ("1", "2"))
    files = {JOURNAL: changed(lines, changes)}
    attempt(files, lambda root: complete(root, "folder", Spec(("a",)), JOB), "journal")


OFTEN = {
    "a number too large for a float": ("report", "metrics.jsonl", b'"step": 1,', b'"step": 1e999,'),
    "a loss of 400 digits": (
        "losses",
        "metrics.jsonl",
        b'{"g_loss": 0.5}',
        b'{"g_loss": ' + b"9" * 400 + b"}",
    ),
    "a step beyond any": (
        "report",
        "metrics.jsonl",
        b'"step": 1,',
        b'"step": ' + b"9" * 400 + b",",
    ),
    "an image in both parts": ("split", "parts.json", b"", b""),
    "a part of a plan that is none": (
        "plan",
        "plan.json",
        b'"minutes": {',
        b'"minutes": {"x": 1.0',
    ),
    "a plan of minus five": ("plan", "plan.json", b'"count": 10', b'"count": -5'),
    "pixels of a plane that is none": ("read", "facts.jsonl", b'"plane": 0', b'"plane": 99'),
    "a picture of a million miles": ("read", "facts.jsonl", b'"width": ', b'"width": 999999999'),
    "a detector elsewhere": ("detect", "detect.json", b'"knn"', b'"../../knn"'),
    "a form of no picture": ("detect", "detect.json", b'"height": 64', b'"height": 6400000'),
    "a digest that is none": ("digest", DIGEST, b"0" * 64, b"\xff" * 64),
    "counts below nothing": ("counts", "counts.json", b'"tp": [[', b'"tp": [[-7'),
}


@pytest.mark.parametrize("fault", OFTEN)
def test_kept_files_that_once_were_faults(whole, cases, fault: str) -> None:
    """Most were tracebacks on a resume; the others were believed."""
    name, place, old, new = OFTEN[fault]
    files = {k: v for k, v in cases[name].files.items() if k != SEAL}
    if old:
        assert old in files[place]
        files[place] = files[place].replace(old, new, 1)
    else:
        parts = json.loads(files[place])
        files[place] = as_json({**parts, "test": [*parts["test"], parts["train"][0]]})
    if name == "counts":  # and its digest put right
        content = json.loads(files[place])
        content.pop("sha256")
        files[place] = as_json(content | {"sha256": job_digest(content)})
    said = attempt(files, cases[name].read, "kept, named", whole.parent)
    if name != "report":  # which tells, and passes over what it cannot read
        assert place in said
        assert "(mend: remove" in said


def test_a_resume_names_the_file_and_its_mend_works(whole: Path, tmp_path: Path) -> None:
    """In each stage a digit of each file is another one."""
    before = tree_hash(whole / "stages")
    sealed = sorted(whole.glob(f"stages/**/{SEAL}"))
    assert len(sealed) >= len(SEALED)
    for path in sealed:
        for name in json.loads(path.read_text())["files"]:
            file = path.parent / name
            content = file.read_bytes()
            file.write_bytes(b" " + content)
            mend = f"(mend: remove {path.parent}, and the same command makes it again)"
            assert refused(whole) == f"{file}: changed since it was written {mend}"
            file.write_bytes(content)
    shutil.rmtree(whole / "stages" / "plan")
    shutil.rmtree(whole / "stages" / "filter")
    assert isinstance(gated(*words(whole)).exception, (DoesNotHelp, NoneType))
    assert tree_hash(whole / "stages") == before


def refused(out: Path) -> str:
    done = gated(*words(out))
    assert isinstance(done.exception, InputError), (done.exception, done.output)
    assert done.exception.exit_code == 2
    return str(done.exception)


def test_counts_and_rounds_of_a_run_have_their_own_mend(whole: Path) -> None:
    rounds = whole / "stages/gate-runs/rounds.json"
    (counts, *_) = sorted(whole.glob("stages/gate-runs/*/*/run/counts.json"))
    for path, other in ((rounds, b"[]"), (counts, counts.read_bytes().replace(b"[[", b"[[1", 1))):
        content = path.read_bytes()
        path.write_bytes(other)
        remove = path if path == rounds else path.parent
        said = refused(whole)
        assert said.startswith(f"{path}: not as it was written: ")
        assert said.endswith(f"(mend: remove {remove}, and the same command makes it again)")
        path.write_bytes(content)


def test_a_folder_without_a_seal_is_read(tmp_path: Path) -> None:
    """Folders of earlier versions have none."""
    (tmp_path / "plan.json").write_text("{}")
    check_seal(tmp_path)
    seal(tmp_path, UNSEALED)
    check_seal(tmp_path)
    (tmp_path / "plan.json").unlink()
    with pytest.raises(InputError, match=r"plan.json: cannot be read"):
        check_seal(tmp_path)


def test_what_goes_wrong_within_a_reader_names_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("{}")

    def made(content: dict[str, Any]) -> None:
        raise KeyError("x" * 5000)

    with pytest.raises(InputError) as caught:
        kept.read_kept(path, dict[str, Any], made, remove=path)
    assert str(caught.value).startswith(f"{path}: not as it was written: KeyError: ")
    assert len(str(caught.value)) < 500
