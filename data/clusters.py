"""Boxes that lie close together, joined: a cloud of pits, or a broken line, is one defect."""

from collections.abc import Iterable

Box = tuple[int, int, int, int]


def clusters(boxes: Iterable[Box], gap: int) -> list[tuple[Box, tuple[int, ...]]]:
    """Join boxes (x, y, width, height) that are at most ``gap`` pixels apart.

    Returns each joined box with the places of its members; a joined box may reach farther ones, and
    no two that are returned are within ``gap``.
    """
    apart: list[tuple[Box, tuple[int, ...]]] = []
    for place, box in enumerate(boxes):
        members: tuple[int, ...] = (place,)
        while near := [entry for entry in apart if _near(entry[0], box, gap)]:
            apart = [entry for entry in apart if not _near(entry[0], box, gap)]
            box = _around(box, *(entry[0] for entry in near))
            members = (*(m for entry in near for m in entry[1]), *members)
        apart.append((box, members))
    return apart


def _near(a: Box, b: Box, gap: int) -> bool:
    gap_x = max(a[0], b[0]) - min(a[0] + a[2], b[0] + b[2])
    gap_y = max(a[1], b[1]) - min(a[1] + a[3], b[1] + b[3])
    return max(gap_x, gap_y) <= gap


def _around(*boxes: Box) -> Box:
    left, top = min(b[0] for b in boxes), min(b[1] for b in boxes)
    right, bottom = max(b[0] + b[2] for b in boxes), max(b[1] + b[3] for b in boxes)
    return left, top, right - left, bottom - top
