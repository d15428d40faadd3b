"""The discriminators by name."""

from collections.abc import Callable

from flawsmith.errors import InputError
from flawsmith.inpaint.judging import Discriminator
from flawsmith.inpaint.patch import Patch
from flawsmith.inpaint.projected import Projected
from flawsmith.train.backbone import lite0
from flawsmith.train.starting import starting_from

# Each takes the image's channels, the classes and the width.
DISCRIMINATORS: dict[str, Callable[[int, int, int], Discriminator]] = {
    "projected": lambda channels, classes, width: Projected(lite0(), classes, width),
    "patch": lambda channels, classes, width: Patch(channels, classes, width),
    "patch-plain": lambda channels, classes, width: Patch(channels, classes, width, False),
}


def build_discriminator(
    kind: str, channels: int, classes: int, width: int, seed: int
) -> Discriminator:
    """Return a fresh discriminator on the CPU; its first weights depend on ``seed`` alone.

    kind: a name of DISCRIMINATORS (plain: without
    spectral normalisation, for R1); channels: of the image, 1 or 3; classes: planes of the masks,
    K; width: channels of the projected heads, or of a patch discriminator at full size. Raises
    InputError for an unknown kind, or if Lite0's weights cannot be read.
    """
    if kind not in DISCRIMINATORS:
        raise InputError(f"no discriminator {kind!r}", mend=f"one of {', '.join(DISCRIMINATORS)}")
    with starting_from(seed, "discriminator", kind):
        return DISCRIMINATORS[kind](channels, classes, width)
