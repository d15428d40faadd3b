"""The pictures of a run's report: which candidates and real samples it shows."""

from collections.abc import Iterator, Sequence

from flawsmith.data.collected import Collected, Entry
from flawsmith.data.dataset import DataSet
from flawsmith.data.scan import Scan
from flawsmith.evaluate.certificate import Verdict
from flawsmith.evaluate.report import Section
from flawsmith.evaluate.report_sections import grid_section
from flawsmith.pipeline.candidates import Made
from flawsmith.pipeline.settings import RunMethod
from flawsmith.pipeline.surfaces import PAINTING
from flawsmith.sample import Sample
from flawsmith.seeding import rng

SHOWN = 3
TEXTS: dict[RunMethod, str] = {
    "classical": "Real defective training images, moved and toned. Masks move with them.",
    "paste": "Real defects cut out by their masks and joined into clean surface of the training "
    "part; tone matched to it, seam feathered. Outside of the seam no pixel is changed.",
    "procedural": "Drawn defects on clean surface of the training part: shapes and looks from "
    "noise, none of them real.",
    "inpaint": "Painted by a generator trained on the training part: it sees the clean surface and "
    "the mask, and fills the mask with a defect. Outside of mask and seam no pixel is changed.",
}

GENERATED = " Some of the clean surfaces are generated, too."


def grid(
    method: RunMethod,
    made: Made,
    verdicts: Sequence[Verdict],
    train: Scan,
    classes: tuple[str, ...],
    seed: int,
    *,
    generated: bool = False,
) -> Section:
    """Return real samples beside accepted ones of a method.

    generated: whether it was given generated clean images, too.
    """
    shown = [
        i
        for name in classes
        for i in _some(
            [k for k, v in enumerate(verdicts) if v.accepted and name in v.classes], seed
        )
    ]
    real = [
        i
        for plane in range(len(train.dataset.classes))
        for i in _some([k for k, f in enumerate(train.facts) if plane in f.planes], seed)
    ]
    return grid_section(
        method,
        _load(train.dataset, real, classes),
        _load(made.dataset, shown, classes),
        classes,
        TEXTS[method] + (GENERATED if generated and method in PAINTING else ""),
        limit=SHOWN,
    )


def load_one(dataset: DataSet, place: int, classes: tuple[str, ...]) -> Sample:
    """Return a sample with planes of all these classes."""
    return next(_load(dataset, [place], classes))


def _some(indices: list[int], seed: int) -> list[int]:
    chosen = rng(seed, "report").permutation(len(indices))[:SHOWN]
    return [indices[i] for i in sorted(chosen)]


def _load(dataset: DataSet, indices: list[int], classes: tuple[str, ...]) -> Iterator[Sample]:
    chosen = list(dict.fromkeys(indices))
    entries = tuple(Entry(dataset.records[i], dataset.classes, {}) for i in chosen)
    recipe = Collected(entries, classes)
    for index in range(len(entries)):
        sample = recipe.make(index)
        assert isinstance(sample, Sample)
        yield sample
