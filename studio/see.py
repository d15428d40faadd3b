"""Calls of the see page: the report as it lies there, curves and previews of training runs."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from flawsmith.data.images import encode_jpeg, read_image
from flawsmith.errors import InputError
from flawsmith.evaluate.curves_section import CLEAN_SHOWS, curves_section, read_training
from flawsmith.evaluate.report import Section, render_report
from flawsmith.studio.answers import answering, jpeg
from flawsmith.studio.opened import PREVIEWS, Opened, Trained
from flawsmith.studio.paths import Roots
from flawsmith.studio.pictures import WHOLE, shrunk
from flawsmith.studio.work import Queue

# Both are pages of their own, shown in a frame: no script runs in them, whoever wrote the file.
POLICY = (
    "sandbox allow-same-origin; default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
    "frame-ancestors 'self'"
)
LARGEST = 64 << 20


class See:
    """The routes, on what was opened."""

    def __init__(self, opened: Opened, roots: Roots) -> None:
        self.opened = opened
        self.roots = roots
        self.reading = Queue(1, 20)

    def routes(self) -> list[Route]:
        known = {
            "/api/see": self.about,
            "/see/report": self.report,
            "/see/curves": self.curves,
            "/see/previews/{run:int}/{step:int}.jpg": self.preview,
        }
        return [Route(path, answering(route)) for path, route in known.items()]

    async def about(self, request: Request) -> Response:
        opened = self.opened
        return JSONResponse(
            {
                "report": opened.report is not None,
                "curves": bool(opened.trained),
                "previews": [
                    {"run": place, "name": _name(one), "steps": sorted(_previews(one.path))}
                    for place, one in enumerate(opened.trained)
                ],
            }
        )

    async def report(self, request: Request) -> Response:
        def read() -> str:
            if self.opened.report is None:
                raise InputError("no report here", where=self.opened.root)
            path = self.roots.inside(self.opened.report)
            if path.stat().st_size > LARGEST:
                raise InputError(f"over {LARGEST >> 20} MiB", where=path)
            return path.read_text("utf-8", errors="replace")

        return _page(await self.reading.run(request, read))

    async def curves(self, request: Request) -> Response:
        def read() -> str:
            sections = [self._curves(one) for one in self.opened.trained]
            if not sections:
                raise InputError("no training run here", where=self.opened.root)
            name = self.opened.root.resolve().name
            return render_report(title=f"Training of {name}", summary=[], sections=sections)

        return _page(await self.reading.run(request, read))

    async def preview(self, request: Request) -> Response:
        run, step = request.path_params["run"], request.path_params["step"]

        def read() -> bytes:
            trained = self.opened.trained[run : run + 1]
            known = _previews(trained[0].path) if trained else {}
            if step not in known:
                raise InputError(f"no preview of step {step}")
            picture = read_image(self.roots.inside(known[step]))
            return encode_jpeg(shrunk(picture, WHOLE), 90)

        return jpeg(await self.reading.run(request, read))

    def _curves(self, one: Trained) -> Section:
        found = read_training(self.roots.inside(one.path))
        if not one.whole:
            return curves_section("inpaint", found)
        return curves_section(_name(one), found, CLEAN_SHOWS)


def _name(one: Trained) -> str:
    return "clean images" if one.whole else "inpaint"


def _previews(run: Path) -> dict[int, Path]:
    folder = run / PREVIEWS
    paths = folder.glob("*.png") if folder.is_dir() else ()
    return {int(p.stem): p for p in paths if p.stem.isascii() and p.stem.isdecimal()}


def _page(text: str) -> Response:
    return HTMLResponse(text, headers={"content-security-policy": POLICY})
