"""The studio's walls: its own address alone, a token in every call, no path out."""

import pytest

from flawsmith.errors import InputError
from flawsmith.studio.clean import Clean
from flawsmith.studio.guard import host_rule, is_loopback
from flawsmith.studio.opened import open_folder
from flawsmith.studio.paths import Roots
from flawsmith.studio.server import take_place
from tests.studio_helpers import (
    BASE,
    HOST,
    PORT,
    TOKEN,
    app_of,
    make_candidates,
    make_real,
    review_client,
    running,
    spoken,
)

OUTSIDE = "top secret"
# What a path may look like that wants to get out.
ESCAPES = (
    "../secret.txt",
    "..%2fsecret.txt",
    "%2e%2e/secret.txt",
    "%2e%2e%2fsecret.txt",
    "..%252fsecret.txt",
    "....//secret.txt",
    "..\\secret.txt",
    "..%5csecret.txt",
    "%2fetc%2fpasswd",
    "/etc/passwd",
    "//etc/passwd",
    "c/0/../../secret.txt",
    "c/%2e%2e%2f%2e%2e%2fsecret.txt/tile.jpg",
    "p/..%2f..%2fsecret.txt/picture",
    "p/%2fetc%2fpasswd/picture",
    "samples.jsonl",
    "images/paste_000000.png",
    "static/../secret.txt",
    "index.html%00.js",
    "see/previews/..%2f1.jpg",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("guarded")
    (root / "secret.txt").write_text(OUTSIDE)
    return make_candidates(root / "made")


@pytest.fixture(scope="module")
def client(folder, tmp_path_factory):
    return review_client(folder, tmp_path_factory.mktemp("cache"))


def test_who_knows_the_token_is_answered(client):
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert client.get("/api/about").json()["review"] == 6
    for name in ("content-security-policy", "x-content-type-options", "referrer-policy"):
        assert page.headers[name]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "http" not in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    ["/", "/api/about", "/c/0/tile.jpg", "/index.html", "//", "/wrong/api/about", "/%00/api/about",
     f"/{TOKEN[:-1]}/api/about", f"/{TOKEN}x/", f"/{TOKEN.upper()}/", f"//{TOKEN}/"],
)  # fmt: skip
def test_every_call_needs_the_token(client, path):
    for method in ("get", "post", "head"):
        found = getattr(client, method)(BASE + path)
        assert found.status_code == 403, (method, path)
        assert OUTSIDE not in found.text


@pytest.mark.parametrize(
    "host",
    ["evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}", "0.0.0.0:8123",
     f"127.0.0.1.evil.example:{PORT}", f"localhost.evil.example:{PORT}", "", f"192.168.0.7:{PORT}"],
)  # fmt: skip
def test_other_names_of_this_server_are_refused(client, host):
    assert client.get("/api/about", headers={"host": host}).status_code == 403


def test_its_own_names_are_right(client):
    for host in (f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"LOCALHOST:{PORT}", f"[::1]:{PORT}"):
        assert client.get("/api/about", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"https://{HOST}:{PORT}"},
        {"origin": f"http://{HOST}:{PORT + 1}"},
        {"origin": f"http://{HOST}:{PORT}.evil.example"},
        {"origin": f"http://localhost:{PORT}"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_other_pages_are_refused(client, headers):
    for method in ("get", "post"):
        path = "/api/about" if method == "get" else "/api/decide"
        assert getattr(client, method)(path, headers=headers).status_code == 403
    own = {"origin": BASE, "sec-fetch-site": "same-origin"}
    assert client.get("/api/about", headers=own).status_code == 200


def test_a_click_on_the_address_elsewhere_opens_the_page_and_no_more(client):
    clicked = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    as_page = {**clicked, "sec-fetch-dest": "document"}
    assert client.get("/", headers=as_page).status_code == 200
    assert client.get("/api/about", headers=as_page).status_code == 403
    assert client.get("/", headers={**clicked, "sec-fetch-dest": "iframe"}).status_code == 403
    assert client.get(f"{BASE}/", headers=as_page).status_code == 403
    assert client.post("/", headers={**as_page, "origin": "null"}).status_code == 403


def test_on_another_address_names_are_still_refused():
    is_own = host_rule("0.0.0.0", 80)
    assert is_own("192.168.0.7:80")
    assert is_own("[fe80::1]:80")
    assert is_own("localhost:80")
    assert not is_own("evil.example:80")
    assert not is_own("192.168.0.7.evil.example:80")
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("example.org")


@pytest.mark.parametrize("escape", ESCAPES)
def test_no_path_leads_out(client, escape):
    for method in ("get", "post"):
        found = getattr(client, method)(f"{BASE}/{TOKEN}/{escape}")
        # 403: the client has taken the token off with the dots.
        assert found.status_code in (400, 403, 404, 405, 422), escape
        assert OUTSIDE not in found.text
        assert "root:" not in found.text


def test_raw_paths_lead_nowhere_either(folder, tmp_path):
    """What a client normalises before it sends, a socket does not."""
    with running(app_of(open_folder(folder), tmp_path)) as port:
        for escape in ESCAPES:
            told = spoken(port, f"GET /{TOKEN}/{escape.replace(' ', '')} HTTP/1.1")
            assert told.split(b" ")[1] in (b"400", b"403", b"404", b"422"), escape
            assert OUTSIDE.encode() not in told


def test_a_link_that_leads_out_is_not_followed(tmp_path):
    made = make_candidates(tmp_path / "made")
    client = review_client(made, tmp_path / "cache")
    before = client.get("/c/1/crop.jpg")
    assert before.status_code == 200
    # Only after it was opened: a reader would have passed the link over.
    foreign = make_candidates(tmp_path / "foreign")
    for name in ("images", "masks"):
        path = made / name / "paste_000000.png"
        path.unlink()
        path.symlink_to(foreign / name / "paste_000000.png")
    for call in ("tile.jpg", "crop.jpg", "whole.jpg", "look"):
        found = client.get(f"/c/0/{call}")
        assert found.status_code == 422
        assert "leaves the opened folder" in found.json()["error"]
    (made / "samples.jsonl").rename(tmp_path / "samples.jsonl")
    (made / "samples.jsonl").symlink_to(tmp_path / "samples.jsonl")
    order = {"number": 1, "choice": "accepted", "was": None}
    assert client.post("/api/decide", json=order).status_code == 422
    assert "accepted" not in (tmp_path / "samples.jsonl").read_text()


@pytest.mark.parametrize("drop", ["images", "masks"])
def test_neither_picture_nor_mask_may_lead_out(tmp_path, drop):
    made = make_candidates(tmp_path / "made")
    client = review_client(made, tmp_path / "cache")
    painted_on = Clean(make_real(tmp_path / "real"), 64, Roots([tmp_path / "real"]))
    name = painted_on.listed()[0][0]
    foreign = make_candidates(tmp_path / "foreign")
    for path in (made / drop / "paste_000000.png", tmp_path / "real" / drop / f"{name}.png"):
        path.unlink()
        path.symlink_to(foreign / drop / "paste_000000.png")
    for call in ("tile.jpg", "crop.jpg", "whole.jpg", "look"):
        found = client.get(f"/c/0/{call}")
        assert found.status_code == 422
        assert "leaves the opened folder" in found.json()["error"]
    with pytest.raises(InputError, match="leaves the opened folder"):
        painted_on.sample(name)
    painted_on.close()


def test_roots_follow_links_before_they_compare(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "out").symlink_to(tmp_path)
    (inner / "loop").symlink_to(inner / "loop")
    roots = Roots([inner])
    assert roots.inside(inner / "new.txt") == (inner / "new.txt").resolve()
    for path in (inner / "..", inner / "out" / "x", inner / "loop", tmp_path, inner / "a\0b"):
        with pytest.raises(InputError):
            roots.inside(path)


def test_a_place_is_on_loopback_with_its_own_token():
    first, second = take_place(), take_place()
    assert first.host == "127.0.0.1"
    assert first.socket.getsockname()[0] == "127.0.0.1"
    assert first.token != second.token
    assert len(first.token) >= 32
    assert first.address == f"http://127.0.0.1:{first.port}/{first.token}/"
    with pytest.raises(InputError, match="cannot listen"):
        take_place(port=first.port)
    for place in (first, second):
        place.socket.close()
