"""The bill of materials: CycloneDX JSON of what the lock names, with licences.

    python tools/sbom.py OUT [--tool cyclonedx-py]

cyclonedx-py (the package cyclonedx-bom) reads the lock; the licences of docs/licences.md are added,
and addresses of the index, which differ from house to house, are left out. Then it is checked:
every package of the lock with its version and hashes, and nothing else. The same lock gives the
same bytes.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from flawsmith.tools.licences import TABLE
from flawsmith.tools.lock import LOCK, ROOT, Locked, read_lock

ROW = re.compile(r"^\| ([a-z0-9-]+) \| ([0-9]\S*) \| ([^|]+) \| ([^|]+) \|$")
VERSION = "1.6"


def licences(table: Path = TABLE) -> dict[str, str]:
    """Return the licence of each package as the table has it."""
    rows = (ROW.match(line) for line in table.read_text("utf-8").splitlines())
    return {row[1]: row[3] for row in rows if row}


def made(tool: str) -> dict[str, Any]:
    """Return what cyclonedx-py says of the lock; its errors end this."""
    command = [tool, "requirements", "--output-reproducible", "--spec-version", VERSION]
    command += ["--output-format", "JSON", "--pyproject", str(ROOT / "pyproject.toml"), str(LOCK)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{tool}: {done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def completed(bom: dict[str, Any], known: dict[str, str]) -> dict[str, Any]:
    """Return the bill with licences, its hashes at the components, and no addresses."""
    for part in bom["components"]:
        sums = [s for place in part.pop("externalReferences", ()) for s in place.get("hashes", ())]
        part["hashes"] = sorted(sums, key=lambda one: str(one["content"]))
        part.pop("description", None)
        if licence := known.get(part["name"]):
            part["licenses"] = [_written(licence)]
    return bom


def _written(licence: str) -> dict[str, Any]:
    """Return a licence as CycloneDX wants it: a name where it is no SPDX expression."""
    if licence == "BSD" or licence.startswith("LicenseRef-NVIDIA"):
        return {"license": {"name": licence}}
    return {"expression": licence}


def faults_of(bom: dict[str, Any], lock: dict[str, Locked]) -> list[str]:
    """Return how a bill differs from the lock, by package; empty if it lists what the lock does."""
    if bom.get("bomFormat") != "CycloneDX":
        return ["no CycloneDX document"]
    parts = {part["name"]: part for part in bom["components"]}
    faults = [f"{name}: not in the lock" for name in parts if name not in lock]
    if len(parts) != len(bom["components"]):
        faults.append("a package comes twice")
    for name, locked in lock.items():
        part = parts.get(name)
        if part is None:
            faults.append(f"{name}: missing")
            continue
        sums = {one["content"] for one in part.get("hashes", ()) if one["alg"] == "SHA-256"}
        if part.get("version") != locked.version:
            faults.append(f"{name}: {part.get('version')}, the lock names {locked.version}")
        if sums != set(locked.hashes):
            faults.append(f"{name}: other hashes than the lock's")
        if not part.get("licenses"):
            faults.append(f"{name}: no licence")
        if part.get("purl") != f"pkg:pypi/{name}@{locked.version}":
            faults.append(f"{name}: another package URL: {part.get('purl')}")
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--tool", default="cyclonedx-py")
    given = parser.parse_args()
    lock = read_lock()
    bom = completed(made(given.tool), licences())
    if faults := faults_of(bom, lock):
        sys.exit("\n".join(faults))
    new = given.out.with_name(given.out.name + ".new")
    new.write_text(json.dumps(bom, indent=1, sort_keys=True) + "\n", "utf-8")
    new.replace(given.out)
    print(f"{given.out}: {len(lock)} packages, as the lock has them")


if __name__ == "__main__":
    main()
