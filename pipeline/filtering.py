"""The stages of the filter: segmenters on halves of the training part, then the sieve."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flawsmith.data.kept import read_kept
from flawsmith.data.review import Choice, choices_of
from flawsmith.data.scan import Scan
from flawsmith.data.writing import write_file, write_lines
from flawsmith.evaluate.distance import Compute
from flawsmith.evaluate.features import Extractor, open_extractor
from flawsmith.evaluate.filtering.halves import can_halve
from flawsmith.evaluate.filtering.output import SiftedFacts
from flawsmith.evaluate.filtering.reasons import sample_line
from flawsmith.evaluate.filtering.settings import FilterSettings
from flawsmith.pipeline.candidates import VERDICTS, Scans, Verdicts, read_verdicts
from flawsmith.pipeline.distances import store_of
from flawsmith.pipeline.pool import Pool, is_outside, pool_of
from flawsmith.pipeline.settings import RunSettings
from flawsmith.pipeline.stages import Stages
from flawsmith.progress import say

if TYPE_CHECKING:
    from flawsmith.evaluate.filtering.folds import FoldMasks

RESULT = "filter.json"
FOLDS = "segmenters"
# Why what was drawn under a class of its own is not kept where the gate decides.
OUTSIDE = "of a class that no real sample shows: nothing can be measured of it"


@dataclass(frozen=True)
class Filtered:
    """What the filter left. verdicts: of all candidates, by method, with its scores and reasons.

    facts: thresholds, what became of each class, and notices, as ``flawsmith filter`` gives them.
    """

    verdicts: Verdicts
    facts: dict[str, Any]


def filter_stages(
    stages: Stages,
    train: Scan,
    scans: Scans,
    verdicts: Verdicts,
    settings: RunSettings,
    steps: int,
    device: str,
    *,
    gate: bool,
) -> Filtered:
    """Return every candidate's verdict after the filter; nothing but the training part is seen.

    verdicts: of the certificate; steps: of each segmenter. gate: whether the gate follows; if so,
    candidates of classes that no real sample shows are rejected: it has no say in them.
    """
    classes = train.dataset.classes
    if gate:
        verdicts = _without_outside(verdicts, classes)
    if not settings.filter or not any(fact.planes for fact in train.facts):
        return Filtered(verdicts, {"thresholds": [], "classes": [], "notices": []})
    chosen = settings.of_filter(steps)
    pool = pool_of(scans, verdicts, classes, stages.out)
    folded = settings.agreement and can_halve(train, chosen.seed)
    if folded:
        _folds(stages, train, chosen, device)
    extractor = open_extractor("lite0")
    work = _Work(stages, train, pool, chosen, extractor, folded, device)
    inputs = {
        **chosen.model_dump(mode="json"),
        "segmenters": folded,
        "features": extractor.version,
        "gate": gate,
    }
    if choices := _choices(scans):
        inputs["choices"] = choices
    needs = ("certificate", "split", *([FOLDS] if folded else []))
    found = read_filtered(stages.make("filter", inputs, needs, work), verdicts)
    for notice in found.facts["notices"]:
        say(f"note: filter: {notice}")
    return found


def _choices(scans: Scans) -> dict[str, Choice]:
    """Return what a person decided about candidates in ``flawsmith studio``, by id."""
    return choices_of(record for found in scans.values() for record in found.dataset.records)


@dataclass(frozen=True)
class _Work:
    stages: Stages
    train: Scan
    pool: Pool
    chosen: FilterSettings
    extractor: Extractor
    folded: bool
    device: str

    def __call__(self, folder: Path) -> None:
        # Only here: it loads torch.
        from flawsmith.evaluate.filtering.filtering import sift_certified

        compute = Compute(store_of(self.stages, self.extractor), self.device)
        masks = self._masks() if self.folded else None
        found = sift_certified(
            self.pool.verdicts,
            self.pool.found,
            self.train,
            self.chosen,
            self.extractor,
            compute,
            masks,
        )
        facts = found.facts()
        lines = (json.dumps(asdict(verdict), ensure_ascii=False) for verdict in found.verdicts)
        write_lines(folder / VERDICTS, lines)
        write_file(folder / RESULT, json.dumps(facts, indent=1, ensure_ascii=False) + "\n")

    def _masks(self) -> "FoldMasks":
        """Return the segmenters that ``_folds`` has trained."""
        from flawsmith.evaluate.filtering.folds import fold_segmenters

        place = self.stages.place(FOLDS)
        return fold_segmenters(self.train, self.chosen.segmenter(), place, self.device)


def _without_outside(verdicts: Verdicts, classes: tuple[str, ...]) -> Verdicts:
    return {
        method: [
            replace(v, reason=OUTSIDE) if v.accepted and is_outside(v, classes) else v
            for v in found
        ]
        for method, found in verdicts.items()
    }


def _folds(stages: Stages, train: Scan, chosen: FilterSettings, device: str) -> None:
    from flawsmith.evaluate.filtering.folds import fold_segmenters

    segmenter = chosen.segmenter()
    inputs = {
        "settings": segmenter.deciding(real_only=True),
        "loop": segmenter.loop(segmenter.seed, device=device).deciding(fixed_length=True),
    }

    def work(folder: Path) -> None:
        fold_segmenters(train, segmenter, folder, device)

    stages.make(FOLDS, inputs, ("split",), work)


def read_filtered(folder: Path, verdicts: Verdicts) -> Filtered:
    """Return what the stage left; those outside of it keep the verdict that they had.

    Raises InputError for what is not as it was written.
    """
    known = read_verdicts(folder / VERDICTS)
    found = {method: [known.get(v.id, v) for v in own] for method, own in verdicts.items()}
    return Filtered(found, read_kept(folder / RESULT, SiftedFacts))


def sample_lines(verdicts: Verdicts) -> list[dict[str, Any]]:
    """Return a line a candidate, as ``samples.jsonl`` of ``flawsmith filter`` has them."""
    return [sample_line(method, verdict) for method, found in verdicts.items() for verdict in found]
