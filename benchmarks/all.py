"""Every benchmark, each in a process of its own, one after another; one table at the end.

    python benchmarks/all.py [--quick] [--studies] [--only NAME,NAME] [--out bench-out] [--again]

Prints name, ours, baseline, ratio, goal and whether it is reached, and writes the same with all
other figures, the machine and the versions to OUT/full.json (OUT/quick.json). A benchmark that
fails is named and the rest go on; then the exit code is 1. What was measured is kept: the same
command again goes on, ``--again`` measures anew. What a stopped benchmark had done is used only by
the very same code. A missed goal is told, and is no failure.

Speed and memory take an hour and more on two cores and want a machine without other jobs. How well
generated data, detectors and generators do is a study of many hours: ``--studies`` adds these.
``--quick`` shows in some minutes that all of them work, studies too; its figures are of jobs too
small to say anything.

Real images: ``magnetic_tile`` of FLAWSMITH_TEST_DATA where that is set, else drawn strips.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flawsmith.benchmarks.shared import KEYS, flawsmith, stop_by_signal
from flawsmith.commands.tables import aligned
from flawsmith.doctor.machine import memory
from flawsmith.evaluate.provenance_section import machine, versions
from flawsmith.train.files import replace_file

HERE = Path(__file__).resolve().parent

NO_CODE = ("tests", "tools", "docs", "build", "dist")


@dataclass(frozen=True)
class Bench:
    """A script with the words of its full and its quick form.

    {source}: a data set; {train}, {test}: its parts; {work}: a folder that is kept. A "+" stands
    for a blank within a word. study: of quality, which takes hours.
    """

    script: str
    full: str
    quick: str
    study: bool = False


BENCHES = {
    "rle": Bench("rle", "", "--strips 300 --rounds 1"),
    "augment": Bench("augment", "", "--images 100 --rounds 1"),
    "augment-memory": Bench("augment", "--memory", "--memory --images 200"),
    "distance": Bench("distance", "", "--count 24"),
    "inpaint": Bench("inpaint", "--json", "--json --presets tiny --steps 2 --rounds 1"),
    "inpaint-apply": Bench("inpaint_apply", "--json", "--json --pairs 16 --rounds 1"),
    "gan": Bench("gan", "--json", "--json --archs dcgan --steps 2 --rounds 1"),
    "filter": Bench("filter", "", "--count 40 --steps 2"),
    "studio": Bench("studio", "--json", "--json --count 200 --strokes 2"),
    "stages": Bench(
        "stages",
        "{source} {work} --json",
        "{source} {work} --json --words --budget+none+--count+12+--seeds+2+--gate-steps+2",
    ),
    "growth": Bench("growth", "{work}", "{work} --base 8 --only demo,data+info"),
    "few-shot": Bench(
        "few_shot",
        "{source} {work} --json",
        "{source} {work} --json --steps 2 --seeds 2",
        study=True,
    ),
    "detectors": Bench(
        "detectors",
        "{source} {work} --json",
        "{source} {work} --json --only brightness,knn --seeds 1",
        study=True,
    ),
    "gan-quality": Bench(
        "gan_quality",
        "{train} {test} {work} --json",
        "{train} {test} {work} --json --minutes 0.05 --only dcgan",
        study=True,
    ),
}


def places(words: str, out: Path, name: str, quick: bool) -> dict[str, Path]:
    """Return the folders that a benchmark's words name, made where they are not there."""
    found = {"work": out / "work" / name}
    if not {"{source}", "{train}"} & set(words.split()):
        return found
    given = os.environ.get("FLAWSMITH_TEST_DATA")
    source = Path(given) / "magnetic_tile" if given and not quick else out / "work" / "strips"
    if source.parent == out / "work":
        count = ("--count", 60 if quick else 400, "--seed", 7)
        flawsmith("demo", source, "--kind", "severstal", *count)
    parts = out / "work" / "parts"
    if "{train}" in words:
        flawsmith("data", "split", source, parts)
    return found | {"source": source, "train": parts / "train", "test": parts / "test"}


def measured(name: str, out: Path, quick: bool, again: bool) -> dict[str, Any]:
    """Run a benchmark; return its results, or what went wrong."""
    bench = BENCHES[name]
    words = bench.quick if quick else bench.full
    log, start = out / f"{name}.log", time.perf_counter()
    told: dict[str, Any] = {"words": words, "code": code_digest(), "results": []}
    clear_other(out / "work" / name, told["code"], again)
    try:
        named = places(words, out, name, quick)
    except SystemExit as end:
        return told | {"failed": f"its data could not be made (exit code {end.code})"}
    command = [sys.executable, str(HERE / f"{bench.script}.py")]
    command += [word.replace("+", " ").format(**named) for word in words.split()]
    code, printed = ended(command, log)
    told["seconds"] = round(time.perf_counter() - start, 1)
    told["results"], other = read_lines(printed.splitlines())
    if code:
        last = (log.read_text("utf-8").strip().splitlines() or ["it said nothing"])[-1]
        return told | {"failed": f"exit code {code}: {last}"}
    if other or not told["results"]:
        what = f"a line that is no result: {other[0]}" if other else "no result"
        return told | {"failed": f"it printed {what}"}
    return told


def ended(command: list[str], log: Path) -> tuple[int, str]:
    """Run a script; return its exit code and what it printed. Stopped, it takes all it started."""
    with log.open("w", encoding="utf-8") as errors:
        # A session of its own: the commands that a script runs are ended with it.
        job = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        )
        try:
            printed, _ = job.communicate()
        except BaseException:
            os.killpg(job.pid, signal.SIGTERM)
            job.wait()
            raise
    return job.returncode, printed


def clear_other(work: Path, code: str, again: bool) -> None:
    """Remove what a benchmark keeps in ``work``, if it is of other code or to be measured anew."""
    mark = work / "code"
    known = mark.read_text("utf-8") if mark.is_file() else ""
    if again or known != code:
        shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    mark.write_text(code, "utf-8")


def read_lines(lines: Iterable[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the lines that are results, and those that are not."""
    found, other = [], []
    for line in filter(str.strip, lines):
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if isinstance(entry, dict) and set(KEYS) <= set(entry):
            found.append(entry)
        else:
            other.append(line)
    return found, other


def code_digest() -> str:
    """Return what tells one state of the code from another."""
    root, state = HERE.parent, hashlib.sha256()
    folders = (path for path in root.iterdir() if path.is_dir() and path.name not in NO_CODE)
    inner = (path for folder in folders if folder.name[0] != "." for path in folder.rglob("*.py"))
    for path in sorted([*root.glob("*.py"), *inner]):
        state.update(path.read_bytes())
    return state.hexdigest()[:12]


def kept(path: Path, words: str) -> dict[str, Any] | None:
    """Return what an earlier call measured with these words, unless it failed."""
    try:
        known = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return known if known.get("words") == words and "failed" not in known else None


def shown(value: object) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else f"{value}"


def reached(result: dict[str, Any]) -> str:
    """Return whether the goal is reached, or by how much it is not."""
    if result.get("goal") is None:
        return ""
    if result["reached"] is None:
        return "not measured"
    if result["reached"]:
        return "yes"
    figure = result["ours"] if result["ratio"] is None else result["ratio"]
    if not result["goal"]:
        return f"no, {figure:+.3g}"
    return f"no, {100 * (figure / result['goal'] - 1):+.0f}%"


def table(entries: dict[str, dict[str, Any]]) -> list[str]:
    """Return the table's lines, and after it what failed or is of other code."""
    rows, notes, code = [], [], code_digest()
    for name, entry in entries.items():
        for one in entry["results"]:
            limit = "at most " * bool(one.get("at most")) + shown(one["goal"])
            figures = [shown(one[key]) for key in ("ours", "baseline", "ratio")]
            rows.append([one["name"], one["unit"], *figures, limit * (one["goal"] is not None),
                         reached(one)])  # fmt: skip
        if "failed" in entry:
            notes.append(f"FAILED {name}: {entry['failed']}")
        elif entry["code"] != code:
            notes.append(f"{name}: measured with other code; --only {name} --again renews it")
    header = ("benchmark", "unit", "ours", "baseline", "ratio", "goal", "reached")
    return [*aligned(header, rows), *notes]


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="do they work? some minutes")
    parser.add_argument("--studies", action="store_true", help="those of quality, too: many hours")
    parser.add_argument("--only", metavar="NAME,NAME", help=", ".join(BENCHES))
    parser.add_argument("--out", type=Path, default=Path("bench-out"))
    parser.add_argument("--again", action="store_true", help="measure anew what is known")
    given = parser.parse_args()
    usual = [name for name, one in BENCHES.items() if given.studies or given.quick or not one.study]
    names = given.only.split(",") if given.only else usual
    if unknown := [name for name in names if name not in BENCHES]:
        parser.error(f"no benchmark {unknown[0]!r}; one of {', '.join(BENCHES)}")
    form = "quick" if given.quick else "full"
    stop_by_signal()
    out = given.out.resolve() / form
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        path, bench = out / f"{name}.json", BENCHES[name]
        if not given.again and kept(path, bench.quick if given.quick else bench.full):
            continue
        print(f"{name} ...", file=sys.stderr, flush=True)
        found = measured(name, out, given.quick, given.again)
        replace_file(path, (json.dumps(found) + "\n").encode())
    known = [name for name in BENCHES if (out / f"{name}.json").is_file()]
    entries = {name: json.loads((out / f"{name}.json").read_text("utf-8")) for name in known}
    about = {"machine": machine("cpu") | {"memory bytes": memory()[0]}, "versions": versions()}
    whole = {"form": form, **about, "benchmarks": entries}
    replace_file(given.out / f"{form}.json", (json.dumps(whole, indent=1) + "\n").encode())
    print("\n".join(table(entries)))
    sys.exit(any("failed" in entries[name] for name in names))


if __name__ == "__main__":
    main()
