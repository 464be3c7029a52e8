"""The JSON interface: `/api/...`, the same records as the command line prints."""

# No `from __future__ import annotations`: FastAPI reads the signatures at run time.
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, UploadFile
from fastapi.responses import JSONResponse, Response

from gqa_reasoner.web.pictures import PictureFile, PictureFiles
from gqa_reasoner.web.schemas import (
    AnswerRecord,
    AskRequest,
    CollectionRecord,
    CompareRequest,
    ComparisonRecord,
    ErrorRecord,
    FoundRecord,
    OpenedRecord,
    OpenedRequest,
    PictureList,
    PictureRecord,
    SimilarRecord,
    UploadRecord,
)
from gqa_reasoner.web.service import Service
from gqa_reasoner.web.threads import in_thread

__all__ = ["UPLOAD_PATH", "api_routes"]

UPLOAD_PATH = "/api/upload"
_REFUSALS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorRecord} for code in (400, 404, 408, 410, 413, 422, 429, 503)
}
_BINARY: Any = {200: {"content": {"image/*": {}}, "description": "The picture."}}
_ID = Query(max_length=1000, description="The picture's id in the index.")
_CACHE = "private, max-age=60"


def api_routes(service: Service) -> APIRouter:
    """The routes over one service."""
    router = APIRouter(prefix="/api", responses=_REFUSALS)
    _add_questions(router, service)
    _add_pictures(router, service)
    _add_uploads(router, service)
    return router


def _add_questions(router: APIRouter, service: Service) -> None:
    most = service.limits.page

    @router.get("/collection", response_model=CollectionRecord, tags=["pictures"])
    async def collection() -> Response:
        """What is served, and example questions about it."""
        return JSONResponse(await service.about())

    @router.get("/find", response_model=FoundRecord, tags=["questions"])
    async def find(
        question: Annotated[str, Query(description="Which, how many, share, commonest …")],
        limit: Annotated[int, Query(ge=1, le=most, description="Pictures to list.")] = 20,
    ) -> Response:
        """Answer a question over the whole collection, as `gqa-reasoner find --json`."""
        return JSONResponse(await service.find(question, limit))

    @router.post("/ask", response_model=AnswerRecord, tags=["questions"])
    async def ask(body: AskRequest) -> Response:
        """Answer a question about one picture, as `gqa-reasoner ask --json`."""
        record = await service.ask(body.question, body.expansion, body.image_id, body.upload)
        return JSONResponse(record)

    @router.post("/compare", response_model=ComparisonRecord, tags=["questions"])
    async def compare(body: CompareRequest) -> Response:
        """Answer a question about one picture with every source of context."""
        answers = await service.compare(body.question, body.image_id, body.upload)
        return JSONResponse({"question": answers[0]["question"], "answers": answers})

    @router.post("/opened", response_model=OpenedRecord, tags=["questions"])
    async def opened(body: OpenedRequest) -> Response:
        """Tell that a picture was opened from a query; recorded only where that was agreed to."""
        return JSONResponse({"recorded": await service.opened(body.image_id, body.query)})


def _add_pictures(router: APIRouter, service: Service) -> None:
    most = service.limits.page
    files = PictureFiles(service.library)

    @router.get("/pictures", response_model=PictureList, tags=["pictures"])
    async def pictures(
        id: Annotated[
            list[str] | None, Query(max_length=most, description="Only these, in this order.")
        ] = None,
        offset: Annotated[int, Query(ge=0, le=1_000_000_000)] = 0,
        limit: Annotated[int, Query(ge=1, le=most)] = 48,
    ) -> Response:
        """Pictures by their ids, or a part of all pictures."""
        library = service.library
        if id is not None:
            found = await in_thread(library.records, id)
        else:
            found = await in_thread(library.page, offset, limit)
        total = await in_thread(library.__len__)
        return JSONResponse({"total": total, "pictures": [item.to_json() for item in found]})

    @router.get("/picture", response_model=PictureRecord, tags=["pictures"])
    async def picture(id: Annotated[str, _ID]) -> Response:
        """What the index knows of a picture."""
        return JSONResponse(await service.describe(id))

    @router.get("/similar", response_model=SimilarRecord, tags=["pictures"])
    async def similar(
        id: Annotated[str, _ID],
        limit: Annotated[int, Query(ge=1, le=most, description="Pictures to list.")] = 8,
    ) -> Response:
        """Pictures like another one."""
        return JSONResponse({"images": await in_thread(service.library.similar, id, limit)})

    @router.get("/image", response_class=Response, responses=_BINARY, tags=["pictures"])
    async def image(id: Annotated[str, _ID], request: Request) -> Response:
        """A picture of the collection."""
        return _sent(await in_thread(files.full, id), request)

    @router.get("/thumbnail", response_class=Response, responses=_BINARY, tags=["pictures"])
    async def thumbnail(id: Annotated[str, _ID], request: Request) -> Response:
        """A small form of a picture."""
        return _sent(await in_thread(files.thumbnail, id), request)


def _add_uploads(router: APIRouter, service: Service) -> None:
    @router.post("/upload", response_model=UploadRecord, tags=["pictures"])
    async def upload(file: UploadFile) -> Response:
        """Upload a picture and see what is on it; it is kept in memory for a while only."""
        kept = await service.upload(await file.read())
        return JSONResponse(_upload_record(kept))

    @router.get("/upload", response_model=UploadRecord, tags=["pictures"])
    async def uploaded(token: Annotated[str, Query(max_length=100)]) -> Response:
        """An upload that is still kept."""
        return JSONResponse(_upload_record(service.uploads.get(token)))

    @router.get("/upload/image", response_class=Response, responses=_BINARY, tags=["pictures"])
    async def uploaded_image(
        token: Annotated[str, Query(max_length=100)], request: Request
    ) -> Response:
        """The uploaded picture."""
        kept = service.uploads.get(token)
        return _sent(PictureFile(kept.jpeg, "image/jpeg", kept.token), request)


def _upload_record(kept: Any) -> dict[str, Any]:
    facts = {
        key: value
        for key, value in kept.scene.scene_attributes.items()
        if value and isinstance(value, str)
    }
    caption = facts.pop("caption", None)
    record = {**kept.scene.to_json(), "facts": facts, "upload": kept.token, "missing": None}
    return record if caption is None else {**record, "caption": caption}


def _sent(file: PictureFile, request: Request) -> Response:
    tag = f'"{file.tag}"'
    headers = {"etag": tag, "cache-control": _CACHE}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(file.data, media_type=file.media_type, headers=headers)
