"""The application: the page, the JSON interface, health and metrics, behind the guards."""

# No `from __future__ import annotations`: FastAPI reads the signatures at run time.
import math
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from detectors.errors import InputError
from gqa_reasoner import __version__
from gqa_reasoner.web.errors import RequestError
from gqa_reasoner.web.guards import Bounded, Hardened, Measured
from gqa_reasoner.web.page import read_assets
from gqa_reasoner.web.routes import UPLOAD_PATH, api_routes
from gqa_reasoner.web.service import Service
from gqa_reasoner.web.threads import in_thread

__all__ = ["create_app"]

_ABOUT = (
    "Questions over a collection of pictures, answered with their reasons. The records are those "
    'that `gqa-reasoner find --json` and `ask --json` print; refusals are `{"error": words}`.'
)


def create_app(service: Service, *, hosts: Iterable[str] = ()) -> FastAPI:
    """The application over one service, which it closes at the end.

    Args:
        service: what answers.
        hosts: names, beside IP addresses and `localhost`, that the server goes by.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await in_thread(service.close)

    app = FastAPI(
        title="gqa-reasoner",
        version=__version__,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.include_router(api_routes(service))
    _add_page(app)
    _add_state(app, service)
    _add_refusals(app)
    limits = service.limits
    app.add_middleware(Bounded, limits=limits, large=lambda scope: scope["path"] == UPLOAD_PATH)
    app.add_middleware(Hardened, hosts=tuple(hosts))
    app.add_middleware(Measured, metrics=service.metrics)
    return app


def _add_page(app: FastAPI) -> None:
    assets = read_assets()

    def sent(name: str, request: Request) -> Response:
        asset = assets.get(name)
        if asset is None:
            raise RequestError(404, "no such page")
        tag = f'"{asset.tag}"'
        headers = {"etag": tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(asset.data, media_type=asset.media_type, headers=headers)

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    @app.api_route("/picture", methods=["GET", "HEAD"], include_in_schema=False)
    async def page(request: Request) -> Response:
        return sent("index.html", request)

    @app.get("/interface", include_in_schema=False)
    async def interface(request: Request) -> Response:
        return sent("interface.html", request)

    @app.get("/favicon.ico", include_in_schema=False)
    async def icon(request: Request) -> Response:
        return sent("icon.svg", request)

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str, request: Request) -> Response:
        return sent(name, request)


def _add_state(app: FastAPI, service: Service) -> None:
    @app.get("/health", tags=["state"])
    async def health() -> Response:
        """Whether the index can be read; 503 with the reason when it cannot."""
        version = await in_thread(service.library.version)
        return JSONResponse(
            {
                "status": "ok",
                "index": version,
                "waiting": {"find": len(service.finds), "answer": len(service.answers)},
                "recording_problem": service.clicks.problem,
            }
        )

    @app.get("/metrics", tags=["state"])
    async def metrics() -> Response:
        """Counters in Prometheus' text form."""
        return Response(service.metrics.render(), media_type="text/plain; version=0.0.4")


def _add_refusals(app: FastAPI) -> None:
    @app.exception_handler(RequestError)
    async def refused(request: Request, error: RequestError) -> Response:
        return _refusal(error.status, error.words, error.retry_after)

    @app.exception_handler(InputError)
    async def unusable(request: Request, error: InputError) -> Response:
        return _refusal(422, str(error))

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        problems = error.errors()
        if any(item["type"] == "json_invalid" for item in problems):
            return _refusal(400, "the body is not JSON")
        return _refusal(422, "; ".join(_problem(item) for item in problems[:3]))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        words = {404: "no such page", 405: "this address does not take that method"}
        return _refusal(error.status_code, words.get(error.status_code, str(error.detail)))


def _problem(item: Any) -> str:
    place = ".".join(str(part) for part in item["loc"] if part not in ("body", "query", "path"))
    return f"{place or 'body'}: {item['msg'][:160]}"


def _refusal(status: int, words: str, retry_after: float | None = None) -> Response:
    headers = {} if retry_after is None else {"retry-after": str(math.ceil(retry_after))}
    clean = words.encode("utf-8", "replace").decode()
    return JSONResponse({"error": clean}, status_code=status, headers=headers)
