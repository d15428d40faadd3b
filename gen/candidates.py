"""``flawsmith gen sample``: from a trained run to a data set on disk."""

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from flawsmith import __version__
from flawsmith.data.build import Built, Refused, build, finished
from flawsmith.data.division import Shard, part_of
from flawsmith.data.jobs import check_apart, check_format
from flawsmith.data.staging import staged
from flawsmith.data.writing import Spec
from flawsmith.errors import InputError
from flawsmith.gen.sampler import BATCH, Sampler, load_sampler
from flawsmith.progress import say
from flawsmith.sample import Sample
from flawsmith.train.runs import WEIGHTS
from flawsmith.train.weights import file_sha256


@dataclass(frozen=True)
class TrainedRun:
    """A run to sample: its folder, the SHA-256 of its weights, and the device's name."""

    path: Path
    digest: str
    device: str


@dataclass(frozen=True)
class Drawn:
    """The recipe: sample i is what the run's generator makes of (seed, i)."""

    run: TrainedRun
    seed: int
    truncation: float

    def make(self, index: int) -> Sample | Refused:
        each = BATCH if sampler_of(self.run).device.type != "cpu" else 1
        first = index - index % each
        return _batch(self, first, each)[index - first]


@lru_cache(maxsize=1)
def sampler_of(run: TrainedRun) -> Sampler:
    """Return the run's sampler, loaded once a process; InputError if its weights have changed."""
    sampler = load_sampler(run.path, run.device)
    # A training that goes on beside this job writes better ones: half a job by each is neither's.
    if file_sha256(run.path / WEIGHTS) != run.digest:
        raise InputError(
            "the weights changed since this job began", where=run.path, mend="sample anew"
        )
    return sampler


@lru_cache(maxsize=1)
def _batch(drawn: Drawn, first: int, count: int) -> tuple[Sample, ...]:
    found = sampler_of(drawn.run).sample(count, drawn.seed, drawn.truncation, first)
    return tuple(found)


def write_samples(
    run: Path,
    out: Path,
    *,
    count: int,
    seed: int = 0,
    truncation: float = 1.0,
    device: str = "auto",
    to: str = "folder",
    workers: int = 1,
    overwrite: bool = False,
    shard: Shard | None = None,
) -> Built:
    """Write ``count`` samples of a run as the data set ``out``.

    On a CPU the bytes depend neither on ``workers`` nor on ``count``. On a GPU one process makes
    them. Raises InputError for an unusable run, OutputError when writing fails. shard: make
    only its samples, for ``merge``.
    """
    check_format(to)
    check_apart(run, out)
    sampler = load_sampler(run, device)
    kind = sampler.device.type
    next(sampler.sample(1, seed, truncation))  # refuses a wrong truncation before any file
    settings = {
        "count": count, "seed": seed, "truncation": truncation, "to": to,
        "weights": sampler.digest, "device": kind,
    }  # fmt: skip
    job = {
        "command": "gen sample",
        "flawsmith": __version__,
        "settings": settings,
        "run": {"folder": sampler.run, "gen": sampler.settings.model_dump(mode="json")},
        "shape": asdict(sampler.shape),
    }
    with staged(out, part_of(job, count, shard), overwrite=overwrite) as stage:
        if stage.done:
            say(f"{out} is complete already")
            return finished(out)
        return build(
            stage.path,
            Drawn(TrainedRun(run, sampler.digest, device), seed, truncation),
            count,
            format_name=to,
            spec=Spec(sampler.classes, overlap=len(sampler.classes) > 1),
            made_by=job,
            workers=workers if kind == "cpu" else 1,
            label="sampling",
            shard=shard,
        )
