"""What the report's sections are given: tables of plain values, worked out from facts."""

import json
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from flawsmith.data.dataset import DataSet
from flawsmith.data.manifest import class_colours
from flawsmith.data.scan import Facts
from flawsmith.evaluate.pictures import pair_rows
from flawsmith.evaluate.report import Section
from flawsmith.evaluate.segmenter.schedule import Schedule
from flawsmith.sample import LABELS, Sample

SKIPPED_SHOWN = 50
USUAL = Schedule()
SIZES_SHOWN = 6


@dataclass(frozen=True)
class MethodCounts:
    """What became of the samples asked of one method.

    refused: reasons why a sample could not be made; rejected: reasons why a made one was not kept.
    """

    method: str
    asked: int
    refused: Mapping[str, int] = field(default_factory=dict)
    accepted: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)

    @property
    def refusals(self) -> int:
        return sum(self.refused.values())

    @property
    def rejections(self) -> int:
        return sum(self.rejected.values())

    @property
    def made(self) -> int:
        """Candidates: accepted and rejected ones."""
        return self.accepted + self.rejections


def input_section(
    dataset: DataSet, facts: Sequence[Facts], parts: Mapping[str, Sequence[int]]
) -> Section:
    """What came in. ``facts`` are those of the data set; ``parts`` hold indices into them."""
    labels = Counter(fact.label for fact in facts)
    sizes = Counter((fact.width, fact.height) for fact in facts).most_common()
    shown = sizes[:SIZES_SHOWN]
    # Where nearly every image has a size of its own, a list of sizes tells nothing.
    if 5 * sum(number for _, number in shown) < len(facts):
        shown = []
    groups = len({fact.group for fact in facts})
    context = {
        "format": dataset.format,
        "total": len(facts),
        "labels": {label: labels[label] for label in LABELS},
        "channels": _channels(facts),
        "spans": _spans(facts),
        "groups": groups,
        "sizes": shown,
        "other_sizes": len(sizes) - len(shown),
        "classes": _class_rows(dataset.classes, facts),
        "parts": _split(dataset.classes, facts, parts) if parts else None,
        "notices": dataset.notices,
        "skipped": dataset.skipped[:SKIPPED_SHOWN],
        "skipped_total": len(dataset.skipped),
        "reasons": _frequent(entry.reason for entry in dataset.skipped),
    }
    return Section("What came in", "section_input.html.j2", context)


def _channels(facts: Sequence[Facts]) -> str:
    kinds = Counter("grey" if fact.channels == 1 else "RGB" for fact in facts)
    if len(kinds) == 1:
        return f"all {next(iter(kinds))}"
    return ", ".join(f"{number:,} {kind}" for kind, number in kinds.most_common())


def _spans(facts: Sequence[Facts]) -> str:
    """Return the ranges of width and height, and how many sizes there are."""
    if not facts:
        return ""
    widths, heights = [fact.width for fact in facts], [fact.height for fact in facts]
    ranges = f"{_span(widths)} px wide, {_span(heights)} px high"
    sizes = len(set(zip(widths, heights, strict=True)))
    return ranges if sizes == 1 else f"{ranges}, in {sizes:,} sizes"


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low} to {high}"


def _frequent(reasons: Iterable[str]) -> list[tuple[str, int]]:
    """Return the reasons that explain several entries each, at most five."""
    return [(reason, n) for reason, n in Counter(reasons).most_common(5) if n > 1]


def _class_rows(classes: Sequence[str], facts: Sequence[Facts]) -> list[dict[str, Any]]:
    rows = []
    for plane, (name, colour) in enumerate(zip(classes, class_colours(len(classes)), strict=True)):
        areas = [c.area for fact in facts for c in fact.components if c.plane == plane]
        rows.append(
            {
                "name": name,
                "colour": colour,
                "images": sum(plane in fact.planes for fact in facts),
                "components": len(areas),
                "pixels": sum(fact.pixels[plane] for fact in facts),
                "median": round(median(areas)) if areas else None,
                "smallest": min(areas, default=None),
                "largest": max(areas, default=None),
            }
        )
    return rows


def _split(
    classes: Sequence[str], facts: Sequence[Facts], parts: Mapping[str, Sequence[int]]
) -> dict[str, Any]:
    """Return the table of the split (a column a part) and the number of groups in two parts."""
    members = {name: [facts[i] for i in indices] for name, indices in parts.items()}
    rows = [
        (name, colour, [sum(plane in f.planes for f in part) for part in members.values()])
        for plane, (name, colour) in enumerate(
            zip(classes, class_colours(len(classes)), strict=True)
        )
    ]
    homes = Counter(group for part in members.values() for group in {f.group for f in part})
    return {
        "names": list(members),
        "rows": rows,
        "good": [sum(f.label == "good" for f in part) for part in members.values()],
        "samples": [len(part) for part in members.values()],
        "groups": [len({f.group for f in part}) for part in members.values()],
        "torn": sum(number > 1 for number in homes.values()),
    }


def grid_section(
    method: str,
    real: Iterable[Sample],
    made: Iterable[Sample],
    classes: Sequence[str],
    text: str,
    *,
    limit: int = 3,
) -> Section:
    """Real samples beside those of ``method``, up to ``limit`` a class, under a line of text."""
    rows = pair_rows(real, made, classes, method=method, limit=limit)
    context = {"method": method, "rows": rows, "text": text}
    return Section(f"Real and made: {method}", "section_grid.html.j2", context)


def counts_section(rows: Sequence[MethodCounts]) -> Section:
    """What became of the samples asked of each method, with all reasons."""
    context = {
        "rows": rows,
        "total": {
            "asked": sum(row.asked for row in rows),
            "refusals": sum(row.refusals for row in rows),
            "made": sum(row.made for row in rows),
            "rejections": sum(row.rejections for row in rows),
            "accepted": sum(row.accepted for row in rows),
        },
        "refused": _reasons([row.refused for row in rows]),
        "rejected": _reasons([row.rejected for row in rows]),
    }
    return Section("What was made and kept", "section_counts.html.j2", context)


def _reasons(columns: Sequence[Mapping[str, int]]) -> list[tuple[str, list[int]]]:
    """Return (reason, a count a method), the most frequent reason first."""
    total: Counter[str] = Counter()
    for column in columns:
        total.update(column)
    ordered = sorted(total, key=lambda reason: (-total[reason], reason))
    return [(reason, [column.get(reason, 0) for column in columns]) for reason in ordered]


def usage_section(
    dataset_path: str,
    format: str,
    classes: Sequence[str],
    parts: Mapping[str, Mapping[str, int]],
    *,
    overlap: bool = False,
    schedule: Schedule = USUAL,
) -> Section:
    """How to train with the output, as snippets that are ready to copy.

    dataset_path: the folder with ``train``, ``test`` and ``synthetic``; format: theirs.
    parts: label counts of each part that was written (as ``dataset.json`` holds them).
    overlap: whether classes overlap, so that masks lie in one folder a class. schedule: how long
    synthetic samples are shown first, and how many.
    """
    totals = {name: sum(labels.values()) for name, labels in parts.items()}
    folder = dataset_path.rstrip("/") if format == "folder" else "folder-format"
    context = {
        "path": dataset_path.rstrip("/"),
        "format": format,
        "classes": list(zip(classes, class_colours(len(classes)), strict=True)),
        "totals": totals,
        "synthetic": totals.get("synthetic", 0) > 0,
        "clean": parts.get("train", {}).get("good", 0) > 0,
        "overlap": overlap,
        "schedule": schedule,
        # A JSON text is a Python text, too, and a YAML text, whatever the name is.
        "literal": json.dumps(folder, ensure_ascii=False),
        "shell": {name: shlex.quote(f"{dataset_path.rstrip('/')}/{name}") for name in totals},
        "unknown": sum(labels.get("unknown", 0) for labels in parts.values()),
        "yaml_names": [json.dumps(name, ensure_ascii=False) for name in classes],
    }
    return Section("How to use the data", "section_usage.html.j2", context)
