"""The flag that divides a job into shards, and what commands say of the samples that they made."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flawsmith.commands.common import F
from flawsmith.errors import InputError

if TYPE_CHECKING:
    from flawsmith.data.build import Built
    from flawsmith.data.division import Shard

PART = "Make only the I-th of N parts, such as 2/8, for flawsmith merge."


def shard_flag(text: str) -> Callable[[F], F]:
    """Return what adds --shard with this help; its value is a ``data.division.Shard`` or None."""

    def parse(ctx: click.Context, param: click.Parameter, value: str | None) -> Any:
        from flawsmith.data.division import Shard

        try:
            return None if value is None else Shard.parse(value)
        except InputError as error:
            raise click.BadParameter(str(error)) from error

    return click.option("--shard", callback=parse, metavar="I/N", help=text)


def made_of(out: Path, built: "Built", count: int, shard: "Shard | None") -> str:
    """Return the line that says how many samples of a job, or of a shard of it, were made."""
    asked = len(shard.samples(count)) if shard else count
    return f"{out}: {sum(built.labels.values())} of {asked} samples{part_told(shard)}"


def part_told(shard: "Shard | None") -> str:
    """Return what the line on a shard ends with; empty for an undivided job."""
    return f", shard {shard}; join all with flawsmith merge" if shard else ""


def made_lines(built: "Built") -> list[str]:
    """Return lines for what was not made, what was drawn again, and what the format notes."""
    lines = [f"  {n} not made: {reason}" for reason, n in built.refused.items()]
    lines += [f"  {n} drawn again: {reason}" for reason, n in built.redrawn.items()]
    return lines + [f"  note: {notice}" for notice in built.notices]
