"""Whether candidates can be held against these real samples at all."""

from flawsmith.data.dataset import Record
from flawsmith.data.scan import Facts, Scan
from flawsmith.errors import InputError


def check_candidates(candidates: Scan, real: Scan) -> None:
    """Raise InputError for candidates of other classes, sizes, channels, or of unknown origin."""
    made, known = candidates.dataset, real.dataset
    if made.classes != known.classes:
        raise InputError(
            f"its classes are {', '.join(made.classes)}; those of the real samples "
            f"{', '.join(known.classes)}",
            where=made.root,
            mend="name the same classes in the same order",
        )
    channels = {fact.channels for fact in real.facts}
    sizes = {(fact.width, fact.height) for fact in real.facts}
    for record, fact in zip(made.records, candidates.facts, strict=True):
        if not method_of(record):
            raise InputError(
                f"the candidate {record.id} does not say how it was made",
                where=made.root,
                mend="give a folder that augment, inpaint apply or run wrote, with samples.jsonl",
            )
        if fact.channels not in channels:
            raise InputError(
                f"the candidate {record.id} is {_colours(fact)}, the real samples are not",
                where=made.root,
            )
        if (fact.width, fact.height) not in sizes and record.meta.get("region") is None:
            raise InputError(
                f"the candidate {record.id} is {fact.width}x{fact.height}; no real sample is",
                where=made.root,
                mend="give the real samples that it was made from",
            )


def method_of(record: Record) -> str:
    """Return the method that made a candidate, or nothing if it does not say."""
    method = record.meta.get("method")
    return method if isinstance(method, str) else ""


def _colours(fact: Facts) -> str:
    return "grey" if fact.channels == 1 else "coloured"
