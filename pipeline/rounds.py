"""Which rounds of seeds the gate has begun, and why it ended before the last; kept for a resume."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from flawsmith.data.kept import read_kept
from flawsmith.data.writing import make_folder
from flawsmith.train.files import replace_file


@dataclass(frozen=True)
class _Kept:
    job: str
    begun: list[int]
    cut: str


@dataclass
class Rounds:
    """begun: seeds whose runs were begun, in order; cut: why no further ones were, else empty.

    job: digest of what is compared, and within which budget; of another one nothing is known.
    """

    path: Path
    job: str
    begun: list[int] = field(default_factory=list)
    cut: str = ""

    @staticmethod
    def of(path: Path, job: str) -> "Rounds":
        """Return what is on record; raises InputError for what was not written so.

        To forget it would be to begin other rounds than those that the budget had room for.
        """
        if not path.is_file():
            return Rounds(path, job)
        content = read_kept(path, _Kept, remove=path)
        if content["job"] != job:
            return Rounds(path, job)
        return Rounds(path, job, list(content["begun"]), content["cut"])

    def begin(self, seed: int) -> None:
        """Note that a round is begun: a resumed run finishes it."""
        if seed not in self.begun:
            self.begun.append(seed)
            self._write()

    def end(self, cut: str) -> None:
        """Note that no further round is begun, and why."""
        if self.cut != cut:
            self.cut = cut
            self._write()

    def _write(self) -> None:
        content = {name: value for name, value in asdict(self).items() if name != "path"}
        make_folder(self.path.parent)
        replace_file(self.path, (json.dumps(content, indent=1) + "\n").encode())
