"""Every long command on tiny data, and what each leaves, without what the clock decides."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests import gen_run_helpers, inpaint_run_helpers, run_helpers
from tests.assemble_helpers import write_parts
from tests.augment_helpers import part, surface, write_scan
from tests.detector_helpers import stripes
from tests.filter_helpers import drawn, real_parts, scanned
from tests.segment_helpers import BRIGHT, DARK, marks
from tests.segmenter_helpers import write_set
from tests.select_helpers import candidates, sample
from tests.select_helpers import real_parts as real_discs
from tests.trees import make_folder

# Values that say how long something took, or how much of it was left to do.
TIMED = {
    *("seconds", "steps_per_second", "made", "costs", "fit_seconds", "milliseconds"),
    *("score_seconds", "cost"),
}
RUN_CONFIG = {
    "count": 6, "seed": 4, "budget": "none", "features": "none", "detectors": [],
    "test_fraction": 0.4, "seeds": 2, "gate_steps": 3, "arms": [], "filtering": {"steps": 3},
    "segment": {"crop": 64, "batch": 4, "rate": 2e-3, "ema": 0.9},
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A command. words: with ``{home}`` for its inputs and ``{work}`` for what it writes.

    needs: what makes its inputs; staged: ``{work}/out`` is there when complete, never before;
    locked: a second one on the same folder is refused; pool: it has worker processes to lose;
    several: it takes ``--num-processes``;
    code: of an undisturbed call (4: done, and the gate says that nothing helps).
    """

    name: str
    words: str
    needs: tuple[str, ...]
    staged: bool = True
    locked: bool = True
    pool: bool = True
    several: bool = False
    code: int = 0

    def at(self, home: Path, work: Path, workers: int = 1) -> list[str]:
        given = self.words.format(home=home, work=work).split()
        return [*given, "--workers", str(workers), "--json"]


TRAINING = {"staged": False, "pool": False, "several": True}
CASES = {
    case.name: case
    for case in (
        Case("data convert", "data convert {home}/folder {work}/out --to coco", ("folder",)),
        Case("data split", "data split {home}/folder {work}/out --seed 3", ("folder",)),
        Case("data plates", "data plates {home}/photos {work}/out --whole", ("photos",)),
        Case(
            "augment",
            "augment {home}/parts {work}/out --method paste --count 14 --seed 5",
            ("parts",),
        ),
        Case(
            "inpaint train",
            "inpaint train {home}/shapes {work}/out --preset tiny --device cpu"
            " --config {home}/inpaint.yaml",
            ("shapes",),
            **TRAINING,
        ),
        Case(
            "inpaint apply",
            "inpaint apply {home}/inpaint {home}/shapes {work}/out --count 10 --seed 5"
            " --device cpu",
            ("inpaint",),
        ),
        Case(
            "gen train",
            "gen train {home}/squares {work}/out --preset tiny --arch dcgan --device cpu"
            " --config {home}/gen.yaml",
            ("squares",),
            **TRAINING,
        ),
        Case(
            "gen sample",
            "gen sample {home}/gen {work}/out --count 10 --seed 4 --device cpu",
            ("gen",),
        ),
        Case(
            "gen select",
            "gen select {home}/discs {work}/out --real {home}/real-discs --cache {work}/cache"
            " --device cpu",
            ("discs",),
        ),
        Case(
            "gen assemble",
            "gen assemble --anode {home}/plate/anode --glass {home}/plate/glass"
            " --cathode {home}/plate/cathode {work}/out --count 9 --seed 2",
            ("plate",),
        ),
        Case(
            "filter",
            "filter {home}/made {work}/out --real {home}/real --cache {work}/cache --steps 3"
            " --device cpu --config {home}/filter.yaml",
            ("real",),
        ),
        Case(
            "evaluate distance",
            "evaluate distance {home}/pits {home}/like-pits --images --no-cache"
            " --report {work}/report.html --device cpu",
            ("pits",),
            staged=False,
            locked=False,
        ),
        Case(
            "evaluate segment",
            "evaluate segment --train {home}/marks/real --test {home}/marks/test"
            " --add {home}/marks/made --runs {work}/runs --steps 3 --seeds 1 --crop 64 --batch 4"
            " --device cpu",
            ("marks",),
            staged=False,
            pool=False,
        ),
        Case(
            "evaluate detect",
            "evaluate detect --clean {home}/stripes/clean --real {home}/stripes/real"
            " --candidates {home}/stripes/made --detector cvae --epochs 1 --side 32"
            " --runs {work}/runs --plots {work}/plots --device cpu",
            ("stripes",),
            staged=False,
            pool=False,
        ),
        Case("run", "run {home}/whole {work}/out --config {home}/run.yaml --device cpu",
            ("whole",), staged=False, code=4),
    )
}  # fmt: skip


class Home:
    """The inputs of the commands, made when first asked for. nursery: makes what is trained."""

    def __init__(self, root: Path, nursery: Any) -> None:
        self.root, self.nursery, self._made = root, nursery, set[str]()
        self.made_of = {
            "folder": lambda at: make_folder(at, count=16),
            "photos": self._photos,
            "parts": run_helpers.make_source,
            "whole": run_helpers.make_source,
            "shapes": self._shapes,
            "inpaint": self._inpaint,
            "squares": self._squares,
            "gen": self._gen,
            "discs": self._discs,
            "plate": write_parts,
            "real": self._real,
            "pits": self._pits,
            "marks": self._marks,
            "stripes": self._stripes,
        }
        root.mkdir(parents=True, exist_ok=True)
        self._write("run", RUN_CONFIG)
        self._write("inpaint", inpaint_run_helpers.TINY | {
            "steps": 5, "checkpoint_every": 2, "batch": 4, "log_every": 1, "preview_every": 3,
            "ema": 0.9,
        })  # fmt: skip
        self._write("gen", {"steps": 6, "checkpoint_every": 2, "batch": 6, "log_every": 1,
            "preview_every": 3, "longest": 0, "width": 4, "critic_width": 4})  # fmt: skip
        self._write("filter", {"segment": {"crop": 64, "batch": 4}})

    def need(self, *names: str) -> None:
        for name in names:
            if name not in self._made:
                self.made_of[name](self.root / name)
                self._made.add(name)

    def _write(self, name: str, content: dict[str, Any]) -> None:
        (self.root / f"{name}.yaml").write_text(yaml.safe_dump(content))

    def _run(self, *words: object) -> None:
        done = self.nursery.run([*words, "--workers", 1])
        assert done.code == 0, done.told

    def _photos(self, at: Path) -> None:
        self._run("demo", at, "--kind", "plates", "--count", 5, "--scale", 0.1, "--seed", 3)

    def _shapes(self, at: Path) -> None:
        inpaint_run_helpers.make_source(at, count=5, clean=3)

    def _inpaint(self, at: Path) -> None:
        self.need("shapes")
        flags = ("--preset", "tiny", "--steps", 2, "--device", "cpu")
        self._run("inpaint", "train", self.root / "shapes", at, *flags)

    def _squares(self, at: Path) -> None:
        gen_run_helpers.make_source(at, count=30)

    def _gen(self, at: Path) -> None:
        self.need("squares")
        flags = ("--preset", "tiny", "--arch", "dcgan", "--steps", 2, "--device", "cpu")
        self._run("gen", "train", self.root / "squares", at, *flags)

    def _discs(self, at: Path) -> None:
        real_discs(self.root / "real-discs")
        write_scan(at, [sample(name, image) for name, image in candidates().items()], ())

    def _real(self, at: Path) -> None:
        scanned(at, real_parts(10))
        made = [drawn(f"paste_{i:06d}", 100 + i, i % 2, "paste") for i in range(12)]
        scanned(self.root / "made", made)

    def _pits(self, at: Path) -> None:
        for root, seed in ((at, 1), (self.root / "like-pits", 2)):
            samples = []
            for i in range(22):
                box = (5 + i, 4 + i % 20, 14 + i, 12 + i % 20)
                image = surface(100 * seed + i, level=100 + i)
                samples.append(part(f"pit-{seed}-{i}", [(0, box)], image=image))
            write_scan(root, samples)

    def _marks(self, at: Path) -> None:
        marks(at, "real", *[BRIGHT] * 6, None)
        marks(at, "made", *[DARK] * 4)
        marks(at, "test", BRIGHT, DARK, BRIGHT, DARK, None)

    def _stripes(self, at: Path) -> None:
        for seed, (name, clean, flawed) in enumerate(
            (("clean", 10, 0), ("real", 6, 4), ("made", 3, 3))
        ):
            good, none = stripes(clean, 32, 10 * seed)
            bad, shown = stripes(flawed, 32, 10 * seed + 1, blob=True)
            planes = [mask[None] for mask in (*none, *shown)]
            write_set(at / name, [*good, *bad], planes, ("blob",))


def left(work: Path, out: str) -> dict[str, str]:
    """Return what a finished command left and printed, by path, without what the clock decides.

    Left out: TensorBoard's files (their names hold the time), locks, the cache (how features are
    divided among its shards depends on where a command was stopped), and of a training's two kept
    checkpoints the older one (a signal makes one of its own).
    """
    found = {str(path.relative_to(work)): _content(path) for path in sorted(_files(work))}
    printed = json.loads(out.replace(str(work), "WORK")) if out.strip() else None
    return found | {"(printed)": json.dumps(_untimed(printed), sort_keys=True)}


def _files(work: Path) -> Iterator[Path]:
    for path in work.rglob("*"):
        if path.is_file() and not _is_left_out(path.relative_to(work)):
            newest = max(path.parent.parent.glob("0*"), default=None)
            if path.parent.parent.name != "state" or path.parent == newest:
                yield path


def _is_left_out(path: Path) -> bool:
    return "tensorboard" in path.parts or path.parts[0] == "cache" or path.name.endswith(".lock")


def _content(path: Path) -> str:
    content = path.read_bytes()
    if path.name in ("costs.json", "times.json"):
        content = json.dumps(_untimed(json.loads(content))).encode()
    elif path.name == "metrics.jsonl":
        content = json.dumps([_untimed(json.loads(x)) for x in content.splitlines()]).encode()
    elif path.name == "report.html":
        content = run_helpers.COST.sub("", content.decode()).encode()
    return hashlib.sha256(content).hexdigest()


def _untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _untimed(v) for k, v in value.items() if k not in TIMED}
    return [_untimed(one) for one in value] if isinstance(value, list) else value
