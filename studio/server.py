"""The server of the page: a socket on this machine, a token of its own, one process."""

import secrets
import socket
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from flawsmith.errors import InputError
from flawsmith.studio.guard import bracketed, is_loopback

# Bytes of a call's first line and headers, seconds for them to arrive, and for a next call.
HEAD = 16 << 10
HEAD_SECONDS = 10.0
IDLE = 20
# So many connections at a time; a page uses six. For more, the oldest silent one is closed.
CONNECTIONS = 128


@dataclass(frozen=True)
class Place:
    """Where the page is: a bound socket, and its address with the token."""

    socket: socket.socket
    host: str
    port: int
    token: str

    @property
    def address(self) -> str:
        return f"http://{bracketed(self.host)}:{self.port}/{self.token}/"


class Patient(H11Protocol):
    """A connection that is closed when its first call does not come: no slow client holds one."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.made = self.loop.time()
        self._head = self.loop.call_later(HEAD_SECONDS, self.close_unheard)
        if len(self.connections) > CONNECTIONS:
            known = [one for one in self.connections if isinstance(one, Patient)]
            silent = [one for one in known if not one.heard]
            min(silent, key=lambda one: one.made).transport.close()

    @property
    def heard(self) -> bool:
        """Whether a call's head has come: that is what a cycle stands for."""
        cycle: Any = self.cycle
        return cycle is not None

    def close_unheard(self) -> None:
        """Close the connection if no call's head has come."""
        if not self.heard and not self.transport.is_closing():
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head.cancel()
        super().connection_lost(exc)


def take_place(host: str = "127.0.0.1", port: int = 0) -> Place:
    """Bind a socket; port 0 takes a free one. Raises InputError when that fails."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"cannot listen there: {getattr(error, 'strerror', None) or error}",
            where=f"{host}:{port}",
            mend="another --port, or none",
        ) from error
    return Place(bound, host, bound.getsockname()[1], secrets.token_urlsafe(24))


def serve(place: Place, app: ASGIApp, *, browse: bool, say: Callable[[str], None]) -> None:
    """Answer until the user stops it (Ctrl-C), which is no error."""
    config = uvicorn.Config(
        app,
        http=Patient,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=HEAD,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=2,
    )
    say(f"open {place.address}")
    if not is_loopback(place.host):
        say("note: reachable from other machines, unencrypted, by whoever knows this address")
    say("stop with Ctrl-C")
    if browse:
        webbrowser.open(place.address)
    try:
        uvicorn.Server(config).run(sockets=[place.socket])
    except KeyboardInterrupt:
        say("stopped; every decision and saved picture is on the disk")
