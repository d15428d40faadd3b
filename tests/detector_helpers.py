"""Drawn stripes, clean and with a planted blob, for detectors to learn and to be tested on."""

import numpy as np

from flawsmith.seeding import rng


def stripes(count, side=32, seed=0, *, blob=False, colour=False, size=9, phase=None):
    """Return ``count`` pictures of soft stripes with grain, and their masks.

    blob: each with a square, darker than the stripes, at a random place. phase: of all of them,
    which is learned in far fewer steps than a random one each.
    """
    pictures, masks = [], []
    for i in range(count):
        generator = rng(seed, "stripes", i)
        own = generator.uniform(0, 2 * np.pi)
        start = own if phase is None else phase
        across = 150 + 40 * np.sin(np.arange(side) * 2 * np.pi / 8 + start)
        picture = np.repeat(across[None], side, axis=0) + generator.normal(0, 4, (side, side))
        mask = np.zeros((side, side), bool)
        if blob:
            row, column = generator.integers(1, side - size, 2)
            mask[row : row + size, column : column + size] = True
            picture[mask] = 20 + generator.normal(0, 4, int(mask.sum()))
        image = np.clip(picture, 0, 255).astype(np.uint8)
        pictures.append(np.repeat(image[:, :, None], 3, axis=2) if colour else image)
        masks.append(mask)
    return pictures, masks


def judged(detector, side=32, count=24, **how):
    """Return scores of unseen clean and of defective pictures, joined, and which are defective."""
    clean, _ = stripes(count, side, 100, **how)
    defective, _ = stripes(count, side, 101, blob=True, **how)
    told = detector.score([*clean, *defective])
    return told, np.repeat([False, True], count)


def parameter_count(module):
    """Return the numbers of a network as Keras counts them: BatchNorm's running ones, too."""
    named = module.named_buffers()
    running = sum(b.numel() for name, b in named if name.endswith(("running_mean", "running_var")))
    return running + sum(parameter.numel() for parameter in module.parameters())
