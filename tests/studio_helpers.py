"""Folders that a studio opens, and a client that speaks to it without a socket."""

from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from flawsmith.studio.app import build_app, open_paint, open_state
from flawsmith.studio.opened import Opened, open_folder
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


def client_of(opened: Opened, cache: Path, **named: Any) -> TestClient:
    """Return a client that knows the address and the token."""
    state = open_state(opened, cache, "cpu")
    app = build_app(state, open_paint(state, "cpu"), TOKEN, HOST, PORT, **named)
    return TestClient(app, base_url=f"{BASE}/{TOKEN}", raise_server_exceptions=False)


def review_client(folder: Path, cache: Path, **named: Any) -> TestClient:
    return client_of(open_folder(folder, **named), cache)
