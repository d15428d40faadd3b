"""A run's mask bank: the masks that it was trained on, and none of the user's pictures.

``RUN/masks`` is a data set in the layout ``folder`` whose pictures are blank. With it, ``apply``
needs nothing but the run and clean pictures, and a run can be handed on without the photos.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flawsmith.data.build import Refused, build
from flawsmith.data.dataset import DataSet
from flawsmith.data.formats import ReadOptions, read_dataset
from flawsmith.data.scan import Scan, scan
from flawsmith.data.staging import staged
from flawsmith.data.writing import Spec
from flawsmith.errors import InputError
from flawsmith.sample import Sample

MASKS = "masks"


@dataclass(frozen=True)
class Blank:
    """The recipe that passes masks on, under black pictures of the same size."""

    dataset: DataSet

    def make(self, index: int) -> Sample | Refused:
        sample = self.dataset[index]
        black = np.zeros(sample.masks.shape[1:], np.uint8)
        return Sample(sample.id, black, sample.masks, "defective", sample.group)


def keep_masks(found: Scan, run: Path, source: dict[str, Any]) -> None:
    """Write the masks of scanned training images into the run folder, once.

    source: JSON-able, what decides which images these are. Raises OutputError when it cannot be
    written.
    """
    marked = found.select([i for i, fact in enumerate(found.facts) if fact.planes])
    job = {"command": "inpaint masks", "source": source}
    # The run's folder is ours, whatever an older flawsmith kept there.
    with staged(run / MASKS, job, overwrite=True) as stage:
        if not stage.done:
            build(
                stage.path,
                Blank(marked.dataset),
                len(marked.dataset),
                format_name="folder",
                spec=Spec(marked.dataset.classes, overlap=marked.overlap),
                made_by=job,
                workers=1,
                label=MASKS,
            )


def read_masks(run: Path, classes: tuple[str, ...], *, workers: int = 1) -> Scan:
    """Return a run's kept masks, scanned; raises InputError if they are missing or do not fit.

    classes: those that the run's generator paints, in its order.
    """
    root = run / MASKS
    if not root.is_dir():
        raise InputError(
            "the masks that it was trained on are not kept here",
            where=run,
            mend="run its flawsmith inpaint train once more: it goes on where it stopped",
        )
    dataset = read_dataset(root, ReadOptions(format="folder"))
    if dataset.classes != classes:
        raise InputError(
            f"masks of {', '.join(dataset.classes) or 'no class'}; the run paints "
            f"{', '.join(classes)}",
            where=root,
            mend="remove this folder and run flawsmith inpaint train once more",
        )
    return scan(dataset, workers=workers)
