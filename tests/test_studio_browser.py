"""The studio in a real browser: painted by hand, reviewed by keys, killed, restarted, looked at."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from flawsmith.data import review
from flawsmith.data.formats import read_dataset
from flawsmith.data.scan import scan
from flawsmith.evaluate.certificate import certify
from flawsmith.inpaint.hole import hole_of
from tests.browser import Browser, browser, found
from tests.studio_helpers import make_candidates, make_real, make_run
from tests.test_report_browser import FAINT

pytestmark = pytest.mark.skipif(found() is None, reason="no Chromium or Chrome on PATH")

# What reaches beyond the window, but for what lies in a part that scrolls by itself.
BEYOND = """
[...document.querySelectorAll("main *, header *")].filter(element => {
  const box = element.getBoundingClientRect();
  return box.width && box.right > innerWidth + 1
    && !element.closest(".heard, .list, .bank, .strip, svg");
}).map(element => element.outerHTML.slice(0, 120));
"""
UNNAMED = """
[...document.querySelectorAll("button, select, input, textarea, [role=listbox], canvas, img, svg")]
  .filter(e => e.checkVisibility() && !e.closest(".tile, .strip"))
  .filter(e => !(e.getAttribute("aria-label") || e.getAttribute("aria-labelledby")
    || e.textContent.trim() || e.labels?.length || e.hasAttribute("alt")))
  .map(e => e.outerHTML.slice(0, 120));
"""
READY = "document.querySelector('#crop image') && document.querySelectorAll('.tile').length"


@contextmanager
def studio(*words: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command; yields its process and the address that it prints."""
    command = [sys.executable, "-m", "flawsmith", "studio", *words, "--no-browser"]
    with subprocess.Popen(
        [*map(str, command), "--device", "cpu"], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr
        try:
            told = next(line for line in process.stderr if line.startswith("open "))
            yield process, told.split()[1]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser") / "profile") as running:
        yield running


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_run(tmp_path_factory.mktemp("trained"), steps=10)


@pytest.fixture(scope="module")
def painting(
    trained: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    """A studio on a run; yields its address and where it saves."""
    run, source = trained
    save = tmp_path_factory.mktemp("saved") / "painted"
    cache = tmp_path_factory.mktemp("cache")
    with studio(run, "--images", source, "--save", save, "--cache", cache) as (_, address):
        yield address, save


def visit(
    tab: Browser, address: str, *, width: int = 1280, height: int = 800, dark: bool = False
) -> None:
    """Open an address; what the page before it said of its own server, gone by now, is dropped."""
    tab.open("about:blank", width=width, height=height)
    tab.complaints.clear()
    tab.open(address, width=width, height=height, dark=dark)


def choices(folder: Path) -> list[str | None]:
    lines = (folder / "samples.jsonl").read_text().splitlines()
    return [review.choice_of(json.loads(line)["meta"]) for line in lines]


def test_twenty_candidates_by_keys_through_a_kill(tab: Browser, tmp_path: Path) -> None:
    made = make_candidates(tmp_path / "made", 20)
    words = (made, "--cache", tmp_path / "cache")
    keys = "arasaraaraarraarasrara"[:20]
    wanted = [{"a": "accepted", "r": "rejected", "s": None}[key] for key in keys]
    with studio(*words) as (process, address):
        visit(tab, address)
        tab.until(READY)
        for number, key in enumerate(keys[:9]):
            tab.press(key)
            # What the page has shown as confirmed is on the disk.
            tab.until(f"fetch('api/changes/0').then(a => a.json()).then(t => t.change >= {number})"
                      if key != "s" else "true")  # fmt: skip
        tab.until("fetch('api/changes/0').then(a => a.json()).then(t => t.change >= 8)")
        assert tab.complaints == []
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert choices(made) == [*wanted[:9], *[None] * 11]
    with studio(*words) as (_, address):
        visit(tab, address)
        tab.until(READY)
        # It opens at the first undecided one, which was skipped.
        assert "paste_000003" in tab.until("document.getElementById('crop-name').textContent")
        for _ in range(6):
            tab.press("s")
        for key in keys[9:]:
            tab.press(key)
        total = sum(choice is not None for choice in wanted)
        tab.until("document.getElementById('counts').textContent.startsWith"
                  f"('{total} of 20 decided')")  # fmt: skip
        tab.until(f"fetch('api/changes/0').then(a => a.json()).then(t => t.change >= {total - 8})")
        # Back, and another mind.
        tab.press("b")
        tab.press("c")
        tab.until("document.getElementById('state').textContent === 'undecided'")
        tab.press("a")
        # What is chosen narrows the list.
        told = tab.run("document.getElementById('counts').textContent")
        decided, rejected = int(told.split()[0]), int(re.search(r"(\d+) rejected", told)[1])
        for name, value, shown in (
            ("choice", "rejected", rejected), ("class", "none", rejected),
            ("choice", "open", 20 - decided), ("class", "1", 0),
        ):  # fmt: skip
            tab.run(f"const s = document.getElementById('by-{name}'); s.value = '{value}';"
                    "s.dispatchEvent(new Event('input', {bubbles: true}))")  # fmt: skip
            tab.until(f"document.getElementById('counts').textContent.endsWith('· {shown} shown')")
        assert tab.run("!document.getElementById('none').hidden")
        assert tab.complaints == []
    assert choices(made)[:18] == wanted[:18]
    assert len(choices(made)) == 20


def test_two_tabs(tab: Browser, tmp_path: Path) -> None:
    made = make_candidates(tmp_path / "made", 3)
    with studio(made, "--cache", tmp_path / "cache") as (_, address):
        visit(tab, address)
        tab.until(READY)
        # Another tab decides on what this one shows, before this one hears of it.
        never = "path.includes('changes') ? new Promise(() => {}) : inner(path, ...rest)"
        tab.run(f"const inner = fetch; window.fetch = (path, ...rest) => {never}")
        other = "JSON.stringify({number: 0, choice: 'rejected', was: null})"
        tab.run(f"fetch('api/decide', {{method: 'POST', body: {other}}})")
        tab.press("a")
        told = tab.until("document.getElementById('notice').textContent")
        assert "decided in another tab" in told
        assert choices(made)[0] == "rejected"
        tab.press("b")
        tab.until("document.getElementById('state').textContent === 'rejected by you'")
        # The refused call is logged by the browser itself; nothing else complains.
        assert [c for c in tab.complaints if "409" not in c] == []
        tab.complaints.clear()


def test_a_held_key_decides_once_and_unwritten_is_told(tab: Browser, tmp_path: Path) -> None:
    made = make_candidates(tmp_path / "made", 6)
    with studio(made, "--cache", tmp_path / "cache") as (_, address):
        visit(tab, address)
        tab.until(READY)
        held = "path.includes('decide') ? new Promise(go => { window.go = go; })"
        tab.run(f"const inner = fetch; window.fetch = (path, ...rest) => {held}"
                ".then(() => inner(path, ...rest)) : inner(path, ...rest)")  # fmt: skip
        for repeat in ("false", "true", "true", "true"):
            tab.run("document.body.dispatchEvent(new KeyboardEvent('keydown', "
                    f"{{key: 'a', repeat: {repeat}, bubbles: true}}))")  # fmt: skip
        told = "document.getElementById('counts').textContent"
        assert "1 accepted, 0 rejected, 1 not written yet" in tab.run(told)
        leaving = "(e => { dispatchEvent(e); return e.defaultPrevented; })"
        leaving += "(new Event('beforeunload', {cancelable: true}))"
        assert tab.run(leaving) is True
        assert tab.run("document.querySelectorAll('.tile.pending').length") == 1
        assert choices(made) == [None] * 6
        tab.run("window.go()")
        tab.until(f"!{told}.includes('not written')")
        assert tab.run(leaving) is False
        assert tab.run("document.querySelectorAll('.tile.pending').length") == 0
        assert choices(made) == ["accepted", *[None] * 5]
        assert tab.complaints == []


def pixels(tab: Browser, before: bool) -> np.ndarray:
    """Return the RGBA pixels that the page has put together."""
    told = "true" if before else "false"
    code = (
        f"const p = studio.easel.pixels({told}); "
        "({size: [p.height, p.width, 4], data: [...p.data]})"
    )
    answer = tab.run(code)
    return np.array(answer["data"], np.uint8).reshape(answer["size"])


def at(tab: Browser, x: float, y: float) -> tuple[float, float]:
    """Return where a pixel of the picture is on the screen."""
    code = (
        "const b = document.getElementById('canvas').getBoundingClientRect();"
        " const v = studio.easel.view;"
        f" [b.left + v.x + {x} * v.scale, b.top + v.y + {y} * v.scale]"
    )
    first, second = tab.run(code)
    return first, second


def test_paint_and_save(
    tab: Browser, painting: tuple[str, Path], trained: tuple[Path, Path]
) -> None:
    address, save = painting
    visit(tab, address + "#paint")
    tab.until("!!globalThis.studio?.easel.picture")
    tab.run("const c = document.getElementById('class'); c.value = '2'; "
            "const s = document.getElementById('strength'); s.value = 150; "
            "s.dispatchEvent(new Event('input'))")  # fmt: skip
    tab.drag([at(tab, x, 28) for x in (30, 34, 38, 42)])
    tab.until("studio.easel.patch && studio.idle()")
    before, after = pixels(tab, True), pixels(tab, False)
    values = np.array(tab.run("[...studio.mask().values]"), np.uint8).reshape(before.shape[:2])
    changed = (before != after).any(axis=2)
    assert changed.any()
    assert set(np.unique(values)) == {0, 2}
    grow = tab.run("fetch('api/paint/about').then(a => a.json())")["grow"]
    assert not (changed & ~hole_of(values > 0, grow)).any()
    # Before, held by a key; another seed; undo and redo.
    tab.press("x", up=False)
    assert tab.run("studio.easel.before") is True
    tab.release("x")
    assert tab.run("studio.easel.before") is False
    tab.press("n")
    tab.until("document.getElementById('seed').value === '1' && studio.idle()")
    tab.press("z", ctrl=True)
    tab.until("!studio.mask().box() && !studio.easel.patch && studio.idle()")
    tab.press("z", ctrl=True, shift=True)
    tab.until("studio.mask().box() && studio.easel.patch && studio.idle()")
    tab.press("8")
    tab.until("document.querySelectorAll('#strip canvas').length === 8")
    # One of them is taken as it was painted.
    tab.run("document.querySelectorAll('#strip button')[2].click()")
    assert tab.run("document.getElementById('seed').value") == "3"
    assert tab.run("studio.easel.patch.seed") == 3
    after = pixels(tab, False)
    tab.press("s", ctrl=True)
    tab.until("document.getElementById('notice').textContent.startsWith('Saved as')")
    assert tab.complaints == []
    saved = read_dataset(save)
    (verdict,) = certify(saved, scan(read_dataset(trained[1])), 1, "")
    assert verdict.accepted, verdict.reason
    assert np.array_equal(saved[0].masks[1], values == 2)
    assert saved[0].meta["seed"] == 3
    assert np.array_equal(saved[0].image, after[..., 0])
    # Of another mask these seeds tell nothing.
    tab.press("z", ctrl=True)
    tab.until("document.getElementById('strip').hidden && studio.idle()")


def test_only_what_is_seen_is_saved(tab: Browser, painting: tuple[str, Path]) -> None:
    visit(tab, painting[0] + "#paint")
    tab.until("!!globalThis.studio?.easel.picture")
    off = "document.getElementById('save').disabled"
    assert tab.run(off)
    tab.run("document.getElementById('class').value = '2'")
    tab.drag([at(tab, x, 28) for x in (30, 34, 38, 42)])
    tab.until(f"studio.easel.patch && studio.idle() && !{off}")
    # The next stroke's painting hangs: nothing is saved until it is seen.
    answer = "path === 'api/paint' ? new Promise((_, no) => { window.no = no; })"
    tab.run(f"window.inner = fetch; window.sent = []; window.fetch = (path, ...rest) => {answer}"
            " : (sent.push(path), inner(path, ...rest))")  # fmt: skip
    tab.drag([at(tab, x, 20) for x in (30, 34, 38)])
    tab.until("!!window.no")
    assert tab.run(off)
    tab.press("s", ctrl=True)
    assert "Not saved" in tab.run("document.getElementById('notice').textContent")
    # It fails: what is shown then is the plain picture, with nothing to save.
    tab.run("window.no(new TypeError('gone'))")
    tab.until("!studio.easel.patch && studio.idle()")
    assert tab.run(off)
    assert tab.run("sent.filter(path => path === 'api/save')") == []
    big = "new File([new Uint8Array(8)], 'big.png')"
    tab.run(f"const file = {big}; Object.defineProperty(file, 'size', {{value: 2 ** 28}});"
            "const drop = new Event('drop'); drop.dataTransfer = {files: [file]};"
            "document.getElementById('page-paint').dispatchEvent(drop)")  # fmt: skip
    assert "256 MiB" in tab.run("document.getElementById('notice').textContent")
    assert tab.run("sent.filter(path => path === 'api/drop')") == []
    assert tab.complaints == []


def test_every_tool_and_the_keyboard_alone(tab: Browser, painting: tuple[str, Path]) -> None:
    visit(tab, painting[0] + "#paint")
    tab.until("!!globalThis.studio?.easel.picture")
    area = "studio.mask().values.filter(Boolean).length"
    tab.press("l")
    tab.drag([at(tab, 10, 10), at(tab, 30, 10)])
    line = tab.run(area)
    assert 20 * 6 < line < 30 * 9
    tab.press("f")
    tab.drag([at(tab, *p) for p in ((40, 30), (60, 30), (60, 50), (40, 50))])
    lasso = tab.run(area) - line
    assert 350 < lasso < 450
    tab.press("e")
    tab.drag([at(tab, 10, 10), at(tab, 30, 10)])
    assert tab.run(area) == lasso
    tab.press("m")
    tab.until("!!document.querySelector('#bank [aria-selected=true]')")
    tab.drag([at(tab, 15, 15), at(tab, 14, 14)])
    tab.run("document.getElementById('place').click()")
    stamped = tab.run(area)
    assert stamped > lasso
    assert tab.run("Object.values(studio.mask().origins).flat().length") == 1
    tab.press("b")
    tab.run("document.getElementById('canvas').focus()")
    for _ in range(2):
        tab.press("ArrowRight", shift=True)
    tab.press(" ")
    assert tab.run(area) > stamped
    tab.until("studio.easel.patch && studio.idle()")
    for _ in range(4):
        tab.press("z", ctrl=True)
    assert tab.run(area) == line
    tab.until("studio.idle()")
    assert tab.complaints == []


def test_the_tab_key_reaches_everything(tab: Browser, painting: tuple[str, Path]) -> None:
    visit(tab, painting[0] + "#paint")
    tab.until("!!globalThis.studio?.easel.picture")
    able = (
        "[...document.querySelectorAll('button, select, input, canvas, a, [role=listbox]')]"
        ".filter(e => e.checkVisibility() && !e.disabled && !e.closest('#strip'))"
    )
    tab.run(f"{able}.forEach(e => {{ e.dataset.missed = '1'; }})")
    count = tab.run("document.querySelectorAll('[data-missed]').length")
    assert count > 15
    for _ in range(count + 5):
        tab.press("Tab")
        tab.run("delete document.activeElement.dataset.missed")
    assert tab.run("[...document.querySelectorAll('[data-missed]')].map(e => e.outerHTML)") == []
    # Within a group, arrows choose.
    tab.run("document.querySelector('[data-tool=brush]').focus()")
    tab.press("ArrowRight")
    chosen = "document.querySelector('#tools [aria-checked=true]').dataset.tool"
    assert tab.run(f"[{chosen}, document.activeElement.dataset.tool]") == ["line", "line"]
    tab.press("ArrowLeft")
    tab.press("ArrowLeft")
    assert tab.run(chosen) == "move"


# By the even-odd rule, a pixel at a time.
EVEN_ODD = """
import('./mask.js').then(({ Mask }) => {
  const mask = new Mask(90, 70), points = POINTS;
  const box = mask.area(points, 3);
  let wrong = 0;
  for (let y = 0; y < 70; y += 1) for (let x = 0; x < 90; x += 1) {
    let odd = false;
    for (let i = 0, j = points.length - 1; i < points.length; j = i, i += 1) {
      const [[ax, ay], [bx, by]] = [points[i], points[j]];
      if (ay > y + 0.5 !== by > y + 0.5 && x + 0.5 < ((bx - ax) * (y + 0.5 - ay)) / (by - ay) + ax)
        odd = !odd;
    }
    wrong += mask.values[y * 90 + x] !== (odd ? 3 : 0);
  }
  return [wrong, mask.values.filter(Boolean).length, box];
})
"""


def test_a_lasso_fills_by_the_even_odd_rule(tab: Browser, painting: tuple[str, Path]) -> None:
    visit(tab, painting[0] + "#paint")
    tab.until("!!globalThis.studio?.easel.picture")
    generator = np.random.default_rng(5)
    for points in (generator.uniform(-20, 110, (40, 2)).tolist(),
                   [[10.5, 10.5], [20.5, 10.5], [20.5, 20.5], [10.5, 20.5]],
                   [[-9, -9], [-5, -9], [-5, -5]]):  # fmt: skip
        wrong, marked, box = tab.until(EVEN_ODD.replace("POINTS", json.dumps(points)))
        assert wrong == 0
        assert (marked > 0) == (box is not None)
    # A plate's outline: as quick as it is drawn.
    slow = (
        "import('./mask.js').then(({ Mask }) => { const mask = new Mask(5000, 5000);"
        " const points = [...Array(3000).keys()].map(i => [2500 + 2400 * Math.cos(i / 477.5),"
        " 2500 + 2400 * Math.sin(i / 477.5)]); const start = performance.now();"
        " mask.area(points, 1); return performance.now() - start; })"
    )
    assert tab.until(slow) < 20_000


@pytest.mark.parametrize(("width", "dark"), [(400, True), (1280, False)])
def test_it_fits_is_named_and_stands_out(
    tab: Browser, painting: tuple[str, Path], tmp_path: Path, width: int, dark: bool
) -> None:
    made, real = make_candidates(tmp_path / "made", 8), make_real(tmp_path / "real")
    words = (made, "--images", real, "--cache", tmp_path / "cache")
    with studio(*words) as (_, address):
        visit(tab, address, width=width, dark=dark)
        tab.until(READY)
        check_page(tab, width)
    for name, ready in (
        ("paint", "!!globalThis.studio?.easel.picture"),
        ("see", "document.getElementById('frame').src"),
    ):
        visit(tab, f"{painting[0]}#{name}", width=width, dark=dark)
        tab.until(ready)
        check_page(tab, width)


def check_page(tab: Browser, width: int) -> None:
    assert tab.run("document.documentElement.scrollWidth") <= width
    assert tab.run(BEYOND) == []
    assert tab.run(UNNAMED) == []
    faint = [entry for entry in tab.run(FAINT) if float(entry[0]) < 4.5]
    assert faint == []
    roles = [node["role"] for node in tab.tree()]
    assert roles.count("main") == 1
    assert "banner" in roles
    named = {"button", "combobox", "slider", "spinbutton", "listbox", "image", "Canvas"}
    assert not [n for n in tab.tree() if n["role"] in named and not n["name"].strip()]
    assert tab.complaints == []


def test_ten_thousand_candidates(tab: Browser, tmp_path: Path) -> None:
    """The list is there at once, however long, and holds few elements wherever it is scrolled."""
    made = make_candidates(tmp_path / "made", 2)
    lines = (made / "samples.jsonl").read_text().splitlines()
    content = json.loads((made / "dataset.json").read_text())
    first = json.loads(lines[0])
    for i in range(2, 10_000):
        name = f"paste_{i:06d}"
        for folder in ("images", "masks"):
            os.link(made / folder / "paste_000000.png", made / folder / f"{name}.png")
        lines.append(json.dumps({**first, "id": name, "image": f"images/{name}.png"}))
    (made / "samples.jsonl").write_text("".join(line + "\n" for line in lines))
    (made / "dataset.json").write_text(json.dumps({**content, "samples": 10_000}))
    with studio(made, "--cache", tmp_path / "cache") as (process, address):
        before = resident(process.pid)
        visit(tab, address)
        tab.until(READY)
        took = tab.run("performance.now()")
        assert tab.run("document.querySelectorAll('.tile').length") < 100
        for share in (0.2, 0.9, 0.5, 1.0):
            tab.run(
                f"const l = document.getElementById('list'); l.scrollTop = {share} * l.scrollHeight"
            )
            tab.until("[...document.querySelectorAll('.tile img')].some(i => i.naturalWidth)")
        assert tab.run("document.querySelectorAll('.tile').length") < 100
        tab.until("[...document.querySelectorAll('.tile')].some(t => t.dataset.place === '9999')")
        tab.press("a")
        tab.until("fetch('api/changes/0').then(a => a.json()).then(t => t.change === 1)")
        assert resident(process.pid) - before < 120 << 20
        assert tab.complaints == []
    assert choices(made).count("accepted") == 1
    # Milliseconds since the address was opened; the goal is two seconds on an idle core.
    assert took < 10_000, took


def resident(pid: int) -> int:
    """Return the bytes of memory that a process holds."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) << 10
