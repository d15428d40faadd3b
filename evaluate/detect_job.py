"""What one detector is given: the sets at its size, its settings, and how it is fitted."""

import time
from dataclasses import dataclass
from pathlib import Path

from flawsmith.data.scan import Scan
from flawsmith.data.staging import job_digest
from flawsmith.errors import InputError
from flawsmith.evaluate.detect_result import Costs
from flawsmith.evaluate.detect_settings import DetectSettings
from flawsmith.evaluate.detect_sources import Share, shares_of
from flawsmith.evaluate.detectors.base import Detector, Scored
from flawsmith.evaluate.detectors.frames import Fitted, Form
from flawsmith.evaluate.detectors.registry import TRAINED, open_detector
from flawsmith.progress import say
from flawsmith.sample import Image, Label

# Sides of pictures: by default; in the source works; and in ALAD's study.
USUAL, THESIS, ALAD = 128, 256, 64
# Pictures whose width is this much more of their height than usual are stretched visibly.
STRETCHED = 1.1


def form_of(clean: Scan, settings: DetectSettings, name: str) -> Form:
    """Return the form that a detector's pictures are brought to: grey if all clean ones are."""
    colour = any(clean.facts[i].channels == 3 for i in clean.where("good"))
    thesis = ALAD if name == "alad" else THESIS
    side = settings.side or (thesis if settings.preset == "thesis" else USUAL)
    return Form(side, side, 3 if colour else 1)


def opened(
    name: str, settings: DetectSettings, seed: int, device: str, folder: Path | None = None
) -> Detector:
    """Return an unfitted detector; folder: of its training. Raises InputError for a wrong one."""
    own = {**settings.options.get(name, {}), "seed": seed}
    if settings.epochs and name in TRAINED:
        own["epochs"] = settings.epochs
    return open_detector(name, own, device, preset=settings.preset, folder=folder)


def check_forms(clean: Scan, others: dict[str, Scan]) -> None:
    """Refuse colour where all clean images are grey, and say where shapes differ."""
    good = [clean.facts[i] for i in clean.where("good")]
    grey = all(fact.channels == 1 for fact in good)
    shapes = sorted(fact.width / fact.height for fact in good)
    usual = shapes[len(shapes) // 2]
    for name, found in others.items():
        facts = [found.facts[i] for i in labelled(found)]
        colour = sum(fact.channels == 3 for fact in facts)
        if grey and colour:
            raise InputError(
                f"{colour} of {len(facts)} {name} are in colour, the clean ones are all grey",
                where=found.dataset.root,
                mend="bring all images to the colour mode of the clean ones",
            )
        ratios = [fact.width / fact.height / usual for fact in facts]
        other = sum(max(ratio, 1 / ratio) > STRETCHED for ratio in ratios)
        if other:
            say(
                f"note: {other} of {len(facts)} {name} have another shape than the clean ones, and "
                "all are stretched to one square"
            )


def labelled(found: Scan) -> list[int]:
    """Return the samples of known label."""
    return [i for i, fact in enumerate(found.facts) if fact.label != "unknown"]


@dataclass(frozen=True)
class Job:
    """One detector and all it is given; see ``detect.judge``."""

    name: str
    clean: Scan
    real: Scan
    made: Scan | None
    added: Scan | None
    settings: DetectSettings
    device: str
    runs: Path | None

    @property
    def form(self) -> Form:
        return form_of(self.clean, self.settings, self.name)

    @property
    def counted(self) -> int:
        """Clean pictures that an epoch counts: whatever else is learned, steps are the same."""
        return len(self.clean.where("good"))

    def check(self) -> None:
        """Raise InputError for wrong options, a missing extra, and too few clean pictures."""
        detector = opened(self.name, self.settings, self.settings.seed, self.device)
        detector.check(self.form, self.counted)

    def shares(self) -> tuple[tuple[Share, ...], int]:
        """Return the synthetic images in shares that one detector judges; says what that means."""
        if self.made is None:
            return (), 0
        seed = self.settings.seed
        fewest = opened(self.name, self.settings, seed, self.device).fewest
        shares, left = shares_of(self.clean, self.made, seed, fewest)
        if left or any(share.clean is not self.clean for share in shares):
            say(
                f"note: {self.name}: synthetic images show clean photos that are learned from, so "
                "each is judged by a detector of the other half of the clean parts"
                + (f"; {left} cannot be, left out" if left else "")
            )
        return shares, left

    def pictures(self, found: Scan, label: Label | None = None) -> Fitted:
        """Return a set's pictures of a label, or all whose label is known."""
        return Fitted(found, found.where(label) if label else labelled(found), self.form)

    def fitted(self, seed: int, *sets: Scan) -> tuple[Detector, float]:
        """Return a detector that learned the clean pictures of these sets, and the seconds."""
        learned = [[found.facts[i].digest for i in found.where("good")] for found in sets]
        arm = job_digest({"learned": learned})[:16]
        folder = self.runs / self.name / arm / str(seed) if self.runs else None
        detector = opened(self.name, self.settings, seed, self.device, folder)
        clean = [picture for found in sets for picture in self.pictures(found, "good")]
        began = time.perf_counter()
        detector.fit(clean, counted=self.counted)
        return detector, time.perf_counter() - began

    def timed(self, detector: Detector, seconds: float) -> tuple[Scored, Costs]:
        """Return what a detector says of the real images, and what it cost without decoding."""
        pictures: list[Image] = list(self.pictures(self.real))
        detector.score(pictures[:1])  # the first call of a network is slow
        began = time.perf_counter()
        scored = detector.score(pictures)
        each = 1000 * (time.perf_counter() - began) / len(pictures)
        return scored, Costs(seconds, each, detector.size)
