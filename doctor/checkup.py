"""The whole look: sections in the order in which they are printed."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from flawsmith.doctor import machine as computer
from flawsmith.doctor.findings import Finding, Section, error_line
from flawsmith.doctor.packages import extras, hazards, packages
from flawsmith.doctor.places import places
from flawsmith.doctor.selftest import self_test
from flawsmith.doctor.weights import weights

INDUCTOR = "TORCHINDUCTOR_CACHE_DIR"


def examine(device: str = "auto", *, test: bool = True) -> Iterator[Section]:
    """Yield the sections, each when it is known.

    device: where the self-test's networks run. test: run the self-test, about ten seconds.
    """
    looks: list[tuple[str, Callable[[], Iterable[Finding]]]] = [
        ("packages", packages),
        ("known conflicts", hazards),
        ("optional parts", extras),
        ("machine", computer.machine),
        ("torch and devices", computer.devices),
        ("weights", weights),
        ("folders", places),
    ]
    if test:
        looks.append(("self-test", lambda: self_test(device)))
    with _torch_leaves_nothing():
        for title, look in looks:
            yield Section(title, _found(look))


def _found(look: Callable[[], Iterable[Finding]]) -> tuple[Finding, ...]:
    try:
        return tuple(look())
    except Exception as error:  # the doctor must not fall ill itself
        return (Finding("this look", "wrong", error_line(error)),)


@contextmanager
def _torch_leaves_nothing() -> Iterator[None]:
    """Keep the folder for compiled code, which torch makes when it is imported, for this time."""
    if INDUCTOR in os.environ:
        yield
        return
    folder = ""
    with suppress(OSError):  # a full or missing folder is told by the look at folders
        folder = tempfile.mkdtemp(prefix="flawsmith-doctor-")
        os.environ[INDUCTOR] = folder
    try:
        yield
    finally:
        os.environ.pop(INDUCTOR, None)
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
