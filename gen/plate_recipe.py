"""The recipe of assembled plates: plate i from its triple of parts, seams blended and scored."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from flawsmith.data.build import Refused
from flawsmith.data.cache import LIMIT, SampleCache
from flawsmith.data.dataset import DataSet
from flawsmith.data.jobs import source_name
from flawsmith.data.plates import PARTS
from flawsmith.errors import printable
from flawsmith.gen.seams import blend_seam, seam_score
from flawsmith.gen.triples import Triples
from flawsmith.sample import Masks, Sample

SEAMS = tuple(f"{upper}-{lower}" for upper, lower in pairwise(PARTS))


def seam_rows(height: int) -> tuple[int, ...]:
    """Return the first row of each part but the first; ``height`` is that of one part."""
    return tuple(height * n for n in range(1, len(PARTS)))


@dataclass(frozen=True)
class Source:
    """The usable parts of one kind; ``planes[k]`` is the plate's class of the part's class k."""

    name: str
    samples: SampleCache
    planes: tuple[int, ...]

    def facts_of(self, index: int, sample: Sample) -> dict[str, Any]:
        """Return what samples.jsonl keeps of a part: whence it is, and its own plain facts."""
        dataset = self.samples.dataset
        plain = {k: v for k, v in sample.meta.items() if isinstance(v, (str, int, float))}
        return {
            "id": sample.id,
            "group": sample.group,
            "folder": printable(Path(dataset.root).resolve().name),
            "file": source_name(dataset.records[index], dataset.root),
            "meta": plain,
        }


@dataclass(frozen=True)
class Assembly:
    """Plate i: its parts one below the other; every marked pixel is a part's own.

    sources: one a part, from the top; classes: how many the plates have.
    """

    sources: tuple[Source, ...]
    classes: int
    triples: Triples
    blend: int

    @staticmethod
    def of(
        parts: dict[str, DataSet], classes: tuple[str, ...], triples: Triples, blend: int
    ) -> "Assembly":
        """Return the recipe; parts: the usable samples by part; ``classes``: of all of them."""
        sources = tuple(
            Source(
                name,
                SampleCache(parts[name], LIMIT // len(PARTS)),
                tuple(map(classes.index, parts[name].classes)),
            )
            for name in PARTS
        )
        return Assembly(sources, len(classes), triples, blend)

    def make(self, index: int) -> Sample | Refused:
        chosen = self.triples.of(index)
        picked = [source.samples[n] for source, n in zip(self.sources, chosen, strict=True)]
        image = np.concatenate([part.image for part in picked])
        masks = self._masks(picked)
        marked: Masks = np.asarray(masks.any(axis=0))
        rows = seam_rows(picked[0].image.shape[0])
        for row in rows:
            image = blend_seam(image, row, self.blend, marked)
        scores = [seam_score(image, row, marked) for row in rows]
        name = f"assembled_{index:06d}"
        origins = zip(self.sources, chosen, picked, strict=True)
        meta = {
            "method": "assemble",
            "seed": self.triples.seed,
            "index": index,
            "blend_px": self.blend,
            "parts": {source.name: source.facts_of(n, part) for source, n, part in origins},
            "seams": {
                seam: score if score is None else round(score, 4)
                for seam, score in zip(SEAMS, scores, strict=True)
            },
        }
        return Sample(name, image, masks, "defective" if marked.any() else "good", name, meta)

    def _masks(self, picked: list[Sample]) -> Masks:
        """Return the plate's (K, 3 * H, W) masks of its parts'."""
        height, width = picked[0].image.shape[:2]
        masks: Masks = np.zeros((self.classes, height * len(picked), width), bool)
        for n, (source, part) in enumerate(zip(self.sources, picked, strict=True)):
            for plane, mask in zip(source.planes, part.masks, strict=True):
                masks[plane, n * height : (n + 1) * height] = mask
        return masks
