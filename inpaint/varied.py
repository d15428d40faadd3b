"""A run's ``variety.json``: how much the noise matters, measured once its training is done."""

import json
from pathlib import Path
from typing import Any

from flawsmith.data.kept import read_kept
from flawsmith.data.scan import Scan
from flawsmith.data.symmetry import flips_of
from flawsmith.inpaint.crops import Crops
from flawsmith.inpaint.painter import Painter, load_painter
from flawsmith.inpaint.variety import ENOUGH, PAINTINGS, Ruler, Variety
from flawsmith.progress import say
from flawsmith.train.backbone import lite0
from flawsmith.train.files import replace_file
from flawsmith.train.runs import WEIGHTS
from flawsmith.train.weights import file_sha256

VARIETY = "variety.json"


def keep_variety(found: Scan, run: Path, device: str = "auto") -> None:
    """Measure a trained run with its training images, say and write what was found.

    Weights that were measured already are not again.
    """
    digest = file_sha256(run / WEIGHTS)
    known = read_variety(run)
    if known is None or known["weights"] != digest:
        figures = _measured(found, load_painter(run, device))
        content = {
            "weights": digest,
            "paintings": PAINTINGS,
            "classes": [one.to_json() for one in figures],
        }
        replace_file(run / VARIETY, json.dumps(content, indent=1).encode())
        for line in told(figures):
            say(line)


def read_variety(run: Path) -> dict[str, Any] | None:
    """Return what ``keep_variety`` wrote, or None."""
    path = run / VARIETY
    content: Any = read_kept(path, Any, remove=path) if path.is_file() else None
    return content if isinstance(content, dict) and "weights" in content else None


def told(figures: tuple[Variety, ...]) -> list[str]:
    """Return the figures for people, and what to do about too little."""
    lines = [
        f"variety of {PAINTINGS} paintings of one mask: " + "; ".join(str(one) for one in figures)
    ]
    poor = [one.name for one in figures if one.share is not None and one.share < ENOUGH]
    if poor:
        lines.append(
            f"note: the noise gives less than {ENOUGH:.0%} of real defects' variety for "
            f"{', '.join(poor)}: a higher `diversity_bound` asks for more, in a new folder; looks "
            "may suffer"
        )
    return lines


def _measured(found: Scan, painter: Painter) -> tuple[Variety, ...]:
    crops = Crops(found, painter.settings.geometry, flips_of(found))
    groups = [fact.group for fact in found.facts]
    frozen = lite0().to(painter.device)
    ruler = Ruler(crops, groups, painter.classes, painter.channels, frozen)
    return ruler.measure(painter.generator)
