"""The generators by name, and how their proposal is composed with the picture."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from flawsmith.errors import InputError
from flawsmith.inpaint.blocks import GROUPS, Generator
from flawsmith.inpaint.crops import Batch
from flawsmith.inpaint.lama import Lama
from flawsmith.inpaint.noise import Noise
from flawsmith.inpaint.spade import Spade
from flawsmith.inpaint.unet import UNet
from flawsmith.train.starting import starting_from

GENERATORS: dict[str, Callable[[int, int, int], Generator]] = {
    "unet": UNet,
    "spade": Spade,
    "lama": Lama,
}


def build_generator(kind: str, channels: int, classes: int, width: int, seed: int) -> Generator:
    """Return a fresh generator on the CPU; its first weights depend on ``seed`` alone.

    kind: a name of GENERATORS; channels: of the image, 1 or 3; classes: planes of the masks, K;
    width: channels at full size, a multiple of 4, 20 to 32 on a CPU. Raises InputError for an
    unknown kind or another width.
    """
    if kind not in GENERATORS:
        raise InputError(f"no generator {kind!r}", mend=f"one of {', '.join(GENERATORS)}")
    if width < GROUPS or width % GROUPS:
        raise InputError(f"the generator is {width} wide", mend=f"a multiple of {GROUPS}")
    with starting_from(seed, "generator", kind):
        return GENERATORS[kind](channels, classes, width)


def painted_by(model: nn.Module, batch: Batch, noise: Noise) -> Tensor:
    """Return the batch with what the generator proposes in its holes, (N, C, H, W) float32."""
    raw = model(batch.image, batch.hole, batch.masks, noise)
    return compose(batch.image, raw.float(), batch.soft)


def compose(image: Tensor, painted: Tensor, soft: Tensor) -> Tensor:
    """Return the image with the proposal where ``soft`` says: soft G + (1 - soft) x, clipped.

    image, painted: (N, C, H, W) in [-1, 1]; soft: (N, 1, H, W) in [0, 1]. Where soft is 0 the
    image's bits are kept.
    """
    return torch.addcmul(image, soft, painted - image).clamp(-1, 1)
