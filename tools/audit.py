"""Known weaknesses of what the lock names, by pip-audit; says plainly when nothing was looked up.

    python tools/audit.py [--tool pip-audit]

Exit code 0: every package was looked up and none has a known weakness. 1: some have, and each is
named with the version that mends it. 3: not audited, or not wholly: the service was not reachable,
or does not know a package. That is no pass.
"""

import argparse
import json
import subprocess
import sys
from typing import Any

from flawsmith.tools.lock import LOCK, read_lock

CLEAN, WEAK, NOT_AUDITED = 0, 1, 3
SECONDS = 300
SHOWN = 5


def verdict(report: dict[str, Any], names: set[str]) -> tuple[int, list[str]]:
    """Return the exit code and what to say of pip-audit's JSON report."""
    looked = [entry for entry in report["dependencies"] if "skip_reason" not in entry]
    weak = [entry for entry in looked if entry.get("vulns")]
    lines = []
    for entry in weak:
        for one in entry["vulns"]:
            mend = ", ".join(one.get("fix_versions") or ()) or "no version yet"
            lines.append(f"{entry['name']} {entry['version']}: {one['id']} (mended in: {mend})")
    missing = sorted(names - {entry["name"] for entry in looked})
    if missing:
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        told = ", ".join(missing[:SHOWN]) + more
        lines.append(f"NOT AUDITED: {len(missing)} of {len(names)} packages: {told}")
    if weak:
        return WEAK, lines
    if missing:
        return NOT_AUDITED, [*lines, "this is no pass: ask again where the service is reachable"]
    return CLEAN, [f"{len(names)} packages, no known weakness"]


def report_of(tool: str) -> dict[str, Any] | str:
    """Return pip-audit's report, or why there is none."""
    command = [tool, "--requirement", str(LOCK), "--require-hashes", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", "15"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        found = json.loads(done.stdout)
    except FileNotFoundError:
        return f"{tool} is not installed"
    except subprocess.TimeoutExpired:
        return f"no answer in {SECONDS} s"
    except ValueError:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        return lines[-1]
    return found if isinstance(found, dict) else "its report has another form"


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--tool", default="pip-audit")
    found = report_of(parser.parse_args().tool)
    if isinstance(found, str):
        print(f"NOT AUDITED: {found}\nthis is no pass", file=sys.stderr)
        sys.exit(NOT_AUDITED)
    code, lines = verdict(found, set(read_lock()))
    print("\n".join(lines), file=sys.stderr if code else sys.stdout)
    sys.exit(code)


if __name__ == "__main__":
    main()
