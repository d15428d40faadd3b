"""The server of the page: a socket on this machine, a token of its own, one process."""

import asyncio
import secrets
import signal
import socket
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
# Seconds for a client to take the part of an answer that is on its way.
STALLED = 30.0
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
    """A connection that is closed when its first call does not come, or an answer is not taken.

    No slow client holds one, or the bytes that wait for it.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.made = self.loop.time()
        self._head = self.loop.call_later(HEAD_SECONDS, self.close_unheard)
        self._stalled: asyncio.TimerHandle | None = None
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

    def pause_writing(self) -> None:
        """Note that the client takes nothing for now; after a while it is given up."""
        super().pause_writing()
        # A close would wait for what is still to be sent.
        self._stalled = self.loop.call_later(STALLED, self.transport.abort)

    def resume_writing(self) -> None:
        self._taken()
        super().resume_writing()

    def _taken(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection that is idle; one that never took its last answer at once."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        super().timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head.cancel()
        self._taken()
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
    """Answer until the user stops it (Ctrl-C, or a signal to end), which is no error."""
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
    server = uvicorn.Server(config)
    with _ended_by_signals(server), suppress(KeyboardInterrupt):
        server.run(sockets=[place.socket])
    # Its terminal may be gone.
    with suppress(OSError):
        say("stopped; every decision and saved picture is on the disk")


@contextmanager
def _ended_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """Let signals to end stop the server alone: what follows it removes the dropped pictures."""

    def leave(number: int, frame: Any) -> None:
        server.should_exit = True

    found = (getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP"))
    # Under nohup, closing the terminal shall not end it.
    heeded = [one for one in found if one and signal.getsignal(one) is not signal.SIG_IGN]
    before = {one: signal.signal(one, leave) for one in heeded}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
