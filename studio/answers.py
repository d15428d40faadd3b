"""How routes answer: their errors as JSON of one line, their results as pictures or JSON."""

import traceback
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from flawsmith.errors import FlawsmithError
from flawsmith.progress import say
from flawsmith.studio.work import Full, Gone

Route = Callable[[Request], Awaitable[Response]]
M = TypeVar("M", bound=BaseModel)
# A picture's address changes with its content, so a browser may keep it for this visit.
KEPT = {"cache-control": "private, max-age=3600"}


class Asked(BaseModel):
    """What the page sends; unknown names and other types are refused."""

    model_config = ConfigDict(strict=True, extra="forbid")


async def asked(request: Request, model: type[M]) -> M:
    """Return the call's JSON body, checked; raises InputError."""
    return model.model_validate_json(await request.body())


def answering(route: Route) -> Route:
    """Turn what a route raises into an answer of one line."""

    @wraps(route)
    async def answered(request: Request) -> Response:
        try:
            return await route(request)
        except FlawsmithError as error:
            return fault(422, str(error))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            return fault(400, f"not understood: {'.'.join(map(str, first['loc']))}: {first['msg']}")
        except Full:
            return fault(503, "busy: too many calls wait already")
        except Gone:
            return Response(status_code=499)
        except Exception:
            say(traceback.format_exc())
            return fault(500, "a fault of flawsmith; the terminal says more")

    return answered


def fault(status: int, why: str, **more: Any) -> Response:
    return JSONResponse({"error": why, **more}, status)


def jpeg(content: bytes) -> Response:
    return Response(content, media_type="image/jpeg", headers=KEPT)


def png(content: bytes, **headers: str) -> Response:
    return Response(content, media_type="image/png", headers=headers)
