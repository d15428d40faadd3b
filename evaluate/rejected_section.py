"""The report's section of accepted and rejected candidates: pictures by reason."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flawsmith.evaluate.certificate import Verdict
from flawsmith.evaluate.pictures import tile
from flawsmith.evaluate.report import Section
from flawsmith.sample import Sample
from flawsmith.seeding import rng

SHOWN = 4
WIDTH = 240
# What a threshold of the filter's step asks.
ASKS = {
    "quality": "at most this distance to the nearest real defect",
    "agreement": "at least this overlap with what segmenters see",
    "clean": "for clean pictures at most this value of a detector of real clean images",
    "seen": "at least this value of that detector near the mask",
    "copies": "more than this distance to the nearest real defect",
}


@dataclass(frozen=True)
class Candidate:
    """A candidate to be shown: its sample, how it was made, and what it scored."""

    sample: Sample
    method: str
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Heap:
    """Candidates of one fate. reason: why they were rejected, empty for accepted ones.

    total: how many there are; shown: some of them.
    """

    reason: str
    total: int
    shown: tuple[Candidate, ...]


def heaps(
    verdicts: Mapping[str, Sequence[Verdict]],
    load: Callable[[str, int], Sample],
    *,
    limit: int = SHOWN,
    seed: int = 0,
) -> list[Heap]:
    """Return the accepted candidates, then the rejected ones by reason, the commonest first.

    verdicts: method -> one a candidate; load: returns a method's candidate by its place there, with
    planes of all classes. Up to ``limit`` of a heap are loaded, drawn at random, methods in turn.
    """
    places: dict[str, list[tuple[str, int]]] = {}
    for method, found in verdicts.items():
        for index, verdict in enumerate(found):
            places.setdefault(verdict.reason, []).append((method, index))
    order = sorted(places, key=lambda reason: (bool(reason), -len(places[reason]), reason))
    return [
        Heap(
            reason,
            len(places[reason]),
            tuple(
                Candidate(load(method, index), method, verdicts[method][index].scores)
                for method, index in _some(places[reason], limit, seed, reason)
            ),
        )
        for reason in order
    ]


def _some(
    places: Sequence[tuple[str, int]], limit: int, seed: int, reason: str
) -> list[tuple[str, int]]:
    """Return up to ``limit`` places: one a method, then a second one a method, and so on."""
    order = rng(seed, "heaps", reason).permutation(len(places))
    rounds: dict[str, int] = {}
    ranked = []
    for place in order:
        method = places[place][0]
        rounds[method] = rounds.get(method, 0) + 1
        ranked.append((rounds[method], int(place)))
    return [places[place] for place in sorted(p for _, p in sorted(ranked)[:limit])]


def rejected_section(
    heaps: Sequence[Heap],
    classes: Sequence[str],
    thresholds: Sequence[Mapping[str, Any]] = (),
    *,
    measured: bool = True,
) -> Section:
    """Candidates by their fate, with masks outlined and scores told.

    thresholds: what the filter took from real data, as ``Threshold.to_json`` gives them. measured:
    whether training with the data was tried; else what is not rejected is not called accepted.
    """
    context = {
        "heaps": [
            {"reason": heap.reason, "total": heap.total, "tiles": _tiles(heap.shown, classes)}
            for heap in heaps
        ],
        "measured": measured,
        "accepted": any(not heap.reason for heap in heaps),
        "total": sum(heap.total for heap in heaps),
        "thresholds": thresholds,
        "asks": ASKS,
        "scored": any(candidate.scores for heap in heaps for candidate in heap.shown),
    }
    return Section("Accepted and rejected", "section_rejected.html.j2", context)


def _tiles(shown: Sequence[Candidate], classes: Sequence[str]) -> list[tuple[Any, str]]:
    return [
        (tile(c.sample, classes, origin=c.method, plane=None, width=WIDTH), scores_told(c.scores))
        for c in shown
    ]


def scores_told(scores: Mapping[str, float]) -> str:
    """Return the scores in their order, three digits each."""
    return ", ".join(f"{name} {value:.3g}" for name, value in scores.items())
