"""All that the page works with, opened once."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from flawsmith.data.dataset import load
from flawsmith.errors import InputError
from flawsmith.sample import Sample
from flawsmith.studio.candidates import Candidates
from flawsmith.studio.nearest import Nearest
from flawsmith.studio.opened import Opened
from flawsmith.studio.paths import Roots
from flawsmith.studio.shelf import Shelf
from flawsmith.studio.work import Queue

V = TypeVar("V")


class Recent(Generic[V]):
    """The last few values by key: what the next call of the same picture asks for again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        value = make()
        with self._lock:
            self._kept[key] = value
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return value


@dataclass
class State:
    """Shared by all calls. pictures: for what is drawn small; nearest: None without real images."""

    opened: Opened
    roots: Roots
    candidates: Candidates
    shelf: Shelf
    nearest: Nearest | None
    pictures: Queue = field(default_factory=lambda: Queue(2, 200))
    # Looking at all real images first takes long: nobody else waits for that.
    likeness: Queue = field(default_factory=lambda: Queue(1, 50))
    recent: Recent[Sample] = field(default_factory=lambda: Recent(3))

    def candidate(self, number: int) -> tuple[Sample, tuple[str, ...]]:
        """Return a candidate decoded, and the names of its planes.

        Raises InputError when its files lead out of the folders, or were made anew.
        """
        one = self.candidates[number]
        classes = self.candidates.sets[one.part].classes
        self.roots.keep(one.record)
        self.candidates.same(number)
        key = (one.part, one.record.id)
        return self.recent.get(key, lambda: load(one.record, len(classes))), classes


def need(value: V | None, what: str) -> V:
    """Return the value; raises InputError where there is none."""
    if value is None:
        raise InputError(f"no {what} here")
    return value
