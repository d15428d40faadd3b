"""Synthetic images against detectors that have not seen the photos that they were painted on.

A pasted or painted defect lies on a real photo. To a detector that learned that very photo all but
the defect is known, so the image looks more usual than a new one would: a copy of a training photo
is the best clean image there is. So such images are judged by a detector of the other half of the
clean parts.
"""

from dataclasses import dataclass

from flawsmith.data.leak import names_told, parts_told
from flawsmith.data.scan import Scan
from flawsmith.data.split import split_groups
from flawsmith.errors import InputError

HALVES = (0.5, 0.5)


@dataclass(frozen=True)
class Share:
    """Synthetic images, and the clean ones that a detector of them may learn from."""

    clean: Scan
    made: Scan


def shares_of(clean: Scan, made: Scan, seed: int) -> tuple[tuple[Share, ...], int]:
    """Return the shares in which synthetic images are judged, and how many are in none.

    One share, of all, where provenance and pixels tell of no image that shows a clean photo that is
    learned from; else two, by halves of the clean groups. Images that show photos of both halves
    are in none; those that show none of them are in either by turns. Raises InputError if the clean
    photos are of one part, so that there are no halves.
    """
    shown = shown_groups(clean, made)
    known = [i for i, fact in enumerate(made.facts) if fact.label != "unknown"]
    if not any(shown[i] for i in known):
        return (Share(clean, made),), 0
    learned = clean.select(clean.where("good"))
    halves = [learned.select(part) for part in split_groups(learned.facts, HALVES, seed)]
    if not all(half.facts for half in halves):
        raise InputError(
            "all clean images are of one group, and synthetic ones show them",
            where=clean.dataset.root,
            mend="learn from clean images of several parts",
        )
    groups = [{fact.group for fact in half.facts} for half in halves]
    kept: tuple[list[int], list[int]] = ([], [])
    for turn, i in enumerate(known):
        free = [h for h in (0, 1) if not shown[i] & groups[h]]
        if free:
            kept[free[turn % len(free)]].append(i)
    found = zip(halves, kept, strict=True)
    shares = tuple(Share(half, made.select(own)) for half, own in found if own)
    return shares, len(known) - sum(len(own) for own in kept)


def shown_groups(clean: Scan, made: Scan) -> list[set[str]]:
    """Return, for each synthetic image, the groups of the clean photos that it shows.

    That are those which its provenance names, as a whole or for a part of it, those whose group it
    says it belongs to, and those with the same pixels.
    """
    photos = [clean.facts[i] for i in clean.where("good")]
    by_name = {fact.id: fact.group for fact in photos} | {fact.group: fact.group for fact in photos}
    by_pixels = {fact.digest: fact.group for fact in photos}
    own = {fact.id for fact in clean.facts}
    found = []
    for record, fact in zip(made.dataset.records, made.facts, strict=True):
        # A group of one's own says nothing: two folders may both hold a 001.png.
        names = {fact.group} - {fact.id}
        names |= {*names_told(record.meta, own), *parts_told(record.meta)}
        groups = {by_name[name] for name in names if name in by_name}
        found.append(groups | ({by_pixels[fact.digest]} if fact.digest in by_pixels else set()))
    return found
