"""The stage of detectors: what those that know real clean images alone say of what is kept.

They learn from the training part's clean images and are tested on the test part. Nothing chooses by
what they say here: the report tells it. A detector is a stage of its own, so that one more, or
another setting of one, leaves the others as they are.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flawsmith.data.dataset import DataSet
from flawsmith.data.kept import read_kept
from flawsmith.data.scan import Scan
from flawsmith.data.staging import job_digest
from flawsmith.data.writing import write_file
from flawsmith.errors import InputError
from flawsmith.evaluate.detect_settings import DetectSettings
from flawsmith.pipeline.candidates import Scans, Verdicts
from flawsmith.pipeline.output import all_classes
from flawsmith.pipeline.pool import Pool, pool_of
from flawsmith.pipeline.settings import RunSettings
from flawsmith.pipeline.stages import Stages
from flawsmith.pipeline.surfaces import Surfaces
from flawsmith.progress import say
from flawsmith.seeding import rng

if TYPE_CHECKING:
    from flawsmith.evaluate.detect_result import Judged

STAGE = "detect"
# In a stage: what was found, and how long that took, which differs from run to run.
RESULT, TIMES, TRAININGS = "detect.json", "times.json", "runs"
# Clean training images: with fewer, nobody knows what is usual; more are not looked at.
FEWEST_CLEAN, MOST_CLEAN = 10, 500
SWITCHED_OFF = "switched off"
NOT_ASKED = "they judge from the budget hour on, or where --detectors names them"
NO_CANDIDATE = "nothing passed the filter, so there is nothing to judge"


@dataclass(frozen=True)
class Detected:
    """What each detector found; missing: why one or all were not asked, else empty."""

    done: "tuple[Judged, ...]" = ()
    missing: str = ""

    @property
    def notices(self) -> tuple[str, ...]:
        """What is to be said where none was asked; what the user switched off is no news."""
        told = self.missing and self.missing != SWITCHED_OFF
        return (f"detectors left out: {self.missing}",) if told else ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """What each says of the synthetic images, in plain words."""
        return tuple(f"{one.name}: {text}" for one in self.done for text in one.verdicts)

    def to_json(self) -> dict[str, Any]:
        return {"missing": self.missing, "detectors": [one.to_json() for one in self.done]}


def detect_fault(train: Scan, test: Scan, settings: RunSettings) -> str:
    """Return why no detector can be asked, or nothing; candidates are not looked at.

    test: the real images that they would be tested on.
    """
    if not settings.judges:
        return SWITCHED_OFF if settings.detectors is not None else NOT_ASKED
    clean = len(train.where("good"))
    if clean < FEWEST_CLEAN:
        return f"{clean} clean training images, and {FEWEST_CLEAN} are needed"
    counts = {kind: len(test.where(kind)) for kind in ("good", "defective")}
    for kind, name in (("good", "clean"), ("defective", "defective")):
        if not counts[kind]:
            return f"the test part has no {name} image"
    known = [fact.group for fact in test.facts if fact.label != "unknown"]
    return "all test images are of one group" if len(set(known)) < 2 else ""


def detect_stages(
    stages: Stages,
    train: Scan,
    test: Scan,
    made: tuple[Scans, Verdicts],
    on: Surfaces,
    settings: RunSettings,
    device: str,
) -> Detected:
    """Return what the detectors say of the accepted candidates, and of generated clean images.

    test: real images; made: candidates with the filter's verdicts; on: what was painted on. A
    detector that refuses these images is left out, and that is said.
    """
    fault = detect_fault(train, test, settings)
    pool = _pool(*made, train, stages.out)
    judged = None if fault else candidates_of(pool, on, train)
    if judged is None:
        found = Detected(missing=fault or NO_CANDIDATE)
        # Of what a short budget never does, the report tells; nobody waits to hear it.
        for notice in found.notices if found.missing != NOT_ASKED else ():
            say(f"note: {notice}")
        return found
    chosen, learned = settings.of_detect(), clean_of(train, settings.seed)
    needs = ("split", "certificate", *(on.needs if on.added else ()))
    done, refused = [], []
    for name in chosen.detectors:
        own = _own(chosen, name)
        work = _Work(learned, test, judged, own, device)
        inputs = {**own.model_dump(mode="json"), **work.looked_at}
        try:
            folder = stages.make(f"{STAGE}/{name}", inputs, needs, work)
        except _Refused as error:  # what they say decides nothing: the run goes on without
            refused.append(f"{name}: {error.what}")
            say(f"note: detectors left out: {refused[-1]}")
            continue
        done.append(read_judged(folder, name))
    return Detected(tuple(done), "; ".join(refused))


def read_judged(folder: Path, name: str) -> "Judged":
    """Return what a detector's stage left; raises InputError for what is not as it was written."""
    from flawsmith.evaluate.detect_result import Costs, Judged

    # Whoever removes the times alone waits for the whole stage all the same: it is not complete.
    costs = read_kept(folder / TIMES, Costs)

    def made(content: dict[str, Any]) -> Judged:
        found = Judged.read(content | {"costs": costs}, folder)
        if found.name != name:
            raise ValueError("of another detector")
        return found

    return read_kept(folder / RESULT, dict[str, Any], made)


def clean_of(train: Scan, seed: int) -> Scan:
    """Return the clean training images that detectors learn from: all, or some drawn by lot."""
    good = train.where("good")
    if len(good) > MOST_CLEAN:
        good = rng(seed, STAGE, "clean").choice(good, MOST_CLEAN, replace=False).tolist()
    return train.select(sorted(good))


def _pool(scans: Scans, verdicts: Verdicts, train: Scan, root: Path) -> Pool:
    """Return all candidates: a detector asks for no class, so none is left out for its own."""
    others = [found.dataset.classes for found in scans.values()]
    return pool_of(scans, verdicts, all_classes(train.dataset.classes, others), root)


def candidates_of(pool: Pool, on: Surfaces, train: Scan) -> Scan | None:
    """Return the accepted candidates with the generated clean images; None if there are neither."""
    kept = pool.found.select([i for i, v in enumerate(pool.verdicts) if v.accepted])
    clean = on.found.select(range(len(train.facts), len(on.found.facts)))
    if not kept.facts and not clean.facts:
        return None
    prefix, taken = "", {fact.id for fact in kept.facts}
    while {prefix + fact.id for fact in clean.facts} & taken:
        prefix += "clean_"
    records = [replace(r, id=prefix + r.id) for r in clean.dataset.records]
    facts = [replace(f, id=prefix + f.id) for f in clean.facts]
    dataset = DataSet(
        pool.found.dataset.root,
        "folder",
        pool.found.dataset.classes,
        (*kept.dataset.records, *records),
    )
    return Scan(dataset, (*kept.facts, *facts))


def _own(chosen: DetectSettings, name: str) -> DetectSettings:
    """Return the settings of one detector, without those of others."""
    own = chosen.model_copy(update={"detectors": (name,)})
    options = {key: value for key, value in chosen.options.items() if key in own.judges}
    return own.model_copy(update={"options": options})


class _Refused(InputError):
    """What a detector says of these images; of a stage's files nobody may go on without a word."""


@dataclass(frozen=True)
class _Work:
    learned: Scan
    test: Scan
    made: Scan
    settings: DetectSettings
    device: str

    @property
    def looked_at(self) -> dict[str, str]:
        """Which images: what they show is settled by the stages before."""
        sets = {"learned": self.learned, "test": self.test, "made": self.made}
        return {name: job_digest({"ids": [*own.dataset.ids]}) for name, own in sets.items()}

    def __call__(self, folder: Path) -> None:
        # Only here: they load torch.
        from flawsmith.evaluate.detect import judge
        from flawsmith.evaluate.detect_result import write_maps

        sets, runs = (self.learned, self.test, self.made), folder / TRAININGS
        try:
            found = judge(*sets, self.settings, device=self.device, runs=runs)
        except InputError as error:
            raise _Refused(error.what, where=error.where, mend=error.mend) from error
        # The baselines are compared with, not told: they have no stage of their own.
        (one,) = (each for each in found if each.name in self.settings.detectors)
        write_maps([one], folder)
        told = one.to_json()
        write_file(folder / TIMES, json.dumps(told.pop("costs")) + "\n")
        write_file(folder / RESULT, json.dumps(told, ensure_ascii=False) + "\n")


def check_detectors(settings: RunSettings) -> None:
    """Raise InputError for a detector that cannot be: wrongly set, or its extra missing."""
    chosen = settings.of_detect()
    if settings.judges and (settings.detectors or settings.detect):
        # Only here: it loads torch.
        from flawsmith.evaluate.detect_job import opened

        for name in chosen.detectors:
            opened(name, chosen, chosen.seed, "cpu")
