"""Who is in which arm of the gate: as many of each kind as the filter accepted."""

from collections.abc import Iterable, Sequence

from flawsmith.evaluate.certificate import Verdict
from flawsmith.evaluate.filtering.reasons import is_certified
from flawsmith.evaluate.filtering.selection import random_subset
from flawsmith.evaluate.segment import REAL
from flawsmith.pipeline.settings import Arm, RunMethod
from flawsmith.seeding import rng

PASTE = f"{REAL}+paste"


def arm_name(arm: Arm) -> str:
    """Return what an arm is called in the check."""
    return f"{REAL}+{arm}"


def members(
    arms: Iterable[Arm], methods: Sequence[RunMethod], verdicts: Sequence[Verdict], seed: int
) -> dict[str, list[int]]:
    """Return, an arm by its name, the places of its candidates, ascending; empty arms too.

    methods, verdicts: of the candidates, in one order. filtered: those accepted; random: as many of
    every combination of classes, of all certified ones; of a method: as many again of its own, as
    far as it has them; all: every certified one.
    """
    certified = [i for i, verdict in enumerate(verdicts) if is_certified(verdict)]
    accepted = [i for i, verdict in enumerate(verdicts) if verdict.accepted]
    found: dict[str, list[int]] = {}
    for arm in arms:
        if arm == "filtered":
            chosen = accepted
        elif arm == "all":
            chosen = certified
        elif arm == "random":
            chosen = random_subset(verdicts, seed)
        else:
            own = [i for i in certified if methods[i] == arm]
            chosen = alike(own, accepted, verdicts, seed, arm)
        found[arm_name(arm)] = chosen
    return found


def alike(
    places: Sequence[int],
    model: Sequence[int],
    verdicts: Sequence[Verdict],
    seed: int,
    stream: str,
) -> list[int]:
    """Return as many of ``places`` as ``model`` has, ascending, drawn by lot.

    As many of every combination of classes, as far as there are so many; others fill up the rest.
    """
    wanted = _by_classes(model, verdicts)
    chosen: list[int] = []
    for classes, own in sorted(_by_classes(places, verdicts).items()):
        count = min(len(own), len(wanted.get(classes, ())))
        chosen += rng(seed, "arm", stream, *classes).choice(own, count, replace=False).tolist()
    rest = sorted(set(places) - set(chosen))
    count = min(len(rest), len(model) - len(chosen))
    chosen += rng(seed, "arm", stream, "rest").choice(rest, count, replace=False).tolist()
    return sorted(chosen)


def _by_classes(
    places: Sequence[int], verdicts: Sequence[Verdict]
) -> dict[tuple[str, ...], list[int]]:
    found: dict[tuple[str, ...], list[int]] = {}
    for place in places:
        found.setdefault(verdicts[place].classes, []).append(place)
    return found
