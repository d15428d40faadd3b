"""The preview picture of a run: what the averaged generator paints, beside what is real."""

import numpy as np
import torch
from torch import Tensor, nn

from flawsmith.inpaint.crops import Batch, Crops, batch_of
from flawsmith.inpaint.generators import painted_by
from flawsmith.inpaint.noise import Noise, draw_noise
from flawsmith.sample import Image
from flawsmith.seeding import rng

COLUMNS = 8


def preview_of(crops: Crops, model: nn.Module, channels: int) -> Image:
    """Return uint8 (5 S, 8 S[, 3]); rows: real, repainted, mask, clean surface, painted on it.

    model: a generator in evaluation mode, on any device. Crops and noise are the same at each call,
    so that the pictures of a run show its progress.
    """
    pairs = []
    for column in range(COLUMNS):
        generator = rng(0, "preview", column)
        place = column * len(crops) // COLUMNS
        pairs.append((crops.defect(place, generator)[0], crops.moved(place, generator)))
    real = batch_of([defect for defect, _ in pairs], channels)
    clean = batch_of([moved for _, moved in pairs], channels)
    side = crops.geometry.size
    noise = draw_noise([rng(0, "preview noise", c) for c in range(COLUMNS)], (side, side))
    marked = clean.masks.amax(dim=1, keepdim=True).expand(-1, channels, -1, -1) * 2 - 1
    repainted, painted = (_painted(model, batch, noise) for batch in (real, clean))
    return _grid([real.image, repainted, marked, clean.image, painted])


def _painted(model: nn.Module, batch: Batch, noise: Noise) -> Tensor:
    device = next(model.parameters()).device
    there = batch.map(lambda planes: planes.to(device))
    return painted_by(model, there, noise.to(device)).cpu()


def _grid(rows: list[Tensor]) -> Image:
    """Return the rows of (N, C, S, S) pictures in [-1, 1] as one picture."""
    picture = ((torch.stack(rows) + 1) * 127.5).round().clamp(0, 255).byte()
    r, n, c, h, w = picture.shape
    out = picture.permute(0, 3, 1, 4, 2).reshape(r * h, n * w, c).numpy()
    return np.ascontiguousarray(out[..., 0] if c == 1 else out)
