"""What every call must pass before anything of the page sees it: address, origin, token, limits.

A page on another site can make a browser call this server. It does not know the token, and its
``Origin`` tells on it; where its own name was made to point here (DNS rebinding), ``Host`` does.
"""

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

import anyio
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
METHODS = ("GET", "HEAD", "POST")
DROP = "/api/drop"
# Bytes of an answer that are sent at a time.
PART = 256 << 10
OPENED = {"mode": "navigate", "dest": "document"}
PORT = re.compile(r":\d{1,5}$")


@dataclass(frozen=True)
class Limits:
    """What one call, and all calls together, may take.

    body: bytes of a call's body; dropped: of a picture that is dropped on the page (a plate photo
    has 40 MB); held: bytes of all bodies that are arriving; seconds: for a body to arrive.
    """

    body: int = 32 << 20
    dropped: int = 128 << 20
    held: int = 256 << 20
    seconds: float = 20.0


class Refusal(Exception):
    """A call that is not answered: status and why."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def host_rule(host: str, port: int) -> Callable[[str], bool]:
    """Return what tells whether a ``Host`` header means this server.

    On loopback only its own names are right. On another address, which the user asked for, any IP
    address is: a foreign site cannot make a browser send one that is not its own.
    """
    own = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]", bracketed(host))}
    if is_loopback(host):
        return lambda given: given.lower() in own
    return lambda given: given.lower() in own or is_address(PORT.sub("", given).strip("[]"))


def bracketed(host: str) -> str:
    """Return a host as it stands in an address: IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Tell whether a host to listen on can be reached from this machine alone."""
    return host == "localhost" or (is_address(host) and ip_address(host).is_loopback)


def is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


class Guard:
    """Refuses, then passes on with the token cut off the path and the body read whole.

    The token is the first part of every path, so that pictures and scripts carry it without a word.
    """

    def __init__(
        self,
        app: ASGIApp,
        token: str,
        is_own: Callable[[str], bool],
        limits: Limits | None = None,
    ) -> None:
        self.app = app
        self.token = token
        self.is_own = is_own
        self.limits = limits or Limits()
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"nothing of ours speaks {scope['type']}")
        answer = _in_parts(send)
        try:
            inner = self._admitted(scope)
            most = self.limits.dropped if inner["path"] == DROP else self.limits.body
            body = await self._body(Headers(scope=scope), receive, most)
        except Refusal as refusal:
            told = JSONResponse({"error": str(refusal)}, refusal.status)
            told.headers["connection"] = "close"
            await told(scope, receive, answer)
            return
        try:
            await self.app(inner, _replayed(body, receive), answer)
        finally:
            self._held -= len(body)

    def _admitted(self, scope: Scope) -> Scope:
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or not self.is_own(hosts[0]):
            raise Refusal(403, "this server is not known by that name")
        if origins and origins != [f"http://{hosts[0]}"]:
            raise Refusal(403, "calls from other pages are refused")
        if scope["method"] not in METHODS:
            raise Refusal(405, "no such method")
        _, first, *rest = (*scope["path"].split("/", 2), "")[:3]
        if not hmac.compare_digest(first.encode("utf-8", "replace"), self.token.encode()):
            raise Refusal(403, "the address lacks the token that flawsmith studio printed")
        path = "/" + "".join(rest)
        foreign = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        # Somebody may click on the address, in a terminal that is a page, say: it opens in a tab of
        # its own, whose content the other page cannot see.
        opened = scope["path"].endswith("/") and path == "/"
        clicked = all(headers.get(f"sec-fetch-{name}") == value for name, value in OPENED.items())
        if foreign and not (opened and clicked):
            raise Refusal(403, "calls from other pages are refused")
        return {**scope, "path": path, "raw_path": path.encode("utf-8", "replace")}

    async def _body(self, headers: Headers, receive: Receive, most: int) -> bytes:
        """Return the whole body; slow, large and too many ones at once are refused."""
        told = headers.get("content-length", "0")
        if not told.isdecimal() or int(told) > most:
            raise Refusal(413, f"more than {most >> 20} MiB")
        parts: list[bytes] = []
        try:
            with anyio.fail_after(self.limits.seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refusal(400, "gone")
                    parts.append(message.get("body", b""))
                    self._held += len(parts[-1])
                    if sum(map(len, parts)) > most:
                        raise Refusal(413, f"more than {most >> 20} MiB")
                    if self._held > self.limits.held:
                        raise Refusal(503, "too many uploads at once")
                    if not message.get("more_body"):
                        return b"".join(parts)
        except BaseException as error:
            self._held -= sum(map(len, parts))
            if isinstance(error, TimeoutError):
                raise Refusal(408, f"nothing whole within {self.limits.seconds:g} s") from error
            raise


def _in_parts(send: Send) -> Send:
    """Return a ``send`` that adds the headers, and sends a large body part by part.

    Before each part the server waits until the client has taken most of the one before.
    """

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name for name, _ in message["headers"]}
            added = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
            missing = [pair for pair in added if pair[0] not in given]
            message = {**message, "headers": [*message["headers"], *missing]}
        body = message.get("body", b"")
        last = max(0, len(body) - 1) // PART * PART
        for start in range(0, last, PART):
            await send({**message, "body": body[start : start + PART], "more_body": True})
        await send({**message, "body": body[last:]} if last else message)

    return sending


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives the body once, then what else the client does."""
    waiting = [body]

    async def again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return again
