"""The report in a real browser: it is whole, fits a phone and paper, and can be heard and typed."""

import re
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from flawsmith.evaluate.report import Fact, write_report
from tests.browser import Browser, browser, found
from tests.run_report_helpers import check, sections

pytestmark = pytest.mark.skipif(found() is None, reason="no Chromium or Chrome on PATH")

WIDTHS = (400, 1280)
# Text that reaches beyond the page, but for what lies in a part that scrolls by itself.
BEYOND = """
[...document.querySelectorAll("body *")].filter(element => {
  const box = element.getBoundingClientRect();
  return box.width && box.right > WIDTH + 1 && !element.closest(".scroll, pre");
}).map(element => element.outerHTML.slice(0, 120));
"""
BROKEN = """
[...document.images].filter(image => !(image.complete && image.naturalWidth > 0))
  .map(image => image.alt);
"""
# Contrast as in WCAG 2.1 (relative luminance), of each element that has a text of its own.
FAINT = """
const channels = text => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
  .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const ground = element => {
  for (let at = element; at; at = at.parentElement) {
    const colour = channels(getComputedStyle(at).backgroundColor);
    if (colour.length < 4 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
const ratio = element => {
  const style = getComputedStyle(element);
  const own = channels(element.closest("svg") ? style.fill : style.color);
  const [a, b] = [light(own), light(ground(element))].sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
};
const shows = node => node.nodeType === Node.TEXT_NODE && node.data.trim();
[...document.querySelectorAll("body *")]
  .filter(element => [...element.childNodes].some(shows) && ratio(element) < 4.5)
  .map(element => [ratio(element).toFixed(2), element.textContent.slice(0, 60)]);
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Reports with every section: one that helps, one that does not and leaks, one unmeasured."""
    names = ("IoU <b>&", "an-uncommonly-long-name-of-a-defect-class", "划痕", "a", "b", "c")
    found = {
        "helps": check(),
        "leaks": check({"real+filtered": -0.1}, classes=names, clean=False, leak="1 group is"),
        "unmeasured": None,
    }
    paths = {}
    for name, result in found.items():
        folder = tmp_path_factory.mktemp(name)
        paths[name] = folder / "report.html"
        summary = [Fact("Real images", "17", "9 defective"), Fact("Note", "", "a note")]
        write_report(
            paths[name],
            title="flawsmith: my-strips",
            summary=summary,
            sections=sections(folder, result),
        )
    return paths


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser") / "profile") as running:
        yield running


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["helps", "leaks", "unmeasured"])
def test_it_is_whole_and_fits(tab: Browser, pages: dict[str, Path], name: str, width: int) -> None:
    tab.open(pages[name], width=width)
    assert tab.complaints == []
    assert tab.run("document.images.length") > 20
    assert tab.run(BROKEN) == []
    # Closed details show nothing that could be too wide.
    tab.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert tab.run("document.documentElement.scrollWidth") <= width
    assert tab.run(BEYOND.replace("WIDTH", str(width))) == []


def test_the_verdict_is_seen_without_scrolling(tab: Browser, pages: dict[str, Path]) -> None:
    for width, height in ((400, 800), (1280, 800)):
        tab.open(pages["helps"], width=width, height=height)
        box = "document.querySelector('.headline').getBoundingClientRect()"
        assert 0 < tab.run(f"{box}.bottom") < height / 2
        tab.open(pages["leaks"], width=width, height=height)
        top = tab.run("document.querySelector('.notice.top').getBoundingClientRect().top")
        assert top < tab.run("document.querySelector('h1').getBoundingClientRect().top")


def test_a_screen_reader_gets_landmarks_headings_and_words(
    tab: Browser, pages: dict[str, Path]
) -> None:
    tab.open(pages["helps"], width=1280)
    tab.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    nodes = tab.tree()
    roles = [node["role"] for node in nodes]
    for landmark in ("banner", "navigation", "main", "contentinfo"):
        assert roles.count(landmark) == 1
    levels = [node["level"] for node in nodes if node["role"] == "heading"]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    named = {"image", "img", "heading", "region", "link", "graphics-document", "SvgRoot"}
    assert not [node for node in nodes if node["role"] in named and not node["name"].strip()]
    tables = [node for node in nodes if node["role"] in ("table", "grid", "LayoutTable")]
    assert len(tables) == tab.run("document.querySelectorAll('table').length")
    assert "LayoutTable" not in roles


def test_the_keyboard_reaches_all_that_scrolls_or_leads_on(
    tab: Browser, pages: dict[str, Path]
) -> None:
    tab.open(pages["helps"], width=400)
    wide = "[...document.querySelectorAll('*')].filter(e => e.scrollWidth > e.clientWidth + 1"
    hidden = " && getComputedStyle(e).overflowX === 'auto' && e.tabIndex < 0)"
    assert tab.run(f"{wide}{hidden}.map(e => e.outerHTML.slice(0, 100))") == []
    links = "[...document.querySelectorAll('nav a')].map(a => !!document.querySelector(a.hash))"
    found = tab.run(links)
    assert found
    assert all(found)


@pytest.mark.parametrize("dark", [False, True])
def test_texts_stand_out_from_their_ground(
    tab: Browser, pages: dict[str, Path], dark: bool
) -> None:
    for name in ("helps", "leaks"):
        tab.open(pages[name], width=1280, dark=dark)
        assert tab.run(FAINT) == []


def test_it_prints_whole(tab: Browser, pages: dict[str, Path]) -> None:
    for name in ("helps", "leaks"):
        tab.open(pages[name], width=1280)
        # A4 without its margins, at 96 pixels an inch.
        tab.printed(width=680)
        beyond = BEYOND.replace("WIDTH", "680").replace(".scroll, pre", "pre")
        assert tab.run(beyond) == []
        closed = "[...document.querySelectorAll('details:not([open]) table')]"
        assert tab.run(f"{closed}.every(table => table.getBoundingClientRect().height > 0)")
        paper = tab.pdf()
        assert paper.startswith(b"%PDF-")
        assert len(re.findall(rb"/Type\s*/Page\b", _unpacked(paper))) >= 5


def _unpacked(paper: bytes) -> bytes:
    """Return the PDF with its compressed streams in plain."""
    parts: list[Any] = [paper]
    for packed in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", paper, re.S):
        try:
            parts.append(zlib.decompress(packed))
        except zlib.error:
            continue
    return b"\n".join(parts)


def test_the_checks_see_what_is_wrong(tab: Browser, tmp_path: Path) -> None:
    path = tmp_path / "bad.html"
    path.write_text(
        "<!DOCTYPE html><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        "<body style='background:#fff'><p style='color:#999'>faint</p><p>plain</p>"
        "<div style='width:900px;height:9px'></div><img src='data:image/png;base64,AAAA' alt='x'>"
        "<img src='missing.png' alt='y'><script>console.error('said')</script>"
    )
    tab.open(path, width=400)
    assert tab.run(BROKEN) == ["x", "y"]
    assert [text for _, text in tab.run(FAINT)] == ["faint"]
    assert len(tab.run(BEYOND.replace("WIDTH", "400"))) == 1
    complaints = " ".join(tab.complaints)
    tab.complaints.clear()
    assert "said" in complaints
    assert "not loaded" in complaints
