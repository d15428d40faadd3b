"""What one detector found out, and what that says in plain words."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from flawsmith.data.kept import fits
from flawsmith.evaluate.detect_seen import FOLDER, Seen, SeenFile
from flawsmith.evaluate.detectors.figures import Figure
from flawsmith.evaluate.detectors.frames import Form
from flawsmith.evaluate.detectors.judgement import (
    ALARMED,
    DIFFERENCE,
    FEWEST,
    alarmed_by_chance,
)
from flawsmith.evaluate.verdict import Finding

# Synthetic clean may be alarmed this often, by the upper end of the interval, to pass for clean:
# three times as often as real clean, of which 5% are alarmed by definition.
TAKEN_FOR_CLEAN = 0.15
EXPECTED = 0.05
# AUROC: below it defects are as good as invisible; differences within ALIKE matter little.
INVISIBLE, ALIKE = 0.6, 0.1
# Begins the name of the figure against a baseline; paired: the draws of groups are the same.
LESS = "AUROC less that of "


@dataclass(frozen=True)
class Costs:
    """seconds to fit, milliseconds to score an image, bytes of the saved detector."""

    fit_seconds: float
    milliseconds: float
    bytes: int


@dataclass(frozen=True)
class Counts:
    """Images that were judged: real clean ones and their parts, synthetic clean and defective."""

    clean: int = 0
    clean_parts: int = 0
    made_clean: int = 0
    made_defects: int = 0


@dataclass(frozen=True)
class Judged:
    """What one detector found.

    figures: in the order of ``judgement.NAMES``, those that there are images for, then pixel AUROC
    and PRO of real defects and the share of the maps' mass inside of real and of synthetic ones,
    each of the first training. by_seed: the AUROC of each training. added: what synthetic clean
    images among the training ones do to the AUROC, None if none were added. seen: the scores and
    some maps. counts: of images. halves: whether synthetic images were judged by detectors of half
    of the clean parts (``detect_sources``); left_out: those that none of them could judge.
    """

    name: str
    form: Form
    learned: int
    figures: tuple[Figure, ...]
    by_seed: tuple[float, ...]
    costs: Costs
    added: Finding | None = None
    seen: Seen = field(default_factory=Seen)
    counts: Counts = Counts()
    halves: bool = False
    left_out: int = 0

    def figure(self, name: str) -> Figure | None:
        """Return the figure of this name, or None if there were no images for it."""
        return next((figure for figure in self.figures if figure.name == name), None)

    @property
    def maps(self) -> bool:
        """Whether it tells where."""
        return any(heat.mapped for heat in self.seen.heats)

    @property
    def verdicts(self) -> tuple[str, ...]:
        """What the figures say of the detector and of the synthetic images, in plain words."""
        told = baseline_verdicts(self)
        if self.counts.made_clean or self.counts.made_defects:
            blind = blind_verdict(self)
            told = (*told, *([blind] if blind else [clean_verdict(self), defect_verdict(self)]))
        return tuple(filter(None, told))

    def to_json(self) -> dict[str, Any]:
        own = asdict(replace(self, seen=Seen())) | {"verdicts": list(self.verdicts)}
        added = self.added.to_json() if self.added else None
        return own | {"added": added, "seen": self.seen.to_json()}

    @staticmethod
    def read(content: dict[str, Any], folder: Path) -> "Judged":
        """Return what ``to_json`` told, with the maps in the folder of ``write_maps``.

        Raises ValueError for content of another shape, InputError for maps that are none.
        """
        fits(content, _Told)
        known = {k: v for k, v in content.items() if k != "verdicts"}
        known |= {
            "form": Form(**content["form"]),
            "figures": tuple(Figure(**figure) for figure in content["figures"]),
            "by_seed": tuple(content["by_seed"]),
            "costs": Costs(**content["costs"]),
            "added": Finding.from_json(content["added"]) if content["added"] else None,
            "counts": Counts(**content["counts"]),
            "seen": Seen.read(content["seen"], _place(folder, content["name"])),
        }
        return Judged(**known)


@dataclass(frozen=True)
class _Told:
    """What ``Judged.to_json`` gives, as a file has it."""

    name: Annotated[str, Field(pattern="^[a-z0-9-]+$")]  # of a folder, too
    form: Form
    learned: int
    figures: tuple[Figure, ...]
    by_seed: tuple[float, ...]
    costs: Costs
    added: Finding | None
    seen: SeenFile
    counts: Counts
    halves: bool
    left_out: int


def write_maps(done: Sequence[Judged], folder: Path) -> None:
    """Write the maps that are shown of each detector below the folder; raises OutputError."""
    for one in done:
        one.seen.write_maps(_place(folder, one.name))


def _place(folder: Path, name: str) -> Path:
    return folder / FOLDER / name


def baseline_verdicts(judged: Judged) -> tuple[str, ...]:
    """Return whether real defects are found better than by each baseline that judged, too."""
    told = []
    for figure in judged.figures:
        if not figure.name.startswith(LESS):
            continue
        if figure.low > 0:
            word = "found better than by"
        elif figure.high < 0:
            word = "found worse than by"
        else:
            word = "not shown to be found better than by"
        span = f"AUROC {figure.value:+.3f}, {figure.low:+.3f} to {figure.high:+.3f}"
        told.append(f"real defects: {word} {figure.name.removeprefix(LESS)} ({span})")
    return tuple(told)


def blind_verdict(judged: Judged) -> str:
    """Return that a detector cannot tell real defects, so that it is no judge; else nothing."""
    own = judged.figure("AUROC")
    if own is None or own.low > 0.5:
        return ""
    span = f"AUROC {own.value:.3f}, {own.low:.3f} to {own.high:.3f}"
    return f"real defects: not told from clean images ({span}); so it is no judge of synthetic ones"


def clean_verdict(judged: Judged) -> str:
    """Return whether synthetic clean images are taken for clean, or nothing without any.

    More often than real ones: by the lower end of the interval, and more often than a threshold
    that is taken from so few parts lets real ones be by chance.
    """
    counts, found = judged.counts, judged.figure(ALARMED)
    if not counts.made_clean:
        return ""
    if found is None:
        return (
            f"synthetic clean images: not judged: {counts.clean} clean test images, {FEWEST} needed"
        )
    parts = counts.clean_parts
    chance = alarmed_by_chance(parts) if parts >= FEWEST else 1.0
    if found.low > max(EXPECTED, chance):
        word = "taken for defects more often than real clean images"
    elif found.high <= TAKEN_FOR_CLEAN:
        word = "taken for clean"
    else:
        word = "no evidence that they are taken for clean, nor that they are not"
    span = f"{found.value:.0%} alarmed, {found.low:.0%} to {found.high:.0%}"
    luck = f"by chance up to {chance:.0%}" if parts >= FEWEST else f"a threshold of {parts} parts"
    return f"synthetic clean images: {word} ({span}; real ones 5%, {luck})"


def defect_verdict(judged: Judged) -> str:
    """Return whether synthetic defects are as findable as real ones, or nothing without any."""
    found, own = judged.figure(DIFFERENCE), judged.figure("synthetic AUROC")
    if found is None or own is None:
        return ""
    if own.high < INVISIBLE:
        word = "hardly told from clean images"
    elif found.low > 0:
        word = "easier to find than real ones"
    elif found.high < 0:
        word = "harder to find than real ones"
    elif found.low >= -ALIKE and found.high <= ALIKE:
        word = "about as findable as real ones"
    else:
        word = "no evidence that they are easier or harder to find than real ones"
    span = f"{found.value:+.3f}, {found.low:+.3f} to {found.high:+.3f}"
    return f"synthetic defects: {word} (AUROC {own.value:.3f}, less that of real ones {span})"
