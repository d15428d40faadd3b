"""Differentiable augmentation of what a discriminator sees, real and painted alike.

Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training", eq. 3 to 5: the
same transformations T on real and generated pictures in both losses, gradients flowing through T.
What differs from it: each transformation has a probability (Karras et al. 2020, section 2.2), so
that its strength can be adapted; translation fills by reflection, since a black wedge is no surface
and would move the statistics of a frozen feature network; masks follow the geometry, not the
colours; there is no saturation, since many inspection pictures are grey.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Uniform values a sample: drawn whatever the strength, so that it does not shift the stream.
DRAWS = 12


@dataclass(frozen=True)
class Policy:
    """What may happen to a sample, as the range of each transformation; 0 or False leaves it out.

    flips: vertical and horizontal; only where the surface allows them.
    translation: largest shift, as a share of the side. cutout: the grey square's side likewise.
    brightness: at most half of this is added or taken, for values from -1 to 1.
    contrast: the factor lies within half of this around 1.
    """

    flips: tuple[bool, bool] = (False, False)
    translation: float = 0.125
    cutout: float = 0.5
    brightness: float = 1.0
    contrast: float = 1.0


@dataclass(frozen=True)
class Augmentation:
    """One draw for N samples, to be applied to real and fake alike; None: nothing of that kind.

    rows, columns: (N, H) and (N, W) int64, where each pixel is taken from. kept: (N, 1, H, W)
    float32, 0 in the square that is cut out. brightness, contrast: (N, 1, 1, 1) float32.
    """

    rows: Tensor | None = None
    columns: Tensor | None = None
    kept: Tensor | None = None
    brightness: Tensor | None = None
    contrast: Tensor | None = None

    def image(self, images: Tensor) -> Tensor:
        """Return augmented (N, C, H, W) pictures with values about -1 to 1; not clipped."""
        if self.brightness is not None:
            images = images + self.brightness
        if self.contrast is not None:
            mean = images.mean(dim=(1, 2, 3), keepdim=True)
            images = (images - mean) * self.contrast + mean
        images = self.geometry(images)
        return images if self.kept is None else images * self.kept

    def geometry(self, planes: Tensor) -> Tensor:
        """Return (N, K, H, W) masks or holes moved like the pictures; their values stay.

        The square that is cut out of a picture stays in its masks: they say what belongs there. A
        small hole at the border can be moved out of view, so means over holes must allow for none.
        """
        if self.rows is not None:
            rows = self.rows[:, None, :, None].expand(-1, planes.shape[1], -1, planes.shape[3])
            planes = planes.gather(2, rows)
        if self.columns is not None:
            columns = self.columns[:, None, None, :].expand(-1, *planes.shape[1:3], -1)
            planes = planes.gather(3, columns)
        return planes


def draw(
    generators: Sequence[torch.Generator],
    size: tuple[int, int],
    policy: Policy,
    strength: float,
    device: torch.device,
) -> Augmentation:
    """Return what happens to each of N samples of ``size`` = (H, W).

    generators: one CPU generator a sample. strength: the probability of each transformation, 0 to
    1; 0 gives the identity.
    """
    height, width = size
    u = torch.stack([torch.rand(DRAWS, generator=one) for one in generators])
    moved = u[:, 2] < strength
    rows = _places(height, policy.flips[0], policy.translation, u[:, 0], u[:, 3], moved, strength)
    columns = _places(width, policy.flips[1], policy.translation, u[:, 1], u[:, 4], moved, strength)
    kept = _kept(size, policy.cutout, u[:, 6:8], u[:, 5] < strength)
    brightness = torch.where(u[:, 8] < strength, (u[:, 9] - 0.5) * policy.brightness, 0.0)
    contrast = torch.where(u[:, 10] < strength, 1 + (u[:, 11] - 0.5) * policy.contrast, 1.0)
    return Augmentation(
        _unless(bool((rows == torch.arange(height)).all()), rows, device),
        _unless(bool((columns == torch.arange(width)).all()), columns, device),
        _unless(bool(kept.all()), kept, device),
        _unless(not bool(brightness.any()), brightness[:, None, None, None], device),
        _unless(bool((contrast == 1).all()), contrast[:, None, None, None], device),
    )


def _unless(idle: bool, values: Tensor, device: torch.device) -> Tensor | None:
    return None if idle else values.to(device)


def _places(
    side: int, flips: bool, most: float, flip: Tensor, shift: Tensor, moved: Tensor, strength: float
) -> Tensor:
    """Return (N, side) int64: the place along one axis that each pixel is taken from."""
    reach = min(round(side * most), side - 1)
    # With the probability a flip is drawn, and it turns half of the samples: flipping all of them
    # at full strength would be a fixed change that the generator could learn to undo.
    flipped = (flip < strength / 2) & flips
    steps = (shift * (2 * reach + 1)).long().clamp(max=2 * reach) - reach
    places = torch.arange(side) + torch.where(moved, steps, 0)[:, None]
    places = (side - 1) - ((side - 1) - places.abs()).abs()  # reflect, the edge itself only once
    return torch.where(flipped[:, None], side - 1 - places, places)


def _kept(size: tuple[int, int], share: float, centre: Tensor, cut: Tensor) -> Tensor:
    """Return (N, 1, H, W) float32: 0 in a square around a random centre, which may lie at a border.

    centre: (N, 2) in 0 to 1. cut: (N,) bool.
    """
    inside = []
    for axis, side in enumerate(size):
        first = (centre[:, axis] * side).long().clamp(max=side - 1) - round(side * share) // 2
        offset = torch.arange(side) - first[:, None]
        inside.append((offset >= 0) & (offset < round(side * share)))
    square = inside[0][:, :, None] & inside[1][:, None, :] & cut[:, None, None]
    return (~square)[:, None].float()
