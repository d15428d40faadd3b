"""The application behind the guard: the page's own files and every part's calls."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from flawsmith import __version__
from flawsmith.studio.answers import answering, fault
from flawsmith.studio.candidates import Candidates, reserved
from flawsmith.studio.guard import Guard, Limits, host_rule
from flawsmith.studio.nearest import Nearest
from flawsmith.studio.opened import Opened
from flawsmith.studio.paths import Roots
from flawsmith.studio.review import Review
from flawsmith.studio.see import See
from flawsmith.studio.shelf import Shelf
from flawsmith.studio.state import State

if TYPE_CHECKING:
    from flawsmith.studio.paint import Paint

TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}


# The clean pictures that were dropped on the page, beside the pairs painted on them.
BACKGROUNDS = "-backgrounds"


def open_state(opened: Opened, cache: Path, device: str) -> State:
    """Read the folders; raises InputError for what cannot be used."""
    roots = Roots(opened.folders)
    return State(
        opened,
        roots,
        Candidates(opened.sets, opened.verdicts, roots),
        Shelf(cache / "studio"),
        Nearest(opened.real, cache, device, roots) if opened.real else None,
    )


def open_paint(state: State, device: str) -> "Paint | None":
    """Open what the paint page needs; None without a training run. Raises InputError."""
    opened = state.opened
    if opened.run is None or opened.save is None:
        return None
    # Only here: it loads torch, which a review does without.
    from flawsmith.studio.clean import Clean
    from flawsmith.studio.paint import Paint
    from flawsmith.studio.painting import open_studio
    from flawsmith.studio.saving import Growing

    studio = open_studio(opened.run, device)
    clean = Clean(opened.real, studio.painter.settings.size, state.roots)
    classes, save = studio.painter.classes, opened.save
    paired = Growing(save, classes)
    dropped = Growing(save.with_name(save.name + BACKGROUNDS), classes)
    for growing in (paired, dropped):
        growing.check()
    return Paint(studio, clean, paired, dropped, state.shelf)


def reserve(opened: Opened) -> AbstractContextManager[None]:
    """Hold what one server alone may write; raises InputError when another one has it."""
    return reserved(opened.sets)


def build_app(
    state: State,
    paint: "Paint | None",
    token: str,
    host: str,
    port: int,
    limits: Limits | None = None,
) -> ASGIApp:
    """Return the whole page for one address and token."""

    async def about(request: Request) -> Response:
        opened = state.opened
        return JSONResponse(
            {
                "version": __version__,
                "name": opened.root.resolve().name,
                "review": len(state.candidates.all),
                "paint": paint is not None,
                "see": opened.report is not None or bool(opened.trained),
            }
        )

    async def lost(request: Request, error: Exception) -> Response:
        return fault(404, "nothing here by that name")

    routes = [
        *(Route(path, route) for path, route in _own_files().items()),
        Route("/api/about", answering(about)),
        *Review(state).routes(),
        *See(state.opened, state.roots).routes(),
        *(paint.routes() if paint else ()),
    ]
    inner = Starlette(routes=routes, exception_handlers={404: lost, 405: lost})
    inner.router.redirect_slashes = False
    return Guard(inner, token, host_rule(host, port), limits)


def _own_files() -> dict[str, Callable[[Request], Awaitable[Response]]]:
    """Return the page's own files by their address: these and no others."""
    folder = files("flawsmith.studio") / "static"
    found = {f"/{one.name}": _static(one.name, one.read_bytes()) for one in folder.iterdir()}
    return {"/": found["/index.html"], **found}


def _static(name: str, content: bytes) -> Callable[[Request], Awaitable[Response]]:
    """Return a route that gives a file of ours; read once, so no name can lead anywhere."""
    kind = TYPES.get(Path(name).suffix, "application/octet-stream")

    async def give(request: Request) -> Response:
        return Response(content, headers={"content-type": f"{kind}; charset=utf-8"})

    return give
