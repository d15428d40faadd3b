"""Calls of the review: the list, the pictures of one candidate, a decision."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from flawsmith.data.images import read_image
from flawsmith.data.review import Choice
from flawsmith.studio.answers import Asked, answering, asked, fault, jpeg
from flawsmith.studio.candidates import AGAIN
from flawsmith.studio.decisions import Conflict, Remade
from flawsmith.studio.nearest import Found, Nearest
from flawsmith.studio.pictures import WHOLE, box_of, cropped, outlines, tile
from flawsmith.studio.state import Recent, State, need
from flawsmith.studio.work import Queue

NEAR = 480


class Decide(Asked):
    """A decision; ``was`` is what the page showed: None is undecided."""

    number: int
    choice: Choice | None
    was: Choice | None


class Review:
    """The routes, on a state."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.writing = Queue(1, 100)
        self._near: Recent[Found | None] = Recent(256)

    def routes(self) -> list[Route]:
        known = {
            "/api/candidates": self.table,
            "/api/changes/{after:int}": self.changes,
            "/c/{number:int}/tile.jpg": self.tile,
            "/c/{number:int}/look": self.look,
            "/c/{number:int}/crop.jpg": self.crop,
            "/c/{number:int}/whole.jpg": self.whole,
            "/c/{number:int}/near": self.near,
            "/c/{number:int}/near.jpg": self.near_picture,
        }
        routes = [Route(path, answering(route)) for path, route in known.items()]
        return [*routes, Route("/api/decide", answering(self.decide), methods=["POST"])]

    async def table(self, request: Request) -> Response:
        table = await self.state.pictures.run(request, self.state.candidates.table)
        return JSONResponse({**table, "near": self.state.nearest is not None})

    async def changes(self, request: Request) -> Response:
        return JSONResponse(self.state.candidates.since(request.path_params["after"]))

    async def decide(self, request: Request) -> Response:
        order = await asked(request, Decide)
        candidates = self.state.candidates

        def write() -> None:
            candidates.decide(order.number, order.choice, order.was)

        try:
            await self.writing.run(request, write)
        except Conflict as conflict:
            return fault(409, "decided in another tab meanwhile", choice=conflict.choice)
        except Remade:
            told = f"made anew since it was opened: {AGAIN}"
            return fault(409, told, choice=candidates.choice(order.number))
        return JSONResponse({"number": order.number, "choice": order.choice})

    async def tile(self, request: Request) -> Response:
        number = request.path_params["number"]
        one = self.state.candidates[number]
        self.state.roots.keep(one.record)
        self.state.candidates.same(number)
        source = self.state.roots.inside(one.record.image)

        def make() -> bytes:
            return tile(self.state.candidate(number)[0])

        def get() -> bytes:
            return self.state.shelf.get(source, ["tile", one.record.id], make)

        return jpeg(await self.state.pictures.run(request, get))

    async def look(self, request: Request) -> Response:
        number = request.path_params["number"]
        return JSONResponse(await self.state.pictures.run(request, lambda: self._look(number)))

    def _look(self, number: int) -> dict[str, Any]:
        sample, classes = self.state.candidate(number)
        one = self.state.candidates[number]
        return {
            "id": sample.id,
            "size": sample.size,
            "box": box_of(sample),
            "outlines": outlines(sample.masks, classes),
            "background": str(one.record.meta.get("background", "")),
            "set": self.state.candidates.sets[one.part].root.resolve().name,
        }

    async def crop(self, request: Request) -> Response:
        number = request.path_params["number"]

        def make() -> bytes:
            sample, _ = self.state.candidate(number)
            return cropped(sample.image, box_of(sample))

        return jpeg(await self.state.pictures.run(request, make))

    async def whole(self, request: Request) -> Response:
        number = request.path_params["number"]

        def make() -> bytes:
            sample, _ = self.state.candidate(number)
            return cropped(sample.image, (0, 0, *sample.size), WHOLE)

        return jpeg(await self.state.pictures.run(request, make))

    async def near(self, request: Request) -> Response:
        number = request.path_params["number"]
        found = await self.state.likeness.run(request, lambda: self._found(number))
        if found is None:
            return JSONResponse(None)
        about = {"id": found.id, "class": found.name, "box": found.box}
        return JSONResponse({**about, "distance": round(found.distance, 3)})

    async def near_picture(self, request: Request) -> Response:
        number = request.path_params["number"]

        def make() -> bytes:
            found = need(self._found(number), "real crop")
            record = self._nearest.real.records[found.place]
            return cropped(read_image(self.state.roots.inside(record.image)), found.box, NEAR)

        return jpeg(await self.state.likeness.run(request, make))

    @property
    def _nearest(self) -> Nearest:
        return need(self.state.nearest, "real images")

    def _found(self, number: int) -> Found | None:
        def find() -> Found | None:
            sample, classes = self.state.candidate(number)
            return self._nearest.of(sample, classes)

        return self._near.get(number, find)
