"""Random Inception weights, and pictures that differ, for the tests of features."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from flawsmith.data.scan import pixel_digest
from flawsmith.evaluate.inception import untrained
from flawsmith.sample import Image
from flawsmith.seeding import rng


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Compute on one thread: where cores are shared, two wait for each other most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def random_inception() -> dict[str, torch.Tensor]:
    """Return weights under which the features of different pictures differ visibly.

    He's scale for the kernels keeps the activations' size through the depth. Do not change it.
    """
    generator = torch.Generator().manual_seed(3)
    made = {}
    for name, old in untrained().state_dict().items():
        noise = torch.randn(old.shape, generator=generator)
        if name.endswith(("conv.weight", "fc.weight")):
            made[name] = noise * (2 / old[0].numel()) ** 0.5
        elif name.endswith(("running_var", "bn.weight")):
            made[name] = (noise * 0.2).exp()
        else:
            made[name] = noise * 0.1 if old.is_floating_point() else old
    return made


def write_inception(path: Path) -> Path:
    save_file(random_inception(), path)
    return path


def pictures(count: int, seed: int = 0) -> list[Image]:
    """Return pictures of several sizes, grey and coloured: waves of random pitch and tone."""
    found = []
    for i in range(count):
        generator = rng(seed, "picture", i)
        # Some are larger than the networks' inputs, most are smaller.
        height, width = (int(n) for n in generator.integers(20, 90, 2) * (5 if i % 4 == 1 else 1))
        y, x = np.mgrid[:height, :width]
        pitch = generator.uniform(-1, 1, (3, 2))
        waves = [np.sin(a * y + b * x) for a, b in pitch]
        image = np.stack(waves, axis=2) * generator.uniform(20, 90) + generator.uniform(90, 160)
        image = image.clip(0, 255).astype(np.uint8)
        found.append(image[..., 0] if i % 3 == 0 else image)
    return found


def keyed(images: Sequence[Image]) -> tuple[list[str], Callable[[int], Image]]:
    """Return the pictures as ``extract`` wants them."""
    return [pixel_digest(image) for image in images], images.__getitem__
