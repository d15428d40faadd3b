"""The selection of whole generated pictures: which clean parts look real and are no copies.

What the plates thesis did by eye (5 of 100 kept). All limits are quantiles of what real pictures
give when they are asked of real pictures of other parts.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from flawsmith.data.dataset import DataSet
from flawsmith.data.images import read_image
from flawsmith.data.review import choice_of
from flawsmith.data.scan import Scan, pixel_digest
from flawsmith.errors import InputError
from flawsmith.evaluate.certificate import Verdict, without_copies
from flawsmith.evaluate.distance import Compute
from flawsmith.evaluate.features import Extractor, extract
from flawsmith.evaluate.filtering.artefacts import Usual, own_oddness, traits
from flawsmith.evaluate.filtering.checks import method_of
from flawsmith.evaluate.filtering.crops import ClassCrops
from flawsmith.evaluate.filtering.filtering import Sifted
from flawsmith.evaluate.filtering.halves import halves_of
from flawsmith.evaluate.filtering.novelty import twins
from flawsmith.evaluate.filtering.quality import to_real
from flawsmith.evaluate.filtering.reasons import PERSON, TWIN
from flawsmith.evaluate.filtering.select_settings import SelectSettings
from flawsmith.evaluate.filtering.thresholds import (
    Threshold,
    apart,
    distance_thresholds,
    lacking,
)
from flawsmith.evaluate.looks import WHOLE
from flawsmith.evaluate.neighbours import Rows
from flawsmith.progress import say, track
from flawsmith.sample import Image

SMUDGED = "artefacts: detail, tone or tint unlike real pictures'"
UNREAL = "unlike any real picture"
COPY = "near copy of a real picture"
SURPLUS = "not selected: others look more real"
NAME = WHOLE["good"]
MOST = 1e6
# From so many real pictures on the share that is asked for can be promised.
SURE = 39
# Brings a real picture to the samples' (width, height), as the generator was shown it.
Fit = Callable[[Image, tuple[int, int]], Image]


def unfit(image: Image, size: tuple[int, int]) -> Image:
    """Leave the picture as it is."""
    return image


def select_whole(
    made: Scan,
    real: Scan,
    settings: SelectSettings,
    extractor: Extractor,
    compute: Compute,
    fit: Fit = unfit,
) -> Sifted:
    """Judge generated clean pictures: artefacts, likeness to real ones, novelty, then the best.

    real: those that the generator learned from; the clean ones count. fit: brings them to the
    samples' size. Every picture has all scores, as shares of the limit, and the first reason
    against it. What a person decided in ``flawsmith studio`` goes before all but the copies of the
    same pixels. Raises InputError for pictures that are not generated, clean and of one size, and
    for too few real ones.
    """
    size = _check(made)
    known = real.select(real.where("good"))
    groups = [fact.group for fact in known.facts]
    if why := lacking(groups):
        raise InputError(
            f"generated pictures cannot be judged: {len(known.facts)} of {len(real.facts)} real "
            f"ones are clean ({why})",
            where=real.dataset.root,
            mend="more clean pictures, or --assume-good if those without a mask are clean",
        )
    if len(groups) < SURE:
        say(
            f"note: limits come from {len(groups)} real pictures; below {SURE} they are wide, and "
            "fewer real ones than asked would pass"
        )
    theirs = _Seen.of(known.dataset, size, fit, "look real")
    own = _Seen.of(made.dataset, size, unfit, "look")
    limits, scores = _distances(own, theirs, groups, settings, extractor, compute)
    halves = halves_of(known, settings.seed)
    quantile = _quantile(settings, len(groups))
    limit = float(np.quantile(own_oddness(theirs.traits, halves), quantile))
    facts = limits[0].real, limits[0].groups
    limits.append(Threshold(NAME, "artefacts", limit, *facts))
    scores["artefacts"] = _share(Usual.of(theirs.traits).oddness(own.traits), limit)
    verdicts = [
        Verdict(fact.id, (), digest, "", {n: round(float(v[i]), 4) for n, v in scores.items()})
        for i, (fact, digest) in enumerate(zip(made.facts, own.digests, strict=True))
    ]
    choices = [choice_of(record.meta) for record in made.dataset.records]
    liked = frozenset(i for i, choice in enumerate(choices) if choice == "accepted")
    sieve = _Rank(list(without_copies(verdicts, theirs.digests)), own.features, scores, liked)
    sieve.reject((i for i, choice in enumerate(choices) if choice == "rejected"), PERSON)
    sieve.reject(np.flatnonzero(scores["artefacts"] > 1), SMUDGED)
    sieve.reject(np.flatnonzero(scores["quality"] > 1), UNREAL)
    sieve.reject(np.flatnonzero(scores["novelty"] <= 1), COPY)
    sieve.reject_twins(limits[1].value)
    if settings.count is not None:
        sieve.reject(sieve.left()[settings.count :], SURPLUS)
    return Sifted(tuple(sieve.verdicts), tuple(limits), (), ())


def _check(made: Scan) -> tuple[int, int]:
    """Return the size of the samples; raises InputError for those that cannot be judged."""
    root = made.dataset.root
    for record, fact in zip(made.dataset.records, made.facts, strict=True):
        if not method_of(record):
            raise InputError(
                f"the sample {record.id} does not say how it was made",
                where=root,
                mend="give a folder that gen sample wrote, with its samples.jsonl",
            )
        if fact.label != "good":
            raise InputError(
                f"the sample {record.id} is {fact.label}; clean pictures are selected here",
                where=root,
                mend="train on clean pictures alone (--assume-good if those without a mask are); "
                "pairs of picture and mask are for filter",
            )
    sizes = {(fact.width, fact.height) for fact in made.facts}
    if len(sizes) != 1:
        raise InputError(f"samples of {len(sizes)} sizes", where=root)
    return sizes.pop()


@dataclass
class _Seen:
    """What is known of pictures from their pixels: (N, TRAITS) traits, digests; (N, D) features."""

    load: Callable[[int], Image]
    traits: Rows
    digests: list[str]
    features: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 1), np.float32))

    @staticmethod
    def of(dataset: DataSet, size: tuple[int, int], fit: Fit, label: str) -> "_Seen":
        def load(place: int) -> Image:
            image = fit(read_image(dataset.records[place].image), size)
            if (image.shape[1], image.shape[0]) != size:
                raise InputError(
                    f"a real picture of {image.shape[1]}x{image.shape[0]}, the samples are "
                    f"{size[0]}x{size[1]}",
                    where=dataset.records[place].image,
                    mend="give the pictures that the generator learned from",
                )
            return image

        found, digests = [], []
        for place in track(range(len(dataset)), label, len(dataset)):
            image = load(place)
            found.append(traits(image))
            digests.append(pixel_digest(image))
        return _Seen(load, np.stack(found), digests)

    def extract(self, extractor: Extractor, compute: Compute, label: str) -> None:
        self.features = extract(
            extractor,
            self.digests,
            self.load,
            device=compute.device,
            batch=compute.batch,
            store=compute.store,
            label=label,
        )


def _distances(
    own: _Seen,
    theirs: _Seen,
    groups: list[str],
    settings: SelectSettings,
    extractor: Extractor,
    compute: Compute,
) -> tuple[list[Threshold], dict[str, Rows]]:
    """Return the limits of quality and of copies, and what of each the samples reach."""
    theirs.extract(extractor, compute, "features real")
    own.extract(extractor, compute, "features")
    real = apart(theirs.features, groups)
    quantile = _quantile(settings, len(groups))
    limits = list(distance_thresholds(NAME, real, groups, quantile, settings.copies))
    distances = to_real(_crops(own.features), _crops(theirs.features))
    names = ("quality", "novelty")
    shares = (_share(distances, limit.value) for limit in limits)
    return limits, dict(zip(names, shares, strict=True))


def _quantile(settings: SelectSettings, count: int) -> float:
    """Return the quantile of each of the two limits, so that ``keep`` pass both at least.

    count: real pictures. One more of their kind lies within the q (n + 1) / n quantile of n with a
    probability of q (split conformal prediction; Lei et al. 2018, section 2.2).
    """
    each = 1 - (1 - settings.keep) / 2
    return min(1.0, each * (count + 1) / count)


def _crops(features: NDArray[np.float32]) -> ClassCrops:
    return ClassCrops(features, np.arange(len(features)), ())


def _share(values: Rows, limit: float) -> Rows:
    """Return values in parts of a limit; of a limit of 0, nothing but 0 is within."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.minimum(values / limit, MOST)
    return np.where(values == 0, 0.0, found)


@dataclass
class _Rank:
    """The verdicts so far; ``left`` are those not rejected, the most real ones first.

    liked: accepted by a person; they come first and are not rejected.
    """

    verdicts: list[Verdict]
    features: NDArray[np.float32]
    scores: dict[str, Rows]
    liked: frozenset[int] = frozenset()

    def left(self) -> list[int]:
        places = [i for i, verdict in enumerate(self.verdicts) if verdict.accepted]
        quality = self.scores["quality"]
        return sorted(places, key=lambda i: (i not in self.liked, float(quality[i]), i))

    def reject(self, places: Iterable[int], reason: str) -> None:
        for i in places:
            old = self.verdicts[i]
            if old.accepted and i not in self.liked:
                self.verdicts[i] = Verdict(old.id, old.classes, old.digest, reason, old.scores)

    def reject_twins(self, limit: float) -> None:
        """Reject near copies of a sample that is more real than they are."""
        self.reject(twins({0: _crops(self.features)}, {0: limit}, self.left()), TWIN)
