"""``clean: gan`` for upright plates: a generator for each third, and plates joined of what passes.

The plates thesis generated anode, glass and cathode separately and joined them. The clean training
plates are cut into their parts; each part has the three stages of ``clean`` to itself, so that a
changed selection of one kind leaves the trainings alone.
"""

from math import prod
from pathlib import Path

from flawsmith.data.build import build
from flawsmith.data.cropping import PartCrops
from flawsmith.data.formats import read_dataset
from flawsmith.data.plates import PARTS
from flawsmith.data.scan import Scan, scan
from flawsmith.data.writing import Spec
from flawsmith.gen.assemble import AssembleSettings, read_seams, take_stock, write_plates
from flawsmith.gen.seam_report import SeamFigures
from flawsmith.pipeline.clean import Maker
from flawsmith.pipeline.gen_plan import gen_plan_of
from flawsmith.pipeline.settings import RunSettings
from flawsmith.pipeline.stages import Stages
from flawsmith.pipeline.surfaces import CUT, JOINED, SELECTED, Lot, Surfaces, joined, stage_of
from flawsmith.progress import say


def plate_stages(
    stages: Stages,
    train: Scan,
    taken: tuple[str, ...],
    settings: RunSettings,
    device: str,
    workers: int,
) -> Surfaces:
    """Return the surfaces to paint on, as ``clean_stages`` does: plates joined of generated parts.

    As many plates as images are drawn of each part, or as there are different ones to be made of
    the parts that passed; none where no part of one kind did.
    """
    clean = train.select(train.where("good"))
    maker = Maker(stages, gen_plan_of(settings, device), device, workers)
    parts = _cut_stage(stages, clean, workers)
    lots = tuple(maker.lot(part, parts[part], CUT) for part in PARTS)
    needs = ("split", *(stage_of(SELECTED, part) for part in PARTS))
    if not all(lot.accepted for lot in lots):
        return Surfaces(train, lots, needs=needs)
    found, seams = _join_stage(maker, lots, clean)
    return Surfaces(
        joined(train, found, taken), lots, seams, needs=(*needs, JOINED), added=len(found.facts)
    )


def _cut_stage(stages: Stages, clean: Scan, workers: int) -> dict[str, Scan]:
    """Return the parts of clean plates, by name from the top."""

    def work(folder: Path) -> None:
        for part in PARTS:
            build(
                folder / part,
                PartCrops(clean.dataset.records, len(clean.dataset.classes), part),
                len(clean.facts),
                format_name="folder",
                spec=Spec(clean.dataset.classes),
                made_by={"stage": CUT, "part": part},
                workers=workers,
                label=f"cut {part}",
            )

    folder = stages.make(CUT, {}, ("split",), work)
    return {part: scan(read_dataset(folder / part), workers=workers) for part in PARTS}


def _join_stage(
    maker: Maker, lots: tuple[Lot, ...], clean: Scan
) -> tuple[Scan, tuple[SeamFigures, ...]]:
    """Return the plates, and how their seams compare with those of the real clean ones."""
    plan, workers = maker.plan, maker.workers
    chosen = AssembleSettings(
        count=min(plan.count, prod(lot.accepted for lot in lots)),
        seed=plan.setup.loop.seed,
        blend=plan.blend,
    )
    inputs = chosen.model_dump(mode="json")

    def work(folder: Path) -> None:
        scans = {lot.part: scan(read_dataset(lot.passed), workers=workers) for lot in lots}
        stock = take_stock(scans, clean, chosen)
        job = {"stage": JOINED, "settings": inputs}
        write_plates(stock, folder, chosen.count, "folder", job, workers)

    needs = ("split", *(stage_of(SELECTED, lot.part) for lot in lots))
    folder = maker.stages.make(JOINED, inputs, needs, work)
    seams = read_seams(folder)
    told = "; ".join(f"seam {figures.seam}: {figures.verdict}" for figures in seams)
    say(f"{JOINED}: {chosen.count} plates of generated parts; {told}")
    return scan(read_dataset(folder), workers=workers), seams
