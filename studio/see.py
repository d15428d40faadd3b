"""Calls of the see page: the report as it lies there, curves and previews of a training run."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from flawsmith.data.images import encode_jpeg, read_image
from flawsmith.errors import InputError
from flawsmith.evaluate.curves_section import curves_section, read_training
from flawsmith.evaluate.report import render_report
from flawsmith.studio.answers import answering, jpeg
from flawsmith.studio.opened import PREVIEWS, Opened
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
            "/see/previews/{step:int}.jpg": self.preview,
        }
        return [Route(path, answering(route)) for path, route in known.items()]

    async def about(self, request: Request) -> Response:
        opened = self.opened
        return JSONResponse(
            {
                "report": opened.report is not None,
                "curves": opened.run is not None,
                "previews": sorted(self._previews()),
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
            if self.opened.run is None:
                raise InputError("no training run here", where=self.opened.root)
            run = self.roots.inside(self.opened.run)
            section = curves_section("inpaint", read_training(run))
            return render_report(title=f"Training run {run.name}", summary=[], sections=[section])

        return _page(await self.reading.run(request, read))

    async def preview(self, request: Request) -> Response:
        step = request.path_params["step"]

        def read() -> bytes:
            known = self._previews()
            if step not in known:
                raise InputError(f"no preview of step {step}")
            picture = read_image(self.roots.inside(known[step]))
            return encode_jpeg(shrunk(picture, WHOLE), 90)

        return jpeg(await self.reading.run(request, read))

    def _previews(self) -> dict[int, Path]:
        folder = self.opened.run / PREVIEWS if self.opened.run else None
        paths = folder.glob("*.png") if folder and folder.is_dir() else ()
        return {int(p.stem): p for p in paths if p.stem.isascii() and p.stem.isdecimal()}


def _page(text: str) -> Response:
    return HTMLResponse(text, headers={"content-security-policy": POLICY})
