"""Small inputs of the inpainting networks."""

import numpy as np
import torch
from torch.nn import functional as F

from flawsmith.inpaint.hole import hole_of, soft_of
from flawsmith.inpaint.noise import draw_noise
from flawsmith.seeding import rng

WIDTH = 8


def inputs(count=2, channels=1, classes=3, size=(64, 64), seed=0):
    """Return an image, the soft and hard hole, and masks with a defect a sample, by place."""
    height, width = size
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(count, channels, height, width, generator=generator) * 2 - 1
    masks = np.zeros((count, classes, height, width), bool)
    for index in range(count):
        masks[index, index % classes, 10 + index : 18 + index, 12:24] = True
    holes = np.stack([hole_of(m.any(axis=0), 4) for m in masks])
    soft = np.stack([soft_of(h, 3) for h in holes])
    to = torch.from_numpy
    return image, to(holes)[:, None].float(), to(masks).float(), to(soft)[:, None]


def noise_of(count=2, size=(64, 64), seed=0):
    return draw_noise([rng(seed, "noise", i) for i in range(count)], size)


def pairs(step, count=8, size=32):
    """Return dark squares on grey noise where the mask is, and only noise there."""
    generator = torch.Generator().manual_seed(step)
    base = torch.randn(count, 1, size, size, generator=generator) * 0.15
    masks = torch.zeros(count, 2, size, size)
    for index, corner in enumerate(torch.randint(4, 16, (count, 2), generator=generator).tolist()):
        row, column = corner
        masks[index, index % 2, row : row + 10, column : column + 10] = 1
    union = masks.amax(dim=1, keepdim=True)
    hole = F.max_pool2d(union, 5, stride=1, padding=2)
    return base - 0.6 * union, base, masks, hole
