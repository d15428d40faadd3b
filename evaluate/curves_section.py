"""The report's section on a generator's training: losses, preview pictures, variety."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import cv2
import numpy as np

from flawsmith.data.images import read_image
from flawsmith.data.kept import EXACT
from flawsmith.data.tables import read_json
from flawsmith.errors import InputError
from flawsmith.evaluate.curves_plot import Curve, Numbers, plot
from flawsmith.evaluate.pictures import data_uri
from flawsmith.evaluate.report import Section
from flawsmith.sample import Image

# What inpainting writes beside its run.
VARIETY = "variety.json"
POINTS = 300
PREVIEW_WIDTH = 1024
PREVIEW_BYTES = 240_000
PREVIEW_SHOWS = (
    "Rows from the top: a real defect; the same painted anew; a mask; clean surface; the defect "
    "painted onto it. Pictures and noise are the same throughout the training."
)
CLEAN_SHOWS = (
    "Rows from the top: real clean images; two rows of generated ones; a walk between two of them. "
    "The generated ones come of the same noise throughout the training."
)


@dataclass(frozen=True)
class Training:
    """What a training run left to look at. previews: (step, picture) in ascending order.

    steps: the last step on record; rate: steps a second, the median; variety: rows of
    ``variety.json``; faults: what could not be read, for people.
    """

    curves: tuple[Curve, ...]
    previews: tuple[tuple[int, Image], ...] = ()
    steps: int = 0
    rate: float = 0.0
    variety: tuple[dict[str, Any], ...] = ()
    faults: tuple[str, ...] = field(default=())


def read_training(run: Path) -> Training:
    """Read a run folder as far as it can be: a report must not fail for a line that a kill cut."""
    # Only here: it loads torch, which a report without a generator does without.
    from flawsmith.train.runs import METRICS, PREVIEWS

    lines = read_metrics(run / METRICS)
    faults = [] if lines else [f"{METRICS} holds no step"]
    previews, broken = _previews(run / PREVIEWS)
    rates = [line["rate"] for line in lines.values() if line["rate"] > 0]
    variety, unread = _variety(run / VARIETY)
    return Training(
        curves=_curves(lines),
        previews=previews,
        steps=max(lines, default=0),
        rate=float(np.median(rates)) if rates else 0.0,
        variety=variety,
        faults=(*faults, *broken, *unread),
    )


def read_metrics(path: Path) -> dict[int, dict[str, Any]]:
    """Return step -> {losses, rate} in ascending order; lines that are none are passed over.

    A step that comes twice (it was trained again after a kill) counts as it came last.
    """
    found: dict[int, dict[str, Any]] = {}
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        return found
    for line in text.split("\n"):
        try:
            entry = json.loads(line)
            step, losses = int(entry["step"]), dict(entry["losses"])
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
            continue
        if not 0 <= step < EXACT:
            continue
        numbers = {str(name): value for name, value in losses.items() if _is_number(value)}
        rate = entry.get("steps_per_second")
        found[step] = {"losses": numbers, "rate": rate if _is_number(rate) else 0.0}
    return dict(sorted(found.items()))


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(float(str(value)))


def _curves(lines: dict[int, dict[str, Any]]) -> tuple[Curve, ...]:
    names = dict.fromkeys(name for line in lines.values() for name in line["losses"])
    curves = []
    for name in names:
        known = [(step, line["losses"]) for step, line in lines.items() if name in line["losses"]]
        steps = np.array([step for step, _ in known], np.float64)
        values = np.array([losses[name] for _, losses in known], np.float64)
        curves.append(Curve(name, *thinned(steps, values)))
    return tuple(curves)


def thinned(steps: Numbers, values: Numbers, limit: int = POINTS) -> tuple[Numbers, Numbers]:
    """Return at most ``limit`` points: means of neighbouring ones, as even in number as can be."""
    if len(steps) <= limit:
        return steps, values
    parts = (np.array_split(numbers, limit) for numbers in (steps, values))
    first, second = (np.array([part.mean() for part in numbers]) for numbers in parts)
    return first, second


def _previews(folder: Path) -> tuple[tuple[tuple[int, Image], ...], list[str]]:
    """Return the first and the last preview with their steps, and what could not be read."""
    paths = sorted(p for p in folder.glob("*.png") if p.stem.isdecimal()) if folder.is_dir() else []
    chosen = list(dict.fromkeys([*paths[:1], *paths[-1:]]))
    found, faults = [], []
    for path in chosen:
        try:
            found.append((int(path.stem), _scaled(read_image(path))))
        except InputError:
            faults.append(f"the preview {path.name} cannot be read")
    return tuple(found), faults


def _scaled(image: Image) -> Image:
    scale = min(1.0, PREVIEW_WIDTH / image.shape[1])
    size = (round(image.shape[1] * scale), max(1, round(image.shape[0] * scale)))
    if scale == 1:
        return image
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _variety(path: Path) -> tuple[tuple[dict[str, Any], ...], list[str]]:
    """Return a row a class: name, painted, masks, real, defects, pairs, share."""
    if not path.is_file():
        return (), []
    names = ("name", "painted", "masks", "real", "defects", "pairs", "share")
    try:
        rows = tuple({name: row[name] for name in names} for row in read_json(path)["classes"])
    except (InputError, TypeError, KeyError):
        return (), [f"{path.name} cannot be read"]
    return rows, []


def curves_section(method: str, run: Training, shows: str = PREVIEW_SHOWS) -> Section:
    """How a generator's training went. shows: what is to be seen on its preview pictures."""
    previews = [
        {
            "step": step,
            "uri": data_uri(picture, quality=88, limit=PREVIEW_BYTES),
            "width": picture.shape[1],
            "height": picture.shape[0],
        }
        for step, picture in run.previews
    ]
    context = {
        "method": method,
        "run": run,
        "plot": plot(run.curves, run.steps, f"curves-{crc32(ascii(method).encode()):x}"),
        "thinned": any(len(curve.steps) == POINTS for curve in run.curves),
        "rows": [_row(curve) for curve in run.curves],
        "previews": previews,
        "shows": shows,
        "variety": [_told(row) for row in run.variety],
    }
    return Section(f"How the generator learned: {method}", "section_curves.html.j2", context)


def _row(curve: Curve) -> tuple[str, list[str]]:
    """Return the name, and as text: at first, at last, the lowest."""
    numbers = (curve.values[0], curve.values[-1], curve.values.min())
    return curve.name, [f"{number:.4g}" for number in numbers]


def _told(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the variety with its numbers as text, a dash where there is none."""
    written = {
        name: f"{row[name]:.3f}" if _is_number(row[name]) else "–"
        for name in ("painted", "real", "share")
    }
    return {**row, **written}
