"""The house rules: the import order, short modules, a quick --help, whole wheels, no own paths."""

import ast
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
from click import Group
from click.testing import CliRunner

import flawsmith
from flawsmith.cli import cli

ROOT = Path(flawsmith.__file__).resolve().parent
BASE = {"__init__", "errors", "seeding", "sample", "settings", "progress"}
# What each package may import beside itself and the base.
MAY_IMPORT = {
    "data": set(),
    "augment": {"data"},
    "train": {"data"},
    "gen": {"data", "train", "augment"},
    "inpaint": {"data", "train", "augment"},
    "evaluate": {"data", "train"},
    "pipeline": {"data", "augment", "train", "gen", "inpaint", "evaluate"},
    "studio": {"data", "augment", "train", "gen", "inpaint", "evaluate"},
    "doctor": {"data", "augment", "train", "inpaint", "evaluate"},
    "commands": {
        "data", "augment", "train", "gen", "inpaint", "evaluate", "pipeline", "studio", "doctor"
    },
    "cli": {"commands"},
    "__main__": {"cli"},
}  # fmt: skip


def tracked() -> list[Path]:
    """Return the files that git tracks, or would if they were added."""
    names = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=False,
    )
    if names.returncode:
        pytest.skip("no git checkout")
    return [ROOT / name for name in names.stdout.split("\0") if name and (ROOT / name).is_file()]


def modules() -> list[Path]:
    """Return the package's own modules."""
    outside = {"tests", "benchmarks", "docs", "tools"}
    found = [p for p in tracked() if p.suffix == ".py"]
    return [p for p in found if p.relative_to(ROOT).parts[0] not in outside]


def imports_of(path: Path) -> set[str]:
    """Return the top-level parts of flawsmith that a module imports, lazily or not."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    parts = [name.split(".") for name in found if name.split(".")[0] == "flawsmith"]
    tops = {name[1] for name in parts if len(name) > 1}
    return {"__init__" if top == "__version__" else top for top in tops}


def top_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def test_imports_go_one_way():
    for path in modules():
        top = top_of(path)
        allowed = BASE if top in BASE else BASE | MAY_IMPORT[top] | {top}
        wrong = imports_of(path) - allowed
        assert not wrong, f"{path.relative_to(ROOT)} imports {', '.join(sorted(wrong))}"


def test_only_policies_import_albumentations():
    users = [
        p.name for p in modules() if re.search(r"^\s*import albumentations", p.read_text(), re.M)
    ]
    assert users == ["policies.py"]


def test_modules_are_short_and_say_what_they_are():
    for path in modules():
        text = path.read_text("utf-8")
        assert len(text.splitlines()) <= 300, path
        if path.name != "__init__.py":
            assert ast.get_docstring(ast.parse(text)), path


def test_functions_are_short():
    long = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                if lines > 40:
                    long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} {lines}")
    assert not long, "\n".join(long)


def test_help_loads_nothing_heavy():
    code = (
        "import sys; sys.argv = ['flawsmith', '--help']\n"
        "from flawsmith.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'torch', 'numpy', 'cv2', 'pydantic', 'albumentations', 'matplotlib', 'rich'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Example" in done.stdout


def test_painting_loads_no_timm():
    """Each worker of ``inpaint apply`` would load it, longer than torch, and never use it."""
    code = (
        "import sys\n"
        "import flawsmith.inpaint.apply, flawsmith.inpaint.recipe\n"
        "assert 'torch' in sys.modules\n"
        "sys.exit('timm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def commands(group=cli, words=()):
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        yield (*words, name)
        if isinstance(command, Group):
            yield from commands(command, (*words, name))


@pytest.mark.parametrize("words", [(), *commands()], ids=" ".join)
def test_every_help_has_an_example(words):
    shown = CliRunner().invoke(cli, [*words, "--help"])
    assert shown.exit_code == 0
    example = shown.stdout.split("Example")
    assert len(example) > 1
    assert " ".join(["flawsmith", *words]) in example[1]


def test_the_wheel_holds_the_packages_and_nothing_else(tmp_path):
    copy = tmp_path / "copy"
    for path in tracked():
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path]
    done = subprocess.run([*build, copy], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    held = {name for name in names if ".dist-info/" not in name}
    wanted = modules() + [
        p
        for p in tracked()
        if p.suffix == ".j2" or p.name == "py.typed" or p.parent.name == "static"
    ]
    assert held == {f"flawsmith/{path.relative_to(ROOT).as_posix()}" for path in wanted}
    assert any(name.endswith("entry_points.txt") for name in names)


def test_no_path_of_this_machine_is_written_down():
    own = {str(ROOT), str(Path.home()), sys.prefix, tempfile.gettempdir()}
    if len(ROOT.parent.parts) > 1:
        own.add(str(ROOT.parent))
    # As a whole path, not as the end of another (out/data is no /data).
    pattern = re.compile(r"(?<![\w.}])(" + "|".join(map(re.escape, own - {"/"})) + r")(?=/)")
    for path in tracked():
        content = path.read_bytes()
        if b"\0" not in content[:4096]:
            found = pattern.search(content.decode("utf-8", "replace"))
            assert not found, f"{path.relative_to(ROOT)}: {found}"


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings have on its host."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).lower().replace(" ", "-") for head in heads}


def test_every_link_between_pages_leads_somewhere():
    pages, dead, seen = [p for p in tracked() if p.suffix == ".md"], [], 0
    for page in pages:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if "://" in target:
                continue
            name, _, anchor = target.partition("#")
            there = (page.parent / name) if name else page
            seen += 1
            if not there.exists() or (anchor and anchor not in anchors(there)):
                dead.append(f"{page.relative_to(ROOT)}: {target}")
    assert seen > 20
    assert dead == []
