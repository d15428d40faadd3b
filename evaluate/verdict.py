"""Does an arm help? One word and one plain sentence, from the interval of a paired difference."""

from dataclasses import dataclass
from typing import Any, Literal

from flawsmith.evaluate.paired import Difference

Word = Literal["helps", "no evidence", "hurts"]
# An interval over groups needs two of them; one would be drawn again and again as it is.
FEWEST_GROUPS = 2
# Nor does one run know what another seed would have given.
FEWEST_SEEDS = 2


@dataclass(frozen=True)
class Finding:
    """What a paired difference says about an arm. arm, base: their names."""

    arm: str
    base: str
    difference: Difference

    @property
    def word(self) -> Word:
        """``helps`` or ``hurts`` if the whole interval lies on that side of 0, 0 being neither."""
        found = self.difference
        if found.showing < FEWEST_GROUPS or found.seeds < FEWEST_SEEDS:
            return "no evidence"
        low, high = found.low, found.high
        if low <= 0 <= high:
            return "no evidence"
        return "helps" if (low > 0) == (found.better == "high") else "hurts"

    @property
    def sentence(self) -> str:
        """The finding in points of 100, with the groups that the figure is about."""
        found = self.difference
        value, low, high = points(found.value, found.low, found.high)
        return (
            f"{self.arm} against {self.base}: {found.name} {value} points "
            f"(95% interval {low} to {high}; {_plural(found.showing, 'group')}, "
            f"{_plural(found.seeds, 'seed')}): {self.word}"
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "arm": self.arm,
            "base": self.base,
            "difference": self.difference.to_json(),
            "verdict": self.word,
            "sentence": self.sentence,
        }

    @staticmethod
    def from_json(content: dict[str, Any]) -> "Finding":
        difference = Difference.from_json(content["difference"])
        return Finding(content["arm"], content["base"], difference)


def points(*shares: float) -> list[str]:
    """Return the shares in points, signed, to a tenth, or finer where a sign would be lost."""
    values = [100 * share for share in shares]
    finest = 4
    for places in range(1, finest + 1):
        rounded = [round(value, places) for value in values]
        if places == finest or all(r or not v for r, v in zip(rounded, values, strict=True)):
            break
    return [f"{r:+.{places}f}" if r else "0" for r in rounded]


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")
