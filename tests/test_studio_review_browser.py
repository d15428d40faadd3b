"""Review in a real browser: by keys, held keys, through a kill, in two tabs, of ten thousand."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser import Browser, browser, found
from tests.studio_browser_helpers import READY, studio, visit
from tests.studio_helpers import choices, make_candidates

pytestmark = pytest.mark.skipif(found() is None, reason="no Chromium or Chrome on PATH")


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser") / "profile") as running:
        yield running


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
