"""What a comparison of real and generated images says: figures with floors, and closest pairs."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

View = Literal["image", "crop"]
Better = Literal["low", "high"]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Figure:
    """One measure, taken over draws of n real and n made samples, and what real halves give.

    value: median of 100 draws; low, high: their 5th and 95th percentile.
    floor: what 95% of 200 divisions of the real samples keep at the same n: their 95th percentile
    where less is better, their 5th where more is.
    full: the measure over all samples at once, where that is customary, else None.
    """

    name: str
    value: float
    low: float
    high: float
    floor: float
    better: Better
    full: float | None = None

    @property
    def inside(self) -> bool:
        """Whether real samples, divided, differ as much."""
        return self.value <= self.floor if self.better == "low" else self.value >= self.floor


@dataclass(frozen=True)
class Pair:
    """A made sample and the real one closest to it; boxes are x, y, width, height in pixels.

    trained: the real one is of the training images, not of the compared ones.
    """

    made: str
    real: str
    distance: float
    made_box: Box
    real_box: Box
    trained: bool = False


@dataclass(frozen=True)
class Comparison:
    """All figures of one view (whole images or defect crops) and one scope.

    scope: ``(good)``, ``(defective)`` (images), ``(all)`` (crops) or a class. n: samples a side in
    each draw. groups: physical parts among the real ones. n_train, train_groups: the training
    images that serve for the floor too. refused: why there are no figures, else empty.
    closest: the closest pairs first, at most one a made sample.
    """

    view: View
    scope: str
    n_real: int
    groups: int
    n_made: int
    n: int = 0
    figures: tuple[Figure, ...] = ()
    closest: tuple[Pair, ...] = ()
    refused: str = ""
    n_train: int = 0
    train_groups: int = 0


@dataclass(frozen=True)
class Distances:
    """The comparisons of one candidate set; ``features`` says which network and resize saw them."""

    features: str
    resize: str
    seed: int
    comparisons: tuple[Comparison, ...]

    def to_json(self) -> dict[str, Any]:
        content = asdict(self)
        for entry, comparison in zip(content["comparisons"], self.comparisons, strict=True):
            for figure, found in zip(entry["figures"], comparison.figures, strict=True):
                figure["inside"] = found.inside
        return content

    @staticmethod
    def from_json(content: dict[str, Any]) -> "Distances":
        return Distances(
            content["features"],
            content["resize"],
            content["seed"],
            tuple(_comparison(entry) for entry in content["comparisons"]),
        )


def _comparison(entry: dict[str, Any]) -> Comparison:
    figures = tuple(
        Figure(**{name: value for name, value in figure.items() if name != "inside"})
        for figure in entry["figures"]
    )
    return Comparison(**{**entry, "figures": figures, "closest": tuple(_pairs(entry["closest"]))})


def _pairs(entries: Iterable[dict[str, Any]]) -> Iterable[Pair]:
    for entry in entries:
        boxes = {name: tuple(entry[name]) for name in ("made_box", "real_box")}
        yield Pair(**{**entry, **boxes})
