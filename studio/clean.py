"""Clean pictures to paint on: the real ones, and those that a person drops on the page."""

import shutil
import tempfile
import threading
import weakref
from hashlib import blake2b
from pathlib import Path

from flawsmith.data.dataset import DataSet, Record, load
from flawsmith.data.formats import ReadOptions, read_dataset
from flawsmith.data.images import image_size, read_image, write_png
from flawsmith.data.scan import scan
from flawsmith.data.surfaces import Surface, surfaces_of
from flawsmith.errors import InputError
from flawsmith.sample import Sample
from flawsmith.studio.paths import Roots
from flawsmith.studio.state import Recent

# Pixels of a dropped picture; a plate photo has 25 million.
PIXELS = 40_000_000
# Dropped pictures kept at a time; older ones go.
DROPPED = 24
DROP = "dropped_"


class Clean:
    """Clean pictures by id. wanted: pixels that the sides of a defect-free region should have.

    ``close`` removes the dropped ones; so does the end of the process.
    """

    def __init__(self, real: Path | None, wanted: int, roots: Roots) -> None:
        self._folder, self._wanted, self._roots = real, wanted, roots
        self._lock = threading.Lock()
        self._real: tuple[DataSet, dict[str, Surface], tuple[str, ...]] | None = None
        self._place = Path(tempfile.mkdtemp(prefix="flawsmith-studio-"))
        self.close = weakref.finalize(self, shutil.rmtree, self._place, ignore_errors=True)
        self._dropped: dict[str, Path] = {}
        self._recent: Recent[Sample] = Recent(2)

    def listed(self) -> tuple[list[str], tuple[str, ...]]:
        """Return the ids, dropped ones first, and what is to be said about them."""
        _, surfaces, notices = self._known()
        return [*reversed(self._dropped), *surfaces], notices

    def record(self, name: str) -> Path:
        """Return the file of a picture; raises InputError for an unknown one."""
        if name in self._dropped:
            return self._dropped[name]
        dataset, surfaces, _ = self._known()
        if name not in surfaces:
            raise InputError(f"no clean picture {name[:80]!r}")
        record = dataset.records[surfaces[name].sample]
        self._roots.keep(record)
        return self._roots.inside(record.image)

    def sample(self, name: str) -> Sample:
        """Return a clean sample: label good, no marks."""
        path = self.record(name)
        return self._recent.get(name, lambda: self._load(name, path))

    def drop(self, content: bytes) -> str:
        """Take a picture that the page sent; return its id. Raises InputError for a bad one.

        Its size is known from its header before a pixel is decoded.
        """
        name = DROP + blake2b(content, digest_size=6).hexdigest()
        folder = self._place
        raw = folder / f"{name}.part"
        try:
            raw.write_bytes(content)
            width, height = image_size(raw)
            if width * height > PIXELS:
                raise InputError(f"{width}x{height} pixels; at most {PIXELS // 1_000_000} million")
            write_png(folder / f"{name}.png", read_image(raw))
        except InputError as error:
            raise InputError(error.what, where="dropped file", mend=error.mend) from error
        finally:
            raw.unlink(missing_ok=True)
        with self._lock:
            self._dropped[name] = folder / f"{name}.png"
            while len(self._dropped) > DROPPED:
                self._dropped.pop(next(iter(self._dropped))).unlink(missing_ok=True)
        return name

    def _load(self, name: str, path: Path) -> Sample:
        dataset, surfaces, _ = self._known()
        if name in self._dropped:
            return load(Record(name, path, declared="good"), 0)
        surface = surfaces[name]
        whole = load(dataset.records[surface.sample], len(dataset.classes))
        if surface.box is None and whole.label != "good":
            raise InputError("it is not clean: its mask marks a defect", where=name)
        return surface.of(whole)

    def _known(self) -> tuple[DataSet, dict[str, Surface], tuple[str, ...]]:
        with self._lock:
            if self._real is None:
                self._real = self._read()
            return self._real

    def _read(self) -> tuple[DataSet, dict[str, Surface], tuple[str, ...]]:
        if self._folder is None:
            told = "no real images are opened (--images): drop a clean picture here"
            return DataSet(Path(), "", (), ()), {}, (told,)
        dataset = read_dataset(self._folder, ReadOptions(on_error="skip"))
        good = [i for i, record in enumerate(dataset.records) if _is_clean(record, dataset)]
        if good:
            return dataset, {dataset.records[i].id: Surface(i) for i in good}, ()
        found = scan(dataset, on_error="skip", may_be_empty=True)
        boxes = surfaces_of(found, self._wanted)
        told = f"no clean image: {len(boxes)} defect-free regions of defective ones are offered"
        return found.dataset, {found.dataset.records[s.sample].id: s for s in boxes}, (told,)


def _is_clean(record: Record, dataset: DataSet) -> bool:
    """Tell whether a picture is clean, by its place or by its mask, without decoding it."""
    if record.declared != "by-mask":
        return record.declared == "good"
    try:
        width, height = image_size(record.image)
        shape = (len(dataset.classes), height, width)
        return not record.masks.read(shape).any()
    except InputError:
        return False
