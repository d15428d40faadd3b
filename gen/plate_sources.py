"""What parts must have in common before plates can be made of them: size, colour, class names."""

from flawsmith.data.dataset import DataSet
from flawsmith.data.plates import PARTS
from flawsmith.data.scan import Facts, Scan
from flawsmith.errors import InputError

# Width and height in pixels, and channels (1 grey, 3 colour).
Size = tuple[int, int, int]
RESIZE = "make them all of one size: flawsmith data plates crops photos so"


def usable(name: str, found: Scan) -> DataSet:
    """Return the parts whose defects, if any, are marked; raises InputError when none is left.

    name: of the part, for the message.
    """
    kept = [i for i, facts in enumerate(found.facts) if facts.label != "unknown"]
    if not kept:
        raise InputError(
            f"no {name} part can be used: of all {len(found.facts)} the label is unknown",
            where=found.dataset.root,
            mend="--assume-good if images without masks are clean",
        )
    return found.dataset.select(kept)


def united_classes(parts: dict[str, DataSet]) -> tuple[str, ...]:
    """Return the classes of all parts, each name once, in the order in which they come.

    Raises InputError for two names that differ in case or blanks only: one class, most likely.
    """
    first: dict[str, tuple[str, str]] = {}
    for part, dataset in parts.items():
        for name in dataset.classes:
            other, where = first.setdefault(" ".join(name.split()).casefold(), (name, part))
            if other != name:
                raise InputError(
                    f"{where} has the class {other!r} and {part} the class {name!r}",
                    where=dataset.root,
                    mend="write one class in one way in all parts",
                )
    return tuple(name for name, _ in first.values())


def check_sizes(scans: dict[str, Scan], blend: int) -> Size:
    """Return the size that all parts share; raises InputError that names the first other one.

    blend: pixels of each part that a seam may change; the two seams of a part may not meet.
    """
    first = scans[PARTS[0]]
    model = next((facts for facts in first.facts if facts.label != "unknown"), first.facts[0])
    wanted = _size(model)
    for name, found in scans.items():
        for index, facts in enumerate(found.facts):
            # Unknown ones are left out, whatever their size.
            if facts.label != "unknown" and _size(facts) != wanted:
                raise InputError(
                    f"this {name} is {_words(_size(facts))}, "
                    f"the first {PARTS[0]} ({model.id}) {_words(wanted)}",
                    where=found.dataset.records[index].image,
                    mend=RESIZE if _size(facts)[:2] != wanted[:2] else "save all in one way",
                )
    if wanted[1] < max(2, 2 * blend):
        raise InputError(
            f"parts {wanted[1]} px high are too low to blend {blend} px at both ends",
            where=first.dataset.root,
            mend=f"--blend {wanted[1] // 2} or less" if wanted[1] > 1 else RESIZE,
        )
    return wanted


def check_plates(plates: Scan, size: Size) -> None:
    """Raise InputError unless all real plates are of three parts of this size."""
    wanted = (size[0], len(PARTS) * size[1], size[2])
    for index, facts in enumerate(plates.facts):
        if _size(facts) != wanted:
            raise InputError(
                f"this real plate is {_words(_size(facts))}, those of the parts {_words(wanted)}",
                where=plates.dataset.records[index].image,
                mend="give whole upright plates, as flawsmith data plates --whole crops them",
            )


def _size(facts: Facts) -> Size:
    return facts.width, facts.height, facts.channels


def _words(size: Size) -> str:
    return f"{size[0]}x{size[1]} {'grey' if size[2] == 1 else 'colour'}"
