"""Painting in a real browser: by hand, with every tool, by keys alone; every page looked at."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from flawsmith.data.formats import read_dataset
from flawsmith.data.scan import scan
from flawsmith.evaluate.certificate import certify
from flawsmith.inpaint.hole import hole_of
from tests.browser import Browser, browser, found
from tests.studio_browser_helpers import READY, studio, visit
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


def test_answers_that_come_late_change_nothing(tab: Browser, painting: tuple[str, Path]) -> None:
    visit(tab, painting[0] + "#paint")
    tab.until("!!globalThis.studio?.easel.picture")
    held = "/picture$|bank$/.test(path) && !freed"
    tab.run("window.inner = fetch; window.freed = false; window.free = [];"
            f"window.fetch = (path, ...rest) => {held}"
            " ? new Promise((yes) => { freed = true; free.push(() => inner(path, ...rest)"
            ".then(one => { yes(one); return one.clone().blob().then(all => all.size); })); })"
            " : inner(path, ...rest)")  # fmt: skip
    name = "document.getElementById('canvas').getAttribute('aria-label')"
    click = "(() => {{ const tile = document.querySelector('#pictures .tile[data-place=\"{}\"]');"
    click += " tile.click(); return tile.getAttribute('aria-label'); }})()"
    _, second = (tab.run(click.format(place)) for place in (1, 2))
    # The first one's answer is held back until the second picture is there.
    tab.until(f"{name}.startsWith('Picture {second} ')")
    tab.run("free.pop()()")
    tab.run("new Promise(later => setTimeout(later, 100))")
    assert tab.run(name).startswith(f"Picture {second} ")
    # Masks of the bank that come when another tool is taken show no ghost.
    tab.run("freed = false")
    tab.press("m")
    tab.press("b")
    tab.run("free.pop()()")
    tab.until("!!document.querySelector('#bank [aria-selected=true]')")
    assert tab.run("studio.easel.ghost === null")
    tab.press("m")
    tab.until("studio.easel.ghost !== null")
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
