"""A run's preview: real pictures, samples of the same latents each time, a walk between two."""

import numpy as np
import torch
from torch import Tensor, nn

from flawsmith.gen.latents import latents, walk
from flawsmith.gen.pictures import Pictures
from flawsmith.gen.shapes import marked, sampled
from flawsmith.sample import Image

COLUMNS = 8


def preview_of(pictures: Pictures, model: nn.Module, latent: int) -> Image:
    """Return uint8 (R H, 8 W[, 3]); rows: real, two of samples, a walk; masks below each with any.

    model: a generator in evaluation mode, on any device; latent: values that it takes. Pictures and
    latents are the same at each call, so that the previews of a run show its progress.
    """
    shape = pictures.shape
    known = pictures.middle([i * len(pictures) // COLUMNS for i in range(COLUMNS)])
    fixed = latents(0, range(2 * COLUMNS), latent, "preview")
    between = walk(fixed[0], fixed[1], COLUMNS)
    rows = []
    for batch in (known, *(_made(model, z) for z in (fixed[:COLUMNS], fixed[COLUMNS:], between))):
        rows.append(batch[:, : shape.channels])
        if shape.planes:
            planes = batch[:, shape.channels :]
            masks = (
                (planes > 0) if batch is known else marked(planes)
            )  # real ones hold by the pixel
            union = masks.any(dim=1, keepdim=True)
            rows.append(union.float().mul(2).sub(1).expand(-1, shape.channels, -1, -1))
    return grid(rows)


def _made(model: nn.Module, z: Tensor) -> Tensor:
    device = next(model.parameters()).device
    return sampled(model, z.to(device)).cpu()


def grid(rows: list[Tensor]) -> Image:
    """Return rows of (N, C, H, W) pictures in [-1, 1] as one picture."""
    picture = ((torch.stack(rows) + 1) * 127.5).round().clamp(0, 255).byte()
    r, n, c, h, w = picture.shape
    out = picture.permute(0, 3, 1, 4, 2).reshape(r * h, n * w, c).numpy()
    return np.ascontiguousarray(out[..., 0] if c == 1 else out)
