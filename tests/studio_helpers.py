"""Folders that a studio opens, and a client that speaks to it without a socket."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from click.testing import CliRunner, Result
from starlette.testclient import TestClient

from flawsmith.cli import cli
from flawsmith.data import review
from flawsmith.studio import server
from flawsmith.studio.app import build_app, open_paint, open_state
from flawsmith.studio.guard import Guard
from flawsmith.studio.opened import Opened, open_folder
from flawsmith.studio.server import Patient, take_place
from tests.filter_helpers import drawn, real_parts, scanned
from tests.inpaint_run_helpers import make_source, train_shapes

TOKEN = "secret-token"
HOST, PORT = "127.0.0.1", 8123
BASE = f"http://{HOST}:{PORT}"


def make_candidates(root: Path, count: int = 6) -> Path:
    """Write candidates with a square or a disc each."""
    made = [drawn(f"paste_{i:06d}", 100 + i, i % 2, "paste") for i in range(count)]
    return scanned(root, made).dataset.root


def make_real(root: Path, count: int = 4) -> Path:
    return scanned(root, real_parts(count)).dataset.root


def make_run(root: Path, steps: int = 4) -> tuple[Path, Path]:
    """Train a few steps; return the run and its pictures, clean ones among them."""
    source = make_source(root / "shapes")
    train_shapes(source, root / "run", steps=steps)
    return root / "run", source


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]


def choices(folder: Path) -> list[str | None]:
    return [review.choice_of(line["meta"]) for line in lines_of(folder)]


def run_filter(*words: object) -> Result:
    return CliRunner().invoke(cli, ["filter", *map(str, words), "--no-segmenter", "--workers", "1"])


def client_of(opened: Opened, cache: Path, **named: Any) -> TestClient:
    """Return a client that knows the address and the token."""
    state = open_state(opened, cache, "cpu")
    app = build_app(state, open_paint(state, "cpu"), TOKEN, HOST, PORT, **named)
    return TestClient(app, base_url=f"{BASE}/{TOKEN}", raise_server_exceptions=False)


def review_client(folder: Path, cache: Path, **named: Any) -> TestClient:
    return client_of(open_folder(folder, **named), cache)


def app_of(opened: Opened, cache: Path) -> Guard:
    """Return the application for a socket, whatever its port: that is known only later."""
    state = open_state(opened, cache, "cpu")
    guard = build_app(state, open_paint(state, "cpu"), TOKEN, HOST, PORT)
    assert isinstance(guard, Guard)
    guard.is_own = lambda host: host.startswith(f"{HOST}:")
    return guard


@contextmanager
def running(app: Guard) -> Iterator[int]:
    """Serve on a free port in a thread; yields the port."""
    place = take_place()
    config = uvicorn.Config(
        app, http=Patient, ws="none", lifespan="off", loop="asyncio", log_level="critical",
        h11_max_incomplete_event_size=server.HEAD,
    )  # fmt: skip
    running = uvicorn.Server(config)
    thread = threading.Thread(
        target=lambda: asyncio.run(running.serve(sockets=[place.socket])), daemon=True
    )
    thread.start()
    try:
        yield place.port
    finally:
        running.should_exit = True
        thread.join(20)
        place.socket.close()


def spoken(port: int, *lines: str, body: bytes = b"") -> bytes:
    """Return the answer to a call spoken by hand."""
    with socket.create_connection((HOST, port), timeout=20) as own:
        head = "\r\n".join([*lines, f"Host: {HOST}:{port}", "Connection: close", "", ""])
        own.sendall(head.encode() + body)
        parts = []
        while part := own.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)
