"""Does the test set share anything with what is learned from? Then no figure of it can be trusted.

Only facts of a scan and the provenance in samples.jsonl are looked at; no picture is opened.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flawsmith.data.scan import Facts, Scan
from flawsmith.errors import InputError

# Where a synthetic sample's provenance names real ones: its own entries, and those of each defect.
NAMES = ("source", "background")
DONOR, MASK = "donor", "mask"
# Between the names of two masks that were joined to one (augment.shapes).
JOINED = "+"
# How many shared names a sentence lists.
NAMED = 3


def check_leaks(
    real: Scan, added: Mapping[str, Scan], test: Scan, *, accepted: str = "", allow: bool = False
) -> str:
    """Return what the test set shares with the real samples or those added, in one sentence.

    Empty if it shares nothing. Raises InputError if it does, unless that is allowed, or was
    ``accepted`` before: any text does.
    """
    said = [leaks(real, test), *(made_leaks(one, real, test) for one in added.values())]
    found = "; ".join(dict.fromkeys(filter(None, said)))
    if found and not (allow or accepted):
        raise InputError(
            found, where=test.dataset.root, mend="split again by groups, or --allow-leak"
        )
    return found or accepted


def leaks(train: Scan, test: Scan) -> str:
    """Return which groups and pictures a training and a test set share, or nothing if none.

    A group whose only member bears its name says nothing: two folders may both hold a 001.png. The
    same pixels are the same picture, whatever their names.
    """
    both = _groups(train) & _groups(test)
    named = {name for part in (train, test) for f in part.facts for name in _names(f) - {f.id}}
    return _sentence("the training samples", sorted(both & named), _copies(train, test))


def made_leaks(made: Scan, train: Scan, test: Scan) -> str:
    """Return what synthetic samples have of a test set, or nothing.

    It is: a test image named as source, background, part, or donor of a defect or its mask, a group
    that only the test set has, or a test image's pixels. A name that the training set has too is
    taken for that one: what the two sets share is for ``leaks`` to find.
    """
    own = {fact.id for fact in train.facts} | {fact.group for fact in train.facts}
    tested = {fact.id for fact in test.facts} - own
    groups = {fact.group for fact in test.facts} - own
    used = set()
    for record, fact in zip(made.dataset.records, made.facts, strict=True):
        used |= tested.intersection(names_told(record.meta, own))
        used |= (tested | groups).intersection(parts_told(record.meta))
        # A group of one's own says nothing, as above.
        used |= groups.intersection({fact.group} - {fact.id})
    return _sentence(
        f"the samples of {made.dataset.root.resolve().name}",
        (),
        _copies(made, test),
        sorted(used),
    )


def names_told(meta: dict[str, Any], own: set[str]) -> Iterator[str]:
    """Yield the real samples that a provenance names; it may hold anything, anyone can write it.

    own: names of the training set, that are no joined ones.
    """
    defects = meta.get("defects")
    entries = [e for e in (defects if isinstance(defects, list) else ()) if isinstance(e, dict)]
    told = [*(meta.get(name) for name in NAMES), *(entry.get(DONOR) for entry in entries)]
    yield from (name for name in told if isinstance(name, str))
    for mask in (entry.get(MASK) for entry in entries):
        if isinstance(mask, str):
            yield mask
            yield from () if mask in own else _joined(mask)


def parts_told(meta: dict[str, Any]) -> Iterator[str]:
    """Yield the ids and groups of the parts that a plate was assembled from."""
    parts = meta.get("parts")
    for part in parts.values() if isinstance(parts, dict) else ():
        if isinstance(part, dict):
            yield from (part[key] for key in ("id", "group") if isinstance(part.get(key), str))


def _groups(found: Scan) -> set[str]:
    return {name for fact in found.facts for name in _names(fact)}


def _names(fact: Facts) -> set[str]:
    """Return what a sample's group is called: copies in two groups have made them one."""
    return {fact.group, fact.joined} - {""}


def _copies(learned: Scan, test: Scan) -> list[str]:
    """Return the ids of test images whose pixels are among those learned from."""
    digests = {fact.digest for fact in learned.facts}
    return [fact.id for fact in test.facts if fact.digest in digests]


def _joined(mask: str) -> Iterator[str]:
    """Yield each name that may stand before or after a sign between two; names may hold it too."""
    for at, letter in enumerate(mask):
        if letter == JOINED:
            yield mask[:at]
            yield mask[at + 1 :]


def _sentence(
    whose: str, groups: Iterable[str], copies: list[str], sources: Iterable[str] = ()
) -> str:
    parts = [
        _told(groups, "group"),
        _told(copies, "picture", "with the same pixels"),
        _told(sources, "test sample", "that they were made from"),
    ]
    said = " and ".join(filter(None, parts))
    return f"the test set is not apart: it shares {said} with {whose}" if said else ""


def _told(names: Iterable[str], noun: str, more: str = "") -> str:
    """Return "3 groups (a, b, c)", or nothing without names."""
    listed = list(names)
    if not listed:
        return ""
    shown = ", ".join(listed[:NAMED]) + (", ..." if len(listed) > NAMED else "")
    count = f"{len(listed)} {noun}" + ("" if len(listed) == 1 else "s")
    return " ".join(filter(None, (count, more, f"({shown})")))
