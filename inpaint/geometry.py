"""How wide windows and holes are."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Geometry:
    """How wide windows and holes are, in pixels: see ``hole.soft_of`` for grow and feather."""

    size: int
    grow: int
    feather: int
