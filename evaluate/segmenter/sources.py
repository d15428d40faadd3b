"""What an arm of the comparison learns from: real samples, synthetic ones, and when which."""

from dataclasses import dataclass, field

from flawsmith.data.cache import SampleCache
from flawsmith.data.scan import Scan
from flawsmith.errors import InputError
from flawsmith.evaluate.segmenter.crops import Crop, Pool
from flawsmith.evaluate.segmenter.schedule import Schedule
from flawsmith.evaluate.segmenter.settings import SegmentSettings
from flawsmith.seeding import rng


@dataclass(frozen=True)
class Arm:
    """One training set: real samples, and synthetic ones unless it is the real-only arm.

    Which crop a place of the batch gets depends on (seed, step, place) alone; at places that are
    real it is the same one in every arm, so that arms differ by nothing but what was added.
    """

    name: str
    real: Pool
    synthetic: Pool | None = None
    schedule: Schedule = field(default_factory=Schedule)

    def is_synthetic(self, seed: int, step: int, total: int, place: int) -> bool:
        """Tell whether a place of the batch is taken from the synthetic samples."""
        if self.synthetic is None:
            return False
        drawn = rng(seed, "mixing", step, place).random()
        defect = self.shows_defect(step, place)
        return bool(drawn < self.schedule.share_at(step, total, defect=defect))

    @staticmethod
    def shows_defect(step: int, place: int) -> bool:
        """Tell whether the crop of a place holds a defect: every second one does."""
        return (step + place) % 2 == 0

    def crop(self, seed: int, step: int, total: int, place: int) -> tuple[Crop, bool]:
        """Return the crop of a place in the batch, and whether it is synthetic.

        Every second crop holds a defect, the others lie anywhere in samples of their pool.
        """
        synthetic = self.is_synthetic(seed, step, total, place)
        pool = self.synthetic if synthetic and self.synthetic else self.real
        generator = rng(seed, "synthetic" if synthetic else "real", step, place)
        return pool.draw(generator, defect=self.shows_defect(step, place)), synthetic


def arm_of(
    name: str,
    real: Scan,
    synthetic: Scan | None,
    settings: SegmentSettings,
    samples: SampleCache | None = None,
) -> Arm:
    """Return an arm of scanned data sets; None: the real samples alone.

    samples: the real ones, where another arm has decoded them. Raises InputError when nothing is
    marked on the real ones, when the classes differ, and when a data set has no sample to learn
    from.
    """
    own = real.dataset
    if not any(fact.planes for fact in real.facts):
        raise InputError(
            "no defect is marked: there is nothing to learn from",
            where=own.root,
            mend="add images with masks; see flawsmith data info",
        )
    added = None
    if synthetic is not None:
        if synthetic.dataset.classes != own.classes:
            raise InputError(
                f"its classes are {', '.join(synthetic.dataset.classes)}; those of the real "
                f"samples {', '.join(own.classes)}",
                where=synthetic.dataset.root,
                mend="name the same classes in the same order",
            )
        added = Pool(synthetic, settings.crop, settings.rim)
    return Arm(name, Pool(real, settings.crop, samples=samples), added, settings.schedule)
