"""Calls of the paint page: clean pictures, masks of the bank, a painting, a saved pair."""

from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flawsmith.data.images import encode_png
from flawsmith.data.manifest import class_colours
from flawsmith.errors import InputError
from flawsmith.sample import Sample
from flawsmith.studio.answers import KEPT, answering, asked, jpeg, png
from flawsmith.studio.clean import DROP, Clean
from flawsmith.studio.guard import DROP as DROPPING
from flawsmith.studio.painting import Order, Painted, Studio
from flawsmith.studio.pictures import cropped, tile
from flawsmith.studio.saving import Growing
from flawsmith.studio.shelf import Shelf
from flawsmith.studio.state import Recent
from flawsmith.studio.work import Queue

# Two painters at a time; so many wait. A strip of eight seeds from two tabs fits.
PAINTERS = 2
WAITING = 40
# Pictures of more pixels travel as JPEG: as PNG, a plate photo has 40 MB.
LOSSLESS = 6_000_000
PREFIX = "studio"


class Paint:
    """The routes, on a run and its clean pictures."""

    def __init__(
        self, studio: Studio, clean: Clean, paired: Growing, dropped: Growing, shelf: Shelf
    ) -> None:
        self.studio = studio
        self.clean = clean
        self.paired = paired
        self.dropped = dropped
        self.shelf = shelf
        self.painting = Queue(PAINTERS, WAITING)
        self.pictures = Queue(2, 200)
        self.saving = Queue(1, 20)
        self._offered: Recent[list[dict[str, Any]]] = Recent(1)

    def routes(self) -> list[Route]:
        known = {
            "/api/paint/about": self.about,
            "/api/paint/pictures": self.listed,
            "/api/paint/bank": self.bank,
            "/p/{name}/tile.jpg": self.tile,
            "/p/{name}/picture": self.picture,
        }
        sent = {"/api/paint": self.paint, "/api/save": self.save, DROPPING: self.drop}
        return [
            *(Route(path, answering(route)) for path, route in known.items()),
            *(Route(path, answering(route), methods=["POST"]) for path, route in sent.items()),
        ]

    async def about(self, request: Request) -> Response:
        painter = self.studio.painter
        saved = await self.pictures.run(request, self.paired.count)
        return JSONResponse(
            {
                "classes": painter.classes,
                "colours": class_colours(len(painter.classes)),
                "size": painter.settings.size,
                "grow": painter.settings.grow,
                "run": self.studio.run.trained.path.name,
                "save": self.paired.root.name,
                "saved": saved,
            }
        )

    async def listed(self, request: Request) -> Response:
        ids, notices = await self.pictures.run(request, self.clean.listed)
        return JSONResponse({"ids": ids, "notices": notices})

    async def bank(self, request: Request) -> Response:
        def make() -> list[dict[str, Any]]:
            return self._offered.get("all", self.studio.offered)

        return JSONResponse(await self.pictures.run(request, make))

    async def tile(self, request: Request) -> Response:
        name = request.path_params["name"]

        def get() -> bytes:
            path = self.clean.record(name)
            about = ["clean", name]
            return self.shelf.get(path, about, lambda: tile(self.clean.sample(name)))

        return jpeg(await self.pictures.run(request, get))

    async def picture(self, request: Request) -> Response:
        name = request.path_params["name"]

        def make() -> Response:
            sample = self.clean.sample(name)
            width, height = sample.size
            if width * height <= LOSSLESS:
                return png(encode_png(sample.image), **KEPT)
            return jpeg(cropped(sample.image, (0, 0, width, height), max(width, height)))

        return await self.pictures.run(request, make)

    async def paint(self, request: Request) -> Response:
        order = await asked(request, Order)

        def work() -> tuple[Painted, bytes]:
            painted = self.studio.paint(self.clean.sample(order.picture), order)
            return painted, encode_png(painted.image)

        painted, content = await self.painting.run(request, work)
        box = ",".join(map(str, painted.box))
        return png(content, **{"x-box": box, "x-fault": painted.fault})

    async def save(self, request: Request) -> Response:
        order = await asked(request, Order)
        name, saved = await self.saving.run(request, lambda: self._save(order))
        return JSONResponse({"id": name, "saved": saved})

    def _save(self, order: Order) -> tuple[str, int]:
        background = self.clean.sample(order.picture)

        def make() -> Sample:
            sample = self.studio.sample(background, order, PREFIX)
            if fault := self.studio.certificate(sample, background):
                raise InputError(f"not saved, since a filter would reject it: {fault}")
            if order.picture.startswith(DROP):
                # A pair must be able to name its background: this one is in no folder yet.
                self.dropped.add(lambda: _with_planes(background, self.dropped))
            return sample

        return self.paired.add(make, PREFIX)

    async def drop(self, request: Request) -> Response:
        content = await request.body()
        name = await self.pictures.run(request, lambda: self.clean.drop(content))
        return JSONResponse({"id": name})


def _with_planes(background: Sample, into: Growing) -> Sample:
    """Return the clean picture with an empty plane for each class of the data set."""
    masks = np.zeros((len(into.classes), *background.image.shape[:2]), bool)
    meta = {"method": "real", "by": "studio"}
    return Sample(background.id, background.image, masks, "good", background.group, meta)
