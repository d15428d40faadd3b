"""Smooth random fields from a generator: gradient noise in several octaves."""

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def perlin(
    generator: np.random.Generator, shape: tuple[int, int], cell: float, octaves: int = 3
) -> Field:
    """Return (h, w) float32 gradient noise (Perlin 1985, with the quintic fade of Perlin 2002).

    ``cell`` is the size of the coarsest lattice cell in pixels; each octave halves cell and
    amplitude. Values lie within about -1 to 1, mean 0.
    """
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        size = max(cell / 2**octave, 1.5)
        total += _octave(generator, shape, size) * np.float32(0.5**octave)
    return total


def _octave(generator: np.random.Generator, shape: tuple[int, int], cell: float) -> Field:
    rows, columns = (np.arange(n, dtype=np.float32) / np.float32(cell) for n in shape)
    angles = generator.uniform(0, 2 * np.pi, (int(rows[-1]) + 2, int(columns[-1]) + 2))
    gradients = np.stack([np.sin(angles), np.cos(angles)]).astype(np.float32)
    r0, c0 = rows.astype(int), columns.astype(int)
    dr, dc = (rows - r0)[:, None], (columns - c0)[None, :]

    def corner(i: int, j: int) -> Field:
        gr, gc = gradients[:, (r0 + i)[:, None], (c0 + j)[None, :]]
        return np.asarray(gr * (dr - i) + gc * (dc - j), np.float32)

    fr, fc = _fade(dr), _fade(dc)
    top = corner(0, 0) * (1 - fc) + corner(0, 1) * fc
    bottom = corner(1, 0) * (1 - fc) + corner(1, 1) * fc
    return np.asarray(1.414 * (top * (1 - fr) + bottom * fr), np.float32)


def _fade(t: Field) -> Field:
    return np.asarray(t * t * t * (t * (t * 6 - 15) + 10), np.float32)


def wobble(
    generator: np.random.Generator, shape: tuple[int, int], amplitude: float, cell: float
) -> tuple[Field, Field]:
    """Return (dx, dy), each (h, w) float32 in pixels: a smooth displacement field."""
    small = [max(2, int(np.ceil(n / cell)) + 1) for n in shape]
    fields = (generator.uniform(-amplitude, amplitude, small).astype(np.float32) for _ in range(2))
    dx, dy = (cv2.resize(f, shape[::-1], interpolation=cv2.INTER_CUBIC) for f in fields)
    return np.asarray(dx, np.float32), np.asarray(dy, np.float32)
