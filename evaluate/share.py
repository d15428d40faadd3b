"""One shard's part of the features that a comparison needs, put into the store for later.

No figure comes of it: `evaluate distance` without a shard finds every picture known and computes
the figures in one place. The store knows pictures by content, so nothing has to be merged.
"""

from pathlib import Path

from flawsmith.data.division import Shard
from flawsmith.data.formats import ReadOptions, read_dataset
from flawsmith.data.jobs import Show, quiet
from flawsmith.data.scan import scan
from flawsmith.errors import InputError, OutputError
from flawsmith.evaluate.distance import Compute, DistanceSettings, features_of, folders_of
from flawsmith.evaluate.features import open_extractor
from flawsmith.evaluate.looks import looks

# Pictures whose features are held at once: 20 MiB.
CHUNK = 4096


def fill(
    real: Path,
    candidates: Path,
    settings: DistanceSettings,
    shard: Shard,
    *,
    train: Path | None = None,
    options: ReadOptions | None = None,
    compute: Compute,
    workers: int = 1,
    show: Show = quiet,
) -> int:
    """Store the features of a shard's samples of each folder; return the number of pictures.

    Only these samples are decoded. Pictures of scopes with too few samples are among them: that is
    known of all samples together only. Raises InputError for unusable folders or weights, and
    OutputError if the store cannot be written.
    """
    if compute.store is None:
        raise InputError("a shard without a cache would compute for nothing")
    extractor = open_extractor(settings.features, settings.weights)
    count = 0
    for name, folder, how in folders_of(real, candidates, train, options or ReadOptions()):
        dataset = read_dataset(folder, how)
        dataset = dataset.select(list(shard.part(len(dataset))))
        found = scan(dataset, workers=workers, on_error=how.on_error, may_be_empty=True)
        show(found.dataset)
        seen = looks(found, settings.views)
        for first in range(0, len(seen), CHUNK):
            part = seen[first : first + CHUNK]
            features_of(found.dataset, part, extractor, compute, f"features {name}")
            if not compute.store.writable:
                raise OutputError(f"{compute.store.folder}: the features could not be kept")
        count += len(seen)
    return count
