"""Synthetic images against detectors that have not seen the photos that they were painted on.

A pasted or painted defect lies on a real photo. To a detector that learned that very photo all but
the defect is known, so the image looks more usual than a new one would: a copy of a training photo
is the best clean image there is. So such images are judged by a detector of the other half of the
clean parts.
"""

from dataclasses import dataclass

from flawsmith.data.leak import names_told, parts_told
from flawsmith.data.scan import Scan
from flawsmith.evaluate.filtering.halves import halves_of


@dataclass(frozen=True)
class Share:
    """Synthetic images, and the clean ones that a detector of them may learn from."""

    clean: Scan
    made: Scan


def shares_of(clean: Scan, made: Scan, seed: int, fewest: int = 1) -> tuple[tuple[Share, ...], int]:
    """Return the shares in which synthetic images are judged, and how many are in none.

    One share, of all, where provenance and pixels tell of no image that shows a clean photo that is
    learned from; else two, by halves of the clean groups. Images that show photos of both halves
    are in none; those that show none of them are in either, their groups by turns. Where a half
    would have fewer than ``fewest`` photos, only images that show none of them are judged.
    """
    shown = shown_groups(clean, made)
    known = [i for i, fact in enumerate(made.facts) if fact.label != "unknown"]
    free = [i for i in known if not shown[i]]
    if len(free) == len(known):
        return (Share(clean, made),), 0
    learned = clean.select(clean.where("good"))
    halves = [learned.select(part) for part in halves_of(learned, seed)]
    if min(len(half.facts) for half in halves) < fewest:
        return (Share(clean, made.select(free)),) if free else (), len(known) - len(free)
    groups = [{fact.group for fact in half.facts} for half in halves]
    turns = {name: n % 2 for n, name in enumerate(dict.fromkeys(made.facts[i].group for i in free))}
    kept: tuple[list[int], list[int]] = ([], [])
    for i in known:
        open_to = [h for h in (0, 1) if not shown[i] & groups[h]]
        if open_to:
            both = len(open_to) == 2
            kept[turns[made.facts[i].group] if both else open_to[0]].append(i)
    found = zip(halves, kept, strict=True)
    shares = tuple(Share(half, made.select(own)) for half, own in found if own)
    return shares, len(known) - sum(len(own) for own in kept)


def shown_groups(clean: Scan, made: Scan) -> list[set[str]]:
    """Return, for each synthetic image, the groups of the clean photos that it shows.

    That are those which its provenance names, as a whole or for a part of it, those whose group it
    says it belongs to, and those with the same pixels.
    """
    # A defective photo of a part is known, too, where a clean one of that part is learned from.
    photos = clean.facts
    names_of = {name: f.group for f in photos for name in (f.group, f.joined, f.id) if name}
    by_pixels = {fact.digest: fact.group for fact in photos}
    own = {fact.id for fact in photos}
    learned = {photos[i].group for i in clean.where("good")}
    found = []
    for record, fact in zip(made.dataset.records, made.facts, strict=True):
        # A group of one's own says nothing: two folders may both hold a 001.png.
        names = {fact.group} - {fact.id}
        names |= {*names_told(record.meta, own), *parts_told(record.meta)}
        groups = {names_of[name] for name in names if name in names_of}
        groups |= {by_pixels[fact.digest]} if fact.digest in by_pixels else set()
        found.append(groups & learned)
    return found
