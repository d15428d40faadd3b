"""Plain aligned tables for people."""

from collections.abc import Sequence

Cell = str | int | float


def aligned(header: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[str]:
    """Return the lines of a table: texts to the left, numbers to the right with separators."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *texts, strict=True)]
    right = [bool(rows) and not isinstance(cell, str) for cell in (rows[0] if rows else header)]
    return [_line(row, widths, right) for row in [list(header), *texts]]


def _line(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cells = (
        cell.rjust(width) if to_right else cell.ljust(width)
        for cell, width, to_right in zip(row, widths, right, strict=True)
    )
    return "  ".join(cells).rstrip()


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else f"{cell:,.0f}"
