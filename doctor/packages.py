"""The installed packages against what flawsmith asks for, and combinations known to break."""

import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distributions, requires, version
from pathlib import Path

from flawsmith import __version__
from flawsmith.doctor.findings import Finding

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
# What an extra of pyproject.toml brings to the user; ``dev`` is for developers.
EXTRAS = {
    "detect": "the detectors patchcore, padim, dfm, stfpm and fastflow of evaluate detect",
    "shards": "reading the webdataset shards that --to webdataset writes, with its own library",
}
OPENCV = (
    "opencv-python", "opencv-python-headless",
    "opencv-contrib-python", "opencv-contrib-python-headless",
)  # fmt: skip
WANTED_OPENCV = "opencv-python-headless"
REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+)\s*([^;]*?)\s*(?:;.*extra\s*==\s*['\"](\w+)['\"].*)?$")
BOUND = re.compile(r"(>=|==|<=|<|>|!=)\s*([0-9][0-9.]*)")


def needed() -> list[tuple[str, str, str]]:
    """Return (name, bounds such as ``>=2.4``, extra or "") of each requirement of flawsmith.

    Empty where flawsmith is not installed as a package, but only lies on the path.
    """
    lines = of_sources(PROJECT)
    if not lines:
        try:
            lines = requires("flawsmith") or []
        except PackageNotFoundError:
            return []
    found = [REQUIREMENT.match(line) for line in lines]
    return [(match[1], match[2].replace(" ", ""), match[3] or "") for match in found if match]


def of_sources(path: Path) -> list[str]:
    """Return the requirements in the project's own file, where flawsmith runs from its sources.

    Installed metadata are those of the day of ``pip install -e``: what was asked for since then
    would not be looked at. Empty for another installation, and before Python 3.11 (no tomllib).
    """
    if sys.version_info < (3, 11) or not path.is_file():
        return []
    import tomllib

    project = tomllib.loads(path.read_text("utf-8")).get("project", {})
    if project.get("name") != "flawsmith":
        return []
    extras = project.get("optional-dependencies", {})
    more = (f"{line}; extra == '{extra}'" for extra, lines in extras.items() for line in lines)
    return [*project["dependencies"], *more]


def found_version(name: str) -> str | None:
    """Return the version of an installed package; nothing is imported for it."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def fits(have: str, bounds: str) -> bool:
    """Tell whether a version lies within bounds such as ``>=2.4`` or ``>=1,<2``."""
    for sign, limit in BOUND.findall(bounds):
        a, b = _numbers(have), _numbers(limit)
        width = max(len(a), len(b))
        a, b = a + (0,) * (width - len(a)), b + (0,) * (width - len(b))
        held = {"==": a == b, ">=": a >= b, "<=": a <= b, "<": a < b, ">": a > b, "!=": a != b}
        if not held[sign]:
            return False
    return True


def _numbers(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: 2.14.1+cpu is (2, 14, 1)."""
    release = re.match(r"[0-9]+(\.[0-9]+)*", text)
    return tuple(map(int, release[0].split("."))) if release else ()


def packages() -> list[Finding]:
    """Return flawsmith, Python, and each required package with its version."""
    python, own = platform.python_version(), [Finding("flawsmith", "ok", __version__)]
    old = sys.version_info < (3, 10)
    own += [Finding("Python", "wrong" if old else "ok", python, mend="Python 3.10+" * old)]
    asked = needed()
    if not asked:
        told = "lies on the path, is not installed: what it requires is not known"
        return [*own, Finding("installation", "note", told, mend="pip install . in its folder")]
    return own + [_required(name, bounds) for name, bounds, extra in asked if not extra]


def _required(name: str, bounds: str) -> Finding:
    have, install = found_version(name), f"pip install '{name}{bounds}'"
    if have is None:
        return Finding(name, "wrong", "not installed", mend=install)
    if not fits(have, bounds):
        return Finding(name, "wrong", f"{have}, wanted {bounds}", mend=install)
    return Finding(name, "ok", have)


def extras() -> list[Finding]:
    """Return the optional packages, with the line that installs each missing one."""
    found = []
    for name, bounds, extra in needed():
        if extra not in EXTRAS:
            continue
        have, install = found_version(name), f"pip install '{name}{bounds}'"
        if have is None:
            found.append(Finding(name, "absent", "not installed", EXTRAS[extra], install))
        elif not fits(have, bounds):
            told = f"{have}, wanted {bounds}"
            found.append(Finding(name, "wrong", told, EXTRAS[extra], install))
        else:
            found.append(Finding(name, "ok", have, EXTRAS[extra]))
    return found


def hazards() -> list[Finding]:
    """Return the combinations of packages that are here and known to break."""
    return [*_two_opencv(), *_torchvision(), *_foreign_augmentation()]


def _installed() -> set[str]:
    names = (found.metadata["Name"] for found in distributions())
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names if name}


def _two_opencv() -> Iterator[Finding]:
    here = sorted(_installed() & set(OPENCV))
    if len(here) > 1:
        yield Finding(
            "OpenCV",
            "wrong",
            f"{' and '.join(here)} are both installed: they write the same folder cv2, and what is "
            "imported is a mixture",
            "reading and writing every picture",
            f"pip uninstall -y {' '.join(here)} && pip install {WANTED_OPENCV}",
        )


def _torchvision() -> Iterator[Finding]:
    """A torchvision is built for one version of torch, and for one kind of device."""
    torch, vision = found_version("torch"), found_version("torchvision")
    if torch is None or vision is None:
        return
    pins = (re.match(r"torch\s*\(?==\s*([0-9.]+)", line) for line in requires("torchvision") or [])
    for pin in filter(None, pins):
        if not fits(torch, "==" + pin[1]):
            yield _mismatch(f"torchvision {vision} is built for torch {pin[1]}, here is {torch}")
            return
    kinds = [text.partition("+")[2] for text in (torch, vision)]
    if kinds[0] != kinds[1]:
        named = [kind or "the package index's build" for kind in kinds]
        yield _mismatch(f"torch {torch} ({named[0]}) and torchvision {vision} ({named[1]}) differ")


def _mismatch(told: str) -> Finding:
    mend = (
        "install both in one call, from one index: pip install --force-reinstall torch torchvision"
    )
    return Finding("torch with torchvision", "wrong", told, "every network", mend)


def _foreign_augmentation() -> Iterator[Finding]:
    if "albumentationsx" in _installed():
        yield Finding(
            "albumentations",
            "wrong",
            "albumentationsx (AGPL) is installed under the same name",
            "augment --method classical, trainings",
            "pip uninstall -y albumentationsx && pip install --force-reinstall "
            "--no-deps albumentations==2.0.8",
        )
