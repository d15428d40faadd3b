"""The studio's command, and a browser tab that visits it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.browser import Browser

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


def visit(
    tab: Browser, address: str, *, width: int = 1280, height: int = 800, dark: bool = False
) -> None:
    """Open an address; what the page before it said of its own server, gone by now, is dropped."""
    tab.open("about:blank", width=width, height=height)
    tab.complaints.clear()
    tab.open(address, width=width, height=height, dark=dark)
