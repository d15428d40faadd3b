"""What a data set holds, in numbers: pure arithmetic on the facts of a scan."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from flawsmith.data.scan import Facts, Scan
from flawsmith.sample import LABELS

QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


@dataclass(frozen=True)
class ClassStatistics:
    """One class: images that show it, its connected components, and its pixels.

    areas: quantile -> component area in pixels (linear between the two nearest), or empty.
    """

    name: str
    images: int
    components: int
    pixels: int
    areas: dict[str, float]


@dataclass(frozen=True)
class Statistics:
    """A data set in numbers; JSON-able.

    sizes: "WIDTHxHEIGHT" -> images, the most frequent first; overlapping: images in which two
    classes mark the same pixel.
    """

    format: str
    samples: int
    labels: dict[str, int]
    classes: tuple[ClassStatistics, ...]
    sizes: dict[str, int]
    grey: int
    colour: int
    groups: int
    several_classes: int
    overlapping: int
    skipped: tuple[dict[str, Any], ...]
    notices: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def describe(scan: Scan) -> Statistics:
    """Return the statistics of a scanned data set."""
    facts, dataset = scan.facts, scan.dataset
    labels = Counter(fact.label for fact in facts)
    sizes = Counter((fact.width, fact.height) for fact in facts)
    ordered = sorted(sizes.items(), key=lambda entry: (-entry[1], entry[0]))
    grey = sum(fact.channels == 1 for fact in facts)
    return Statistics(
        format=dataset.format,
        samples=len(facts),
        labels={label: labels[label] for label in LABELS},
        classes=tuple(
            describe_class(name, plane, facts) for plane, name in enumerate(dataset.classes)
        ),
        sizes={f"{width}x{height}": n for (width, height), n in ordered},
        grey=grey,
        colour=len(facts) - grey,
        groups=len({fact.group for fact in facts}),
        several_classes=sum(len(fact.planes) > 1 for fact in facts),
        overlapping=sum(fact.overlap for fact in facts),
        skipped=tuple(asdict(entry) for entry in dataset.skipped),
        notices=dataset.notices,
    )


def describe_class(name: str, plane: int, facts: Sequence[Facts]) -> ClassStatistics:
    """Return the statistics of one mask plane."""
    areas = component_areas(facts, plane)
    quantiles = np.quantile(areas, QUANTILES) if areas else ()
    return ClassStatistics(
        name=name,
        images=sum(plane in fact.planes for fact in facts),
        components=len(areas),
        pixels=sum(fact.pixels[plane] for fact in facts),
        areas={f"{q:g}": float(a) for q, a in zip(QUANTILES, quantiles, strict=False)},
    )


def component_areas(facts: Sequence[Facts], plane: int) -> list[int]:
    """Return the areas in pixels of all components of a class."""
    return [c.area for fact in facts for c in fact.components if c.plane == plane]


def components_an_image(facts: Sequence[Facts], plane: int | None = None) -> list[int]:
    """Return the number of components of each image that has any: of one class, or of all."""
    counts = (sum(plane is None or c.plane == plane for c in fact.components) for fact in facts)
    return [count for count in counts if count]
