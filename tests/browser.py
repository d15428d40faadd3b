"""A real browser for the tests: headless Chromium, spoken to over its DevTools pipe.

No package is needed for that: messages are JSON with a zero byte behind each, on the descriptors 3
and 4 (https://chromedevtools.github.io/devtools-protocol/).
"""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-extensions", "--disable-background-networking", "--disable-component-update",
    "--force-device-scale-factor=1", "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip
PATIENCE = 120.0
# Keys that a browser itself acts upon go by their number.
CODES = {"Tab": 9}
FREE = {"width": 0, "height": 0, "deviceScaleFactor": 1, "mobile": False}


def found() -> str | None:
    """Return the browser's path, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One tab of a running browser. complaints: what the console and the log said."""

    def __init__(self, into: int, out: int) -> None:
        self._into, self._out = into, out
        self._buffer, self._number, self._session = b"", 0, ""
        self.complaints: list[str] = []
        self._loaded = False
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        opened = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = opened["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")

    def open(self, path: Path | str, *, width: int, height: int = 900, dark: bool = False) -> None:
        """Load a file or an address, as on a screen so many CSS pixels wide, and wait for it."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self._ask("Emulation.setEmulatedMedia", media="", features=scheme)
        screen = {**FREE, "width": width, "height": height, "mobile": width < 600}
        self._ask("Emulation.setDeviceMetricsOverride", **screen)
        if isinstance(path, str):
            # From an address to one with another #part, nothing would be loaded.
            self._load("about:blank")
        self._load(path if isinstance(path, str) else path.resolve().as_uri())
        self.run("document.fonts.ready.then(() => Promise.all([...document.images].map(decoded)))")

    def _load(self, url: str) -> None:
        self._loaded = False
        self._ask("Page.navigate", url=url)
        while not self._loaded:
            self._hear(self._next())

    def run(self, code: str) -> Any:
        """Return what a script gives in the page (which itself may hold none), as plain values."""
        ready = "const decoded = image => image.decode().catch(() => null);"
        answer = self._ask(
            "Runtime.evaluate",
            expression=f"{{{ready}{code}}}",
            returnByValue=True,
            awaitPromise=True,
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, code: str, seconds: float = 60.0) -> Any:
        """Wait until a script gives something true in the page; return that."""
        end = time.monotonic() + seconds
        while not (found := self.run(code)):
            assert time.monotonic() < end, f"never came: {code}; {self.complaints}"
            time.sleep(0.03)
        return found

    def press(self, key: str, *, up: bool = True, ctrl: bool = False, shift: bool = False) -> None:
        """Press a key as a person does (a sign, or a name such as Enter), and let go of it."""
        text = key if len(key) == 1 and not ctrl else ""
        code = ord(key.upper()) if len(key) == 1 else CODES.get(key, 0)
        given = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 2 * ctrl + 8 * shift}
        self._ask("Input.dispatchKeyEvent", type="keyDown", text=text, **given)
        if up:
            self.release(key)

    def release(self, key: str) -> None:
        self._ask("Input.dispatchKeyEvent", type="keyUp", key=key)

    def drag(self, points: list[tuple[float, float]]) -> None:
        """Press the mouse at the first point, move over the others, let go at the last."""
        given: dict[str, Any] = {"button": "left", "buttons": 1, "clickCount": 1}
        for number, (x, y) in enumerate(points):
            kind = "mouseMoved" if number else "mousePressed"
            self._ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, **given)
        x, y = points[-1]
        self._ask("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, **given)

    def shot(self, path: Path, kind: str = "png") -> None:
        """Write what the window shows."""
        quality = {"quality": 88} if kind == "jpeg" else {}
        shown = self._ask("Page.captureScreenshot", format=kind, **quality)
        path.write_bytes(base64.b64decode(shown["data"]))

    def tree(self) -> list[dict[str, Any]]:
        """Return what a screen reader is given: role, name and level of each node, in order."""
        self._ask("Accessibility.enable")
        nodes = self._ask("Accessibility.getFullAXTree")["nodes"]
        return [_told(node) for node in nodes if not node["ignored"]]

    def picture(self, path: Path, limit: int = 16_000) -> None:
        """Write the page from top to bottom, up to ``limit`` pixels, as a PNG."""
        size = self._ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], limit)}
        shot = self._ask(
            "Page.captureScreenshot", clip={**clip, "scale": 1}, captureBeyondViewport=True
        )
        path.write_bytes(base64.b64decode(shot["data"]))

    def printed(self, width: int) -> None:
        """Show the open page as on paper so many CSS pixels wide."""
        self._ask("Emulation.setEmulatedMedia", media="print", features=[])
        self._ask("Emulation.setDeviceMetricsOverride", **{**FREE, "width": width, "height": 900})

    def pdf(self) -> bytes:
        """Return the page as it would be printed on A4."""
        paper = {"paperWidth": 8.27, "paperHeight": 11.69, "preferCSSPageSize": True}
        return base64.b64decode(self._ask("Page.printToPDF", **paper)["data"])

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._into, json.dumps(message).encode() + b"\0")
        while True:
            said = self._next()
            if said.get("id") == self._number:
                assert "error" not in said, f"{method}: {said['error']}"
                return dict(said["result"])
            self._hear(said)

    def _hear(self, said: dict[str, Any]) -> None:
        """Note an event: a page that has loaded, or a complaint."""
        method, params = said.get("method"), said.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(f"console: {params['args']}")
        elif method == "Log.entryAdded":
            self.complaints.append(f"{params['entry']['source']}: {params['entry']['text']}")
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(f"exception: {params['exceptionDetails']['text']}")
        elif method == "Network.loadingFailed" and not params.get("canceled"):
            self.complaints.append(f"not loaded: {params['errorText']}")

    def _next(self) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._out], [], [], max(0.0, end - time.monotonic()))
            part = os.read(self._out, 1 << 20) if ready else b""
            assert part, "the browser says nothing more"
            self._buffer += part
        message, self._buffer = self._buffer.split(b"\0", 1)
        return dict(json.loads(message))


def _told(node: dict[str, Any]) -> dict[str, Any]:
    properties = {p["name"]: p["value"].get("value") for p in node.get("properties", [])}
    name = node.get("name", {}).get("value", "")
    return {"role": node["role"]["value"], "name": name, "level": properties.get("level")}


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start the browser with a profile folder of its own; it ends with its helpers."""
    path = found()
    assert path
    theirs_in, ours_in = os.pipe()
    ours_out, theirs_out = os.pipe()
    # The shell alone can give a program two descriptors of these numbers.
    shell = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
    words = ["bash", "-c", shell, path, *FLAGS, f"--user-data-dir={profile}", "about:blank"]
    with (profile.parent / "browser.log").open("wb") as log:
        process = subprocess.Popen(
            words,
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Browser(ours_in, ours_out)
    finally:
        os.close(ours_in)
        os.close(ours_out)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
