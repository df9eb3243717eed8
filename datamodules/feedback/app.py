"""The server of a page of questions: its files, its guard, and what it answers when something is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from datamodules.common.errors import StoreError, StoreUnavailableError
from datamodules.feedback.guard import Guard, is_loopback, own_hosts
from datamodules.feedback.messages import Given
from datamodules.feedback.public_address import PublicAddress, UnderPath

STATIC = Path(__file__).parent / "static"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
AnyAnswer = TypeVar("AnyAnswer", bound=Given)


def page_app(host: str, token: str | None, public: PublicAddress | None = None) -> FastAPI:
    """An application that serves the page's files; questions and answers are added to it.

    Args:
        host: Address that the server is bound to.
        token: Asked of every request for data; needed where other machines can connect.
        public: Where a proxy shows the page; None where there is no proxy.

    Raises:
        StoreError: If other machines could connect and there is no token.
    """
    if token is None and public is not None:
        raise StoreError(f"others can reach {public.url}, so the page needs a token: give one with --token")
    if token is None and not is_loopback(host):
        raise StoreError(f"other machines can reach {host}, so the page needs a token: give one with --token")
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(Guard, hosts=own_hosts(host), token=token, public=public)
    if public is not None:
        app.add_middleware(UnderPath, public=public)  # added last, so that it sees a request first
    app.add_exception_handler(StoreError, _store_error)
    app.add_exception_handler(RequestValidationError, _malformed)
    _add_static(app)
    return app


def save_each(answers: Sequence[AnyAnswer], save: Callable[[AnyAnswer], int]) -> JSONResponse:
    """Save answers in their order and say of each whether the store has it; the browser keeps what it has not.

    Args:
        answers: What was sent.
        save: Saves one and returns its row, which is on the disk then.
    """
    results: list[dict[str, object]] = []
    for one in answers:
        try:
            results.append({"client_id": one.client_id, "saved": True, "row": save(one)})
        except StoreUnavailableError as error:  # those before are saved; the browser keeps the rest
            return JSONResponse({"results": results, "detail": str(error)}, status_code=503)
        except StoreError as error:
            results.append({"client_id": one.client_id, "saved": False, "detail": str(error)})
    refused = any(not result["saved"] for result in results)
    return JSONResponse({"results": results}, status_code=409 if refused else 200)


def _add_static(app: FastAPI) -> None:
    """Serve the files of ``static`` as they were when the server started: a name is looked up, never a path."""
    files = {path.name: path.read_bytes() for path in STATIC.iterdir() if path.suffix in MEDIA_TYPES}

    @app.get("/")
    def index() -> Response:
        return _static("index.html")

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        return _static(name)

    def _static(name: str) -> Response:
        if name not in files:
            raise HTTPException(404, "there is no such file")
        return Response(files[name], media_type=MEDIA_TYPES[Path(name).suffix], headers={"Cache-Control": "no-cache"})


def _store_error(_: Request, error: Exception) -> JSONResponse:
    if isinstance(error, StoreUnavailableError):
        return JSONResponse({"detail": str(error)}, status_code=503)
    missing = str(error).startswith("there is no ")
    return JSONResponse({"detail": str(error)}, status_code=404 if missing else 409)


def _malformed(_: Request, error: Exception) -> JSONResponse:
    """Say which field is wrong, but do not send back what was sent."""
    places = error.errors() if isinstance(error, RequestValidationError) else []
    text = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in places[:3])
    return JSONResponse({"detail": f"the request is malformed: {text}"}, status_code=422)
