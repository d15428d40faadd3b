"""The report's section on detectors: verdicts in plain words, figures, plots and maps."""

from collections.abc import Sequence
from typing import Any
from zlib import crc32

from flawsmith.evaluate.detect_plot import NO_MAP, plot, spoken_heat, verdict_of
from flawsmith.evaluate.detect_result import Judged
from flawsmith.evaluate.detect_seen import KINDS, Heat
from flawsmith.evaluate.detectors.figures import Figure
from flawsmith.evaluate.pictures import data_uri
from flawsmith.evaluate.report import Section

MIB = 1 << 20
# What a figure tells.
EXPLAINED = {
    "AUROC": "How often a defective image scores higher than a real clean one. 0.5: by chance.",
    "AP": "Average precision: how many alarms are right, over all thresholds. It rises with the "
    "share of defective images.",
    "F1": "Of alarms and finds together, at the threshold that is best on these very images: it "
    "flatters.",
    "found": "Share of defective images above the threshold that passes 95% of real clean ones.",
    "synthetic less real AUROC": "Above 0, synthetic defects are easier to find than real ones.",
    "synthetic clean alarmed": "Share of synthetic clean images above that threshold. Of real ones "
    "it is at most 5% on average.",
    "pixel AUROC": "The same as AUROC of the pixels of the maps, inside and outside of masks of "
    "real images.",
    "PRO": "Share of each real defect that the map marks, over false alarms of up to 30% of the "
    "pixels.",
    "map mass inside": "Share of what a map marks above its median that lies inside of the mask, "
    "the mean over real defects.",
    "synthetic map mass inside": "The same of synthetic defects.",
}


def detect_section(done: Sequence[Judged], leak: str = "") -> Section:
    """What detectors that know real clean images alone say of real and of synthetic ones.

    leak: why the figures are not to be trusted, else nothing.
    """
    named = dict.fromkeys(figure.name for one in done for figure in one.figures)
    context = {
        "detectors": [_detector(one) for one in done],
        "leak": leak,
        "no_map": NO_MAP,
        "explained": [(name, EXPLAINED[name]) for name in named if name in EXPLAINED],
    }
    return Section("What detectors say", "section_detect.html.j2", context)


def _detector(one: Judged) -> dict[str, Any]:
    warnings = (figure.warning for figure in one.figures if figure.warning)
    return {
        "judged": one,
        "verdicts": [text[0].upper() + text[1:] for text in one.verdicts],
        "rows": [_row(figure) for figure in one.figures],
        "warnings": list(dict.fromkeys(warnings)),
        "cost": f"{one.costs.fit_seconds:.1f} s to learn, {one.costs.milliseconds:.1f} ms an "
        f"image, {one.costs.bytes / MIB:.1f} MiB",
        "plot": plot(one, f"detect-{crc32(ascii(one.name).encode()):x}"),
        "heats": _heats(one),
        "seeds": ", ".join(f"{value:.3f}" for value in one.by_seed),
    }


def _row(figure: Figure) -> dict[str, Any]:
    return {
        "figure": figure,
        "value": f"{figure.value:.3f}",
        "span": f"{figure.low:.3f} to {figure.high:.3f}",
    }


def _heats(one: Judged) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return (kind, its strips) in the order of KINDS."""
    found = []
    for kind in KINDS:
        own = [_heat(heat, one) for heat in one.seen.heats if heat.kind == kind]
        if own:
            found.append((kind, own))
    return found


def _heat(heat: Heat, one: Judged) -> dict[str, Any]:
    height, width = heat.strip.shape[:2]
    return {
        "id": heat.id,
        "rank": heat.rank,
        "told": verdict_of(heat, one),
        "alt": spoken_heat(heat, one),
        "uri": data_uri(heat.strip),
        "width": width,
        "height": height,
    }
