"""The drawings of a judgement by detectors as PNG files, each whole or not there."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flawsmith.data.writing import make_folder
from flawsmith.evaluate.detect_plot import draw, draw_maps, spoken, spoken_maps
from flawsmith.evaluate.detect_result import Judged
from flawsmith.train.files import replace_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

DPI = 110


def write_plots(done: Sequence[Judged], folder: Path) -> list[Path]:
    """Write two PNGs a detector and return their paths; raises OutputError.

    scores-NAME.png: ROC, precision and recall, scores by kind; maps-NAME.png: pictures with masks
    and maps. What each shows is in its ``Description``, for those who cannot see it. The same
    judgement gives the same bytes.
    """
    make_folder(folder)
    paths = []
    for name, figure, said in _drawings(done):
        content = io.BytesIO()
        facts = {"Software": None, "Title": name, "Description": said}
        figure.savefig(content, dpi=DPI, format="png", metadata=facts)
        paths.append(folder / f"{name}.png")
        replace_file(paths[-1], content.getvalue())
    return paths


def _drawings(done: Sequence[Judged]) -> "Iterator[tuple[str, Drawing, str]]":
    for one in done:
        yield f"scores-{one.name}", draw(one), spoken(one)
        yield f"maps-{one.name}", draw_maps(one), spoken_maps(one)
