"""Latents: standard normal vectors, each from (seed, index) alone, and walks between them."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from flawsmith.seeding import rng


def latents(seed: int, indices: Iterable[int], size: int, stream: str = "latent") -> Tensor:
    """Return (len(indices), size) float32 on the CPU: row i depends on (seed, stream, i) alone."""
    rows = [rng(seed, stream, i).standard_normal(size, np.float32) for i in indices]
    return torch.from_numpy(np.stack(rows))


def walk(first: Tensor, last: Tensor, count: int) -> Tensor:
    """Return (count, size) from one latent to another along a great circle (White 2016, section 2).

    On a straight line the middle would be shorter than latents are, and its picture unlike any.
    """
    cosine = (first @ last) / (first.norm() * last.norm())
    angle = torch.arccos(cosine.clamp(-1, 1)).clamp(min=1e-4)
    shares = torch.linspace(0, 1, count)[:, None]
    return (
        torch.sin((1 - shares) * angle) * first + torch.sin(shares * angle) * last
    ) / angle.sin()
