"""Any call of somebody who knows the token: an answer, never a fault, and no stray file."""

import json
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tests.fuzzing import BRIEFLY, changed, edits, only_inside
from tests.studio_helpers import make_candidates, review_client

PATHS = (
    "", "api/about", "api/review", "api/decide", "api/since/0", "api/see", "api/look/0",
    "c/0/tile.jpg", "c/0/look", "c/0/crop.jpg", "c/0/whole.jpg", "c/0/near", "report.html",
    "p/s0/picture", "api/paint", "api/save", "api/drop",
)  # fmt: skip
CALL = {"number": 1, "choice": "accepted", "was": None}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[TestClient, Path]:
    root = tmp_path_factory.mktemp("studio")
    made = make_candidates(root / "made")
    client = review_client(made, root / "cache")
    routes = client.app.app.routes  # all that there are, whatever their names
    KNOWN.extend(route.path.lstrip("/").replace("{number:int}", "0") for route in routes)
    return client, root


KNOWN: list[str] = []


@BRIEFLY
@given(
    st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE"]),
    st.integers(0, 60),
    edits | st.just([]),
    edits | st.just([]),
    st.dictionaries(
        st.sampled_from(["content-length", "range", "content-type", "x", "sec-fetch-site"]),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12),
        max_size=2,
    ),
)
def test_calls(page, method, number, in_path, in_body, headers) -> None:
    client, root = page
    known = (*PATHS, *KNOWN)
    path = changed(known[number % len(known)].encode(), in_path).decode("latin-1")
    # The client sends no control characters as they are; what is escaped already stays so.
    path = quote(path[:2000], safe="/%?&=.;:@+,")
    body = changed(json.dumps(CALL).encode(), in_body)
    headers.pop("content-length", None)
    with only_inside(root, name="studio"):
        answer = client.request(
            method, f"/{path}", content=body, headers=headers, follow_redirects=False
        )
    assert answer.status_code < 500, (method, path, body, answer.text)
    if answer.status_code >= 400 and method != "HEAD":
        assert "\n" not in answer.json()["error"].strip()
