"""A self-test of some ten seconds: data, workers, painting, networks and features, end to end."""

import contextlib
import io
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from flawsmith.doctor.findings import Finding, error_line

STRIPS, CANDIDATES, STEPS = 12, 4, 3
SEED = 7


def self_test(device: str) -> Iterator[Finding]:
    """Yield a finding a step, each timed; a step whose input failed is not run.

    device: as ``pick_device`` takes it. Everything lies in a temporary folder that is removed.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="flawsmith-doctor-") as name:
            yield from _steps(Path(name), device)
    except OSError as error:
        mend = "set TMPDIR to a folder with room"
        yield Finding("temporary folder", "wrong", error_line(error), mend=mend)


def _steps(work: Path, device: str) -> Iterator[Finding]:
    strips = work / "strips"
    drawn = _step("draw and write strips", lambda: _draw(strips))
    yield drawn
    later: list[tuple[str, Callable[[], str]]] = [
        ("read back", lambda: _read(strips)),
        ("paste, with a worker process", lambda: _paste(strips, work / "pasted")),
        ("inpaint, some steps", lambda: _inpaint(strips, work / "run", device)),
        ("features", lambda: _features(strips, device)),
    ]
    for name, work_of in later:
        if drawn.state == "wrong":
            yield Finding(name, "note", "not run: there are no strips")
        else:
            yield _step(name, work_of)


def _step(name: str, work: Callable[[], str]) -> Finding:
    """Do a step and take its time; what it says meanwhile is shown only if it fails."""
    said, start = io.StringIO(), time.perf_counter()
    try:
        with contextlib.redirect_stderr(said):
            found = work()
    except Exception as error:  # whatever goes wrong is what was looked for
        told = error_line(error)
        seconds = round(time.perf_counter() - start, 2)
        return Finding(name, "wrong", told, seconds=seconds, mend=_hint(said.getvalue()))
    return Finding(name, "ok", found, seconds=round(time.perf_counter() - start, 2))


def _hint(said: str) -> str:
    lines = said.strip().splitlines()
    return f"it said last: {lines[-1]}" if lines else ""


def _draw(out: Path) -> str:
    from flawsmith.data.jobs import write_demo

    built = write_demo(out, kind="severstal", count=STRIPS, seed=SEED, scale=1.0, workers=1)
    return ", ".join(f"{n} {label}" for label, n in built.labels.items() if n)


def _read(folder: Path) -> str:
    """Read the files and compare them, byte for byte, with what was drawn."""
    import numpy as np

    from flawsmith.data.demo import demo_sample
    from flawsmith.data.formats import read_dataset

    dataset = read_dataset(folder)
    if len(dataset) != STRIPS:
        raise AssertionError(f"{len(dataset)} samples came back of {STRIPS}")
    for index in (0, STRIPS - 1):
        drawn, read = demo_sample("severstal", SEED, index), dataset[index]
        alike = np.array_equal(drawn.image, read.image) and np.array_equal(drawn.masks, read.masks)
        if not alike:
            raise AssertionError(f"{read.id} came back with other pixels")
    return f"{len(dataset)} samples, the same pixels"


def _paste(source: Path, out: Path) -> str:
    from flawsmith.augment.job import augment
    from flawsmith.augment.settings import AugmentSettings
    from flawsmith.data.formats import ReadOptions
    from flawsmith.settings import load_settings

    flags = {"method": "paste", "count": CANDIDATES, "seed": SEED}
    settings = load_settings(AugmentSettings, None, flags)
    built = augment(source, out, settings, options=ReadOptions(), workers=2)
    made = sum(built.labels.values())
    if made != CANDIDATES:
        raise AssertionError(f"{made} candidates of {CANDIDATES}")
    return f"{made} candidates"


def _inpaint(source: Path, out: Path, device: str) -> str:
    from flawsmith.inpaint.training import setup_of, train_inpaint
    from flawsmith.train.devices import pick_device

    where = pick_device(device)
    flags = {"steps": STEPS, "preview_every": 0, "device": str(where), "seed": SEED}
    train_inpaint(source, out, setup_of("tiny", None, flags))
    if not (out / "model.safetensors").is_file():
        raise AssertionError("no weights were written")
    return f"{STEPS} steps on {where}"


def _features(source: Path, device: str) -> str:
    import numpy as np

    from flawsmith.data.formats import read_dataset
    from flawsmith.evaluate.features import open_extractor

    extractor = open_extractor("lite0")
    network, dataset = extractor.network(device), read_dataset(source)
    first, second = network.run([network.prepare(dataset[i].image) for i in (0, 1)])
    if first.shape != (extractor.dimension,) or np.allclose(first, second):
        raise AssertionError("the features of two pictures are alike")
    return f"{extractor.dimension} numbers a picture on {network.device}"
