"""The studio's limits: of bodies, dropped files, slow clients and waiting work."""

import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import anyio
import numpy as np
import pytest
from PIL import Image as Pillow
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.testclient import TestClient

from flawsmith.data.images import encode_png
from flawsmith.errors import InputError
from flawsmith.studio import server
from flawsmith.studio.clean import Clean
from flawsmith.studio.guard import PART, Guard, Limits, _in_parts
from flawsmith.studio.opened import open_folder
from flawsmith.studio.paths import Roots
from flawsmith.studio.work import Gone, Queue
from tests.studio_helpers import (
    BASE,
    HOST,
    TOKEN,
    app_of,
    client_of,
    make_candidates,
    review_client,
    running,
    spoken,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_candidates(tmp_path_factory.mktemp("limited") / "made")


@pytest.fixture(scope="module")
def client(folder, tmp_path_factory):
    return review_client(folder, tmp_path_factory.mktemp("cache"))


def test_bodies_are_limited(folder, tmp_path):
    limits = Limits(body=1000)
    client = client_of(open_folder(folder), tmp_path, limits=limits)
    # A dropped picture may be larger; here nothing takes one.
    assert client.post("/api/drop", content=b"x" * 1001).status_code in (404, 405)
    assert client.post("/api/decide", content=b"x" * 1001).status_code == 413
    assert client.post("/api/decide", content=iter([b"x" * 600] * 2)).status_code == 413
    assert client.post("/api/decide", content=b"x" * 999).status_code == 400
    assert client.request("PUT", "/api/decide").status_code == 405


def test_many_bodies_at_once_are_limited():
    guard = Guard(PlainTextResponse("done"), TOKEN, lambda host: True, Limits(held=1000))
    client = TestClient(guard, base_url=f"{BASE}/{TOKEN}")
    guard._held = 900
    assert client.post("/", content=b"x" * 200).status_code == 503
    guard._held = 0
    assert client.post("/", content=b"x" * 200).status_code == 200
    assert guard._held == 0


def test_what_is_not_understood_is_said_in_a_line(client):
    bodies = [
        b"", b"{", b"[]", b"\xff", b'{"number": 0}',
        b'{"number": "0", "choice": null, "was": null}',
        b'{"number": 0, "choice": "maybe", "was": null}', b'{"number": 1.5}',
        b'{"number": 0, "choice": null, "was": null, "path": "/etc"}',
    ]  # fmt: skip
    for body in bodies:
        found = client.post("/api/decide", content=body)
        assert found.status_code == 400, body
        assert "\n" not in found.json()["error"]
    order = {"number": 99, "choice": None, "was": None}
    assert client.post("/api/decide", json=order).status_code == 422
    order["number"] = -1
    assert client.post("/api/decide", json=order).status_code == 422
    assert client.get("/c/99/tile.jpg").status_code == 422


def test_dropped_files_are_limited(tmp_path):
    from flawsmith.studio import clean

    dropped = Clean(None, 64, Roots([tmp_path]))
    name = dropped.drop(encode_png(np.zeros((20, 30), np.uint8)))
    assert dropped.sample(name).size == (30, 20)
    for bad in (b"", b"no picture", encode_png(np.zeros((9, 9), np.uint8))[:40]):
        with pytest.raises(InputError, match="dropped file"):
            dropped.drop(bad)
    # A bomb: 40 million pixels and one row, in a few kB.
    bomb = tmp_path / "bomb.png"
    Pillow.new("1", (8000, clean.PIXELS // 8000 + 1)).save(bomb)
    assert bomb.stat().st_size < 100_000
    with pytest.raises(InputError, match="at most 40 million"):
        dropped.drop(bomb.read_bytes())
    for i in range(clean.DROPPED + 3):
        last = dropped.drop(encode_png(np.full((9, 9), i, np.uint8)))
    assert dropped.listed()[0][0] == last
    assert len(dropped.listed()[0]) == clean.DROPPED
    with pytest.raises(InputError, match="no clean picture"):
        dropped.sample(name)
    dropped.close()


def test_slow_clients_do_not_stop_others(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "HEAD_SECONDS", 1.0)
    monkeypatch.setattr(server, "CONNECTIONS", 40)
    app = app_of(open_folder(folder), tmp_path)
    app.limits = Limits(seconds=1.0)
    with running(app) as port:
        silent = [socket.create_connection((HOST, port)) for _ in range(60)]
        slow = [socket.create_connection((HOST, port)) for _ in range(20)]
        for own in slow[:10]:
            own.sendall(b"GET /")
        for own in slow[10:]:
            head = f"POST /{TOKEN}/api/decide HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            own.sendall(head.encode() + b"Content-Length: 900\r\n\r\nx")
        start = time.monotonic()
        told = spoken(port, f"GET /{TOKEN}/api/about HTTP/1.1")
        assert json.loads(told.split(b"\r\n\r\n", 1)[1])["review"] == 6
        assert time.monotonic() - start < 5
        answers = [own.recv(1000) for own in slow[10:]]
        assert [answer[9:12] for answer in answers] == [b"408"] * 10
        for own in (*silent, *slow[:10]):
            own.settimeout(20)
            assert own.recv(10) == b""
        for own in (*silent, *slow):
            own.close()


def test_who_does_not_take_the_answer_is_dropped(monkeypatch):
    """Its bytes must not wait here for ever."""
    monkeypatch.setattr(server, "STALLED", 0.5)
    size = 64 << 20
    guard = Guard(Response(bytes(size)), TOKEN, lambda host: True)
    with running(guard) as port, socket.create_connection((HOST, port), timeout=20) as own:
        own.sendall(f"GET /{TOKEN}/ HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode())
        time.sleep(2)
        taken = 0
        with suppress(ConnectionResetError):
            while part := own.recv(1 << 20):
                taken += len(part)
        assert taken < size // 2
        told = spoken(port, f"GET /{TOKEN}/ HTTP/1.1")
        assert len(told.split(b"\r\n\r\n", 1)[1]) == size


def test_answers_go_out_in_parts():
    sent = []

    async def send(message):
        sent.append(message)

    for size in (0, 1, PART, PART + 1, 3 * PART):
        sent.clear()
        guard = Guard(Response(bytes(range(256)) * (size // 256 + 1)), TOKEN, lambda host: True)
        client = TestClient(guard, base_url=f"{BASE}/{TOKEN}")
        assert client.get("/").content == bytes(range(256)) * (size // 256 + 1)
        content = bytes(size)
        anyio.run(_in_parts(send), {"type": "http.response.body", "body": content})
        assert b"".join(one["body"] for one in sent) == content
        assert [one.get("more_body", False) for one in sent] == [True] * (len(sent) - 1) + [False]
        assert len(sent) == max(1, -(-size // PART))


def test_who_has_left_is_not_worked_for():
    messages = [{"type": "http.request", "body": b""}, {"type": "http.disconnect"}]

    async def receive():
        return messages.pop(0)

    request = Request({"type": "http", "method": "GET", "headers": []}, receive)
    with pytest.raises(Gone):
        anyio.run(Queue(1, 1).run, request, lambda: pytest.fail("worked"))


# Started under nohup or in the background, some signals are ignored from the start.
SERVED = """
import signal
from pathlib import Path
from starlette.responses import PlainTextResponse
from flawsmith.studio.clean import Clean
from flawsmith.studio.paths import Roots
from flawsmith.studio.server import serve, take_place

for name in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(name, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
clean = Clean(None, 64, Roots([]))
print(clean._place, flush=True)
tell = lambda text: print(text, flush=True)
serve(take_place(), PlainTextResponse("here"), browse=False, say=tell)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_dropped_pictures_go_with_the_studio(number):
    words = [sys.executable, "-c", SERVED]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as own:
        place = Path(own.stdout.readline().strip())
        assert place.is_dir()
        address = own.stdout.readline().split()[1]
        port = int(address.split(":")[2].split("/")[0])
        assert spoken(port, "GET / HTTP/1.1").endswith(b"here")
        own.send_signal(number)
        try:
            assert own.wait(20) == 0
        finally:
            own.kill()
        assert "stopped" in own.stdout.read()
    assert not place.exists()
