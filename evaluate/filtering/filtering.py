"""The filter's steps one after the other: from scanned candidates to a verdict on each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from flawsmith.data.scan import Scan
from flawsmith.evaluate.certificate import Verdict, certify, without_copies
from flawsmith.evaluate.distance import Compute
from flawsmith.evaluate.features import Extractor
from flawsmith.evaluate.filtering.agreement import Judges
from flawsmith.evaluate.filtering.checks import check_candidates
from flawsmith.evaluate.filtering.settings import FilterSettings
from flawsmith.evaluate.filtering.sieve import Selected, Sieve
from flawsmith.evaluate.filtering.thresholds import Threshold


@dataclass(frozen=True)
class Sifted:
    """A verdict on each candidate, in order, and how they came about."""

    verdicts: tuple[Verdict, ...]
    thresholds: tuple[Threshold, ...]
    selected: tuple[Selected, ...]
    notices: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """Return how the verdicts came about, JSON-able."""
        return {
            "thresholds": [entry.to_json() for entry in self.thresholds],
            "classes": [entry.to_json() for entry in self.selected],
            "notices": list(self.notices),
        }


def sift(
    candidates: Scan,
    real: Scan,
    settings: FilterSettings,
    extractor: Extractor,
    compute: Compute,
    folds: Judges | None = None,
    *,
    workers: int = 1,
) -> Sifted:
    """Judge candidates: certificate, quality, agreement, detection, novelty, selection.

    real: the training part that they were made from; nothing else is looked at. folds: segmenters
    trained on its halves, as from ``folds.fold_segmenters``; None leaves the agreement out. Each
    candidate has the scores of all steps that the certificate let it reach, and the first reason
    against it. The same for any number of workers. Raises InputError for candidates that do not
    belong to ``real``: of other classes, sizes or channels, or of unknown origin.
    """
    check_candidates(candidates, real)
    found = certify(candidates.dataset, real, workers, "certify")
    verdicts = list(without_copies(found, (fact.digest for fact in real.facts)))
    return sift_certified(verdicts, candidates, real, settings, extractor, compute, folds)


def sift_certified(
    certified: Sequence[Verdict],
    candidates: Scan,
    real: Scan,
    settings: FilterSettings,
    extractor: Extractor,
    compute: Compute,
    folds: Judges | None = None,
) -> Sifted:
    """Judge candidates as ``sift`` does, but for the certificate, whose verdicts are given."""
    verdicts = list(certified)
    places = [i for i, verdict in enumerate(verdicts) if verdict.accepted]
    if not places:
        return Sifted(tuple(verdicts), (), (), ("no candidate holds the certificate",))
    sieve = Sieve(candidates.select(places), real, settings)
    sieve.measure(extractor, compute)
    sieve.by_quality()
    sieve.by_agreement(folds)
    sieve.by_detector(compute.device)
    sieve.by_novelty()
    selected = sieve.select()
    for i, place in enumerate(places):
        scores = verdicts[place].scores | sieve.scores[i]
        verdicts[place] = replace(verdicts[place], scores=scores, reason=sieve.reasons[i])
    return Sifted(tuple(verdicts), tuple(sieve.thresholds), selected, tuple(sieve.notices))
