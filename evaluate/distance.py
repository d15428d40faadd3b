"""Distances between real and generated images: which are compared, on which features, at which N.

Design: whole images and defect crops, overall and per class; each scope is compared by itself, or
refused with the number of samples that it lacks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from flawsmith.data.dataset import DataSet
from flawsmith.data.formats import ReadOptions, read_dataset
from flawsmith.data.jobs import Show, quiet
from flawsmith.data.scan import Scan, scan
from flawsmith.errors import InputError
from flawsmith.evaluate.comparison import Comparison, Distances, Pair, View
from flawsmith.evaluate.feature_store import FeatureStore
from flawsmith.evaluate.features import Extractor, extract, open_extractor
from flawsmith.evaluate.figures import Floors, Side, draw_size, figures
from flawsmith.evaluate.looks import ALL, WHOLE, Look, Pictures, looks
from flawsmith.evaluate.neighbours import nearest
from flawsmith.settings import Settings

CLOSEST = 4
Array = NDArray[np.float32]


class DistanceSettings(Settings):
    """What decides the figures."""

    features: str = Field("lite0", description="network whose features are compared")
    weights: Path | None = Field(None, description="its weights; default: the usual ones")
    views: tuple[View, ...] = ("image", "crop")
    seed: int = Field(0, ge=0, strict=True)


@dataclass(frozen=True)
class Compute:
    """How features are computed; none of it decides the figures."""

    store: FeatureStore | None = None
    device: str = "auto"
    batch: int = 32
    # Of each view and scope; kept between candidate sets that are compared with the same images.
    floors: dict[tuple[str, str], Floors] = field(default_factory=dict)


def features_of(
    dataset: DataSet, chosen: Sequence[Look], extractor: Extractor, compute: Compute, label: str
) -> Array:
    """Return (N, D) float32: the features of pictures of a data set."""
    return extract(
        extractor,
        [look.key for look in chosen],
        Pictures(dataset, chosen),
        device=compute.device,
        batch=compute.batch,
        store=compute.store,
        label=label,
    )


@dataclass(frozen=True)
class Measured:
    """The distances and the data sets they are about."""

    distances: Distances
    real: DataSet
    made: DataSet
    train: DataSet | None

    @property
    def sets(self) -> tuple[DataSet, ...]:
        return (self.real, self.made, *([self.train] if self.train else []))


def folders_of(
    real: Path, candidates: Path, train: Path | None, options: ReadOptions
) -> list[tuple[str, Path, ReadOptions]]:
    """Return (name, folder, how it is read) of each folder that a comparison is about."""
    made = ReadOptions(on_error=options.on_error)
    found = [("real", real, options), ("made", candidates, made)]
    return found if train is None else [*found, ("train", train, options)]


def measure(
    real: Path,
    candidates: Path,
    settings: DistanceSettings,
    *,
    train: Path | None = None,
    options: ReadOptions | None = None,
    compute: Compute | None = None,
    workers: int = 1,
    show: Show = quiet,
) -> Measured:
    """Compare two folders; ``train``: real images that the candidates were made from.

    ``options`` say how the real folders are read. Raises InputError for unusable folders or
    weights, and when every scope has too few samples.
    """
    options = options or ReadOptions()
    extractor = open_extractor(settings.features, settings.weights)
    found = {}
    for name, folder, how in folders_of(real, candidates, train, options):
        dataset = read_dataset(folder, how)
        found[name] = scan(dataset, workers=workers, on_error=how.on_error)
        show(found[name].dataset)
    distances = compare(
        found["real"], found["made"], found.get("train"), settings, extractor, compute or Compute()
    )
    if all(entry.refused for entry in distances.comparisons):
        reasons = dict.fromkeys(f"{e.scope}: {e.refused}" for e in distances.comparisons)
        raise InputError(
            "nothing can be compared: " + ("; ".join(reasons) or "no labelled sample in common"),
            where=candidates,
            mend="give more real images with masks, or more candidates",
        )
    sets = {name: entry.dataset for name, entry in found.items()}
    return Measured(distances, sets["real"], sets["made"], sets.get("train"))


def compare(
    real: Scan,
    made: Scan,
    train: Scan | None,
    settings: DistanceSettings,
    extractor: Extractor,
    compute: Compute,
) -> Distances:
    """Compare scanned data sets scope by scope; scopes with too few samples carry the reason.

    Only what is compared goes through the network. Raises InputError for unreadable pictures.
    """
    sides = {"real": real, "made": made, **({} if train is None else {"train": train})}
    shelves = {name: _Shelf(found, looks(found, settings.views)) for name, found in sides.items()}
    if "train" in shelves:
        shelves["train"].set_apart(shelves["real"])
    plans = [
        _plan(view, scope, shelves, settings.seed)
        for view in settings.views
        for scope in _scopes(view, shelves)
    ]
    ready = [plan for plan in plans if not plan.refused]
    wanted = {(plan.view, plan.scope) for plan in ready}
    for name, shelf in shelves.items():
        shelf.fill(wanted, extractor, compute, f"features {name}")
    compared: list[Comparison] = []
    known: dict[tuple[tuple[int, ...], ...], Comparison] = {}
    for plan in plans:
        if not plan.refused:
            # With one class, it and all of them are the same pictures.
            same = tuple(tuple(s.places(plan.view, plan.scope)) for s in shelves.values())
            if same not in known:
                floors = compute.floors.setdefault((plan.view, plan.scope), {})
                known[same] = _figured(
                    plan, shelves, settings.seed, extractor.distance_name, floors
                )
            plan = replace(known[same], scope=plan.scope)
        compared.append(plan)
    name = extractor.name if extractor.genuine else f"{extractor.name}, other weights"
    return Distances(name, extractor.resize, settings.seed, tuple(compared))


class _Shelf:
    """The looks of one data set, and the features of those that are compared."""

    def __init__(self, found: Scan, seen: Sequence[Look]) -> None:
        self.dataset = found.dataset
        self.seen = list(seen)
        self.features: dict[int, NDArray[np.float32]] = {}

    def set_apart(self, other: "_Shelf") -> None:
        """Leave out the pictures that the other shelf has too; groups of one name are two parts."""
        known = {look.key for look in other.seen}
        kept = [look for look in self.seen if look.key not in known]
        # No group has a control character in its name, so this one is nobody else's.
        self.seen = [replace(look, group=f"\0{look.group}") for look in kept]

    def places(self, view: View, scope: str) -> list[int]:
        return [i for i, look in enumerate(self.seen) if look.view == view and scope in look.scopes]

    def fill(
        self, wanted: set[tuple[View, str]], extractor: Extractor, compute: Compute, label: str
    ) -> None:
        places = [
            i
            for i, look in enumerate(self.seen)
            if any((look.view, scope) in wanted for scope in look.scopes)
        ]
        if places:
            chosen = [self.seen[i] for i in places]
            found = features_of(self.dataset, chosen, extractor, compute, label)
            self.features = dict(zip(places, found, strict=True))

    def side(self, view: View, scope: str) -> Side:
        places = self.places(view, scope)
        features = np.stack([self.features[i] for i in places])
        return Side(features, tuple(self.seen[i].group for i in places))


def _scopes(view: View, shelves: dict[str, _Shelf]) -> list[str]:
    """Return the scopes that made samples have, the widest first."""
    found = {s: 0 for look in shelves["made"].seen if look.view == view for s in look.scopes}
    order = [*WHOLE.values(), ALL, *shelves["real"].dataset.classes]
    return sorted(found, key=lambda s: (order.index(s) if s in order else len(order), s))


def _plan(view: View, scope: str, shelves: dict[str, _Shelf], seed: int) -> Comparison:
    """Return the comparison to make, still without figures, or its refusal."""
    groups = {
        name: tuple(shelf.seen[i].group for i in shelf.places(view, scope))
        for name, shelf in shelves.items()
    }
    train, made = groups.get("train", ()), len(groups["made"])
    plan = Comparison(
        view,
        scope,
        len(groups["real"]),
        len(set(groups["real"])),
        made,
        n_train=len(train),
        train_groups=len(set(train)),
    )
    try:
        return replace(plan, n=draw_size(groups["real"], train, made, seed))
    except InputError as error:
        return replace(plan, refused=error.what)


def _figured(
    plan: Comparison, shelves: dict[str, _Shelf], seed: int, distance_name: str, floors: Floors
) -> Comparison:
    label = f"{plan.view}s, {plan.scope}"
    real = shelves["real"].side(plan.view, plan.scope)
    made = shelves["made"].side(plan.view, plan.scope).features
    train = None
    if "train" in shelves and shelves["train"].places(plan.view, plan.scope):
        train = shelves["train"].side(plan.view, plan.scope)
    return replace(
        plan,
        figures=figures(real, train, made, plan.n, seed, distance_name, floors, label),
        closest=_closest(plan, shelves, made, real.joined(train).features),
    )


def _closest(
    plan: Comparison, shelves: dict[str, _Shelf], made: Array, pool: Array
) -> tuple[Pair, ...]:
    """Return the closest pairs; each made and each real sample occurs once."""
    known = [
        (shelf.seen[i], name == "train")
        for name in ("real", "train")
        if (shelf := shelves.get(name))
        for i in shelf.places(plan.view, plan.scope)
    ]
    shelf = shelves["made"]
    mine = [shelf.seen[i] for i in shelf.places(plan.view, plan.scope)]
    distances, indices = nearest(made, pool)
    pairs: list[Pair] = []
    for place in np.argsort(distances, kind="stable"):
        look, (other, trained) = mine[place], known[indices[place]]
        real = (other.id, trained)
        new = all(pair.made != look.id and (pair.real, pair.trained) != real for pair in pairs)
        if new and len(pairs) < CLOSEST:
            distance = float(distances[place])
            pairs.append(Pair(look.id, other.id, distance, look.box, other.box, trained))
    return tuple(pairs)
