"""Stages of a run: each a folder, made again only when something it depends on has changed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flawsmith import __version__
from flawsmith.data.kept import check_seal, seal
from flawsmith.data.manifest import MANIFEST, SAMPLES
from flawsmith.data.staging import JOB, LOCK, held, job_digest, staged
from flawsmith.data.writing import make_folder, write_file
from flawsmith.errors import InputError
from flawsmith.pipeline.costs import COSTS, Costs
from flawsmith.progress import say

MARK = "run.json"
# Files of a stage that its seal leaves out: ours of staging, and what a clock said.
UNSEALED = (JOB, LOCK, "times.json")
# Of a stage that is a data set itself also what a person's review changes later.
REVIEWED = (MANIFEST, SAMPLES)


@dataclass
class Stages:
    """The stages of one run folder, by name, with the digest of what made each."""

    out: Path
    digests: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.costs = Costs(self.out / COSTS)

    @property
    def spent(self) -> float:
        """Seconds that the stages so far took, whenever they were made."""
        return self.costs.total(self.digests)

    def place(self, name: str) -> Path:
        """Return where a stage's folder lies."""
        return self.out / "stages" / name

    def make(
        self,
        name: str,
        inputs: dict[str, Any],
        needs: tuple[str, ...],
        work: Callable[[Path], None],
        folder: Path | None = None,
    ) -> Path:
        """Return the stage's folder, calling ``work(folder)`` unless it is complete already.

        inputs: JSON-able settings that decide the result; needs: earlier stages that do. A stage
        interrupted half-way gets its partial folder again. Raises InputError for a complete one
        of ``stages`` whose files are not those that were written.
        """
        path = folder or self.place(name)
        job = {
            "stage": name,
            "flawsmith": __version__,
            "inputs": inputs,
            "needs": {n: self.digests[n] for n in needs},
        }
        self.digests[name] = job_digest(job)
        make_folder(path.parent)
        with staged(path, job, overwrite=True) as stage:
            if stage.done:
                check_seal(stage.path)
                say(f"{name}: kept from the last run")
            else:
                with self.costs.timed(name, self.digests[name]):
                    work(stage.path)
                if folder is None:  # data sets are the user's
                    is_data = (stage.path / MANIFEST).is_file()
                    seal(stage.path, (*UNSEALED, *REVIEWED) if is_data else UNSEALED)
        return path


@contextmanager
def run_folder(out: Path, settings: str) -> Iterator[Stages]:
    """Hold a run's folder for this process; raises InputError if it is another's, or in use."""
    _check_own(out)
    make_folder(out)
    with held(out / LOCK, "another run is at work in it", out):
        # Only now: a second run must not change what the first one's folder says of it.
        write_file(out / MARK, settings)
        yield Stages(out)


def _check_own(out: Path) -> None:
    if (out / JOB).is_file():
        raise InputError("it holds a data set, not a run", where=out, mend="choose another folder")
    # A run killed at its very start leaves the lock alone.
    known = not out.exists() or (out.is_dir() and {p.name for p in out.iterdir()} <= {LOCK})
    if not known and not (out / MARK).is_file():
        raise InputError(
            "it exists and holds no run of flawsmith", where=out, mend="choose another folder"
        )
