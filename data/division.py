"""One job divided into n independent ones: which samples shard i makes.

Sample k of a job depends on (seed, k) alone, so any division gives the same samples. Shards are
contiguous ranges: joined in order they are the undivided job's lines, and tar shards stay whole.
"""

import re
from dataclasses import dataclass
from typing import Any

from flawsmith.data import shards
from flawsmith.errors import InputError

# ``merge`` keeps a file of each shard open at once; systems allow a process some 1,000.
MOST = 512


@dataclass(frozen=True)
class Shard:
    """Shard ``number``, counted from 1, of a job divided into ``of``.

    Raises InputError for numbers that name no shard.
    """

    number: int
    of: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of <= MOST:
            raise InputError(
                f"there is no shard {self}", mend=f"1/8 to 8/8 for 8 shards, of at most {MOST}"
            )

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @staticmethod
    def parse(text: str) -> "Shard":
        """Return the shard that ``2/8`` names; raises InputError for anything else."""
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        if not found:
            raise InputError(f"{text[:80]!r} names no shard", mend="2/8 for the second of eight")
        return Shard(int(found[1]), int(found[2]))

    def part(self, count: int, unit: int = 1) -> range:
        """Return this shard's share of ``count`` things: all shares together are all of them.

        unit: shares begin at its multiples; at n units or more none is empty.
        """
        wide = self.of * unit
        first, last = (
            (count * number + wide // 2) // wide * unit for number in (self.number - 1, self.number)
        )
        return range(min(first, count), count if self.number == self.of else min(last, count))

    def samples(self, count: int) -> range:
        """Return the samples to make here; raises InputError if there are fewer than shards.

        Where there are enough, shares begin where a tar shard of ``webdataset`` does.
        """
        if count < self.of:
            raise InputError(
                f"{count} samples cannot be divided into {self.of} shards",
                mend=f"--shard 1/{count} to {count}/{count}, or a larger --count",
            )
        return self.part(count, shards.SHARD_SIZE if count >= self.of * shards.SHARD_SIZE else 1)


def part_of(job: dict[str, Any], count: int, shard: Shard | None) -> dict[str, Any]:
    """Return the description of what one shard of a job, or all of it (None), computes.

    Raises InputError if its ``count`` samples are too few to be divided so.
    """
    if shard is None:
        return job
    shard.samples(count)
    return {**job, "shard": str(shard)}
