"""Which requests the page's server answers at all; everything else is refused before it is read."""

from __future__ import annotations

import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from datamodules.feedback.public_address import PublicAddress

LARGEST_BODY = 64 * 1024  # bytes; twenty answers take about six thousand
OWN_HEADER = (
    "x-appraise"  # a page of another site cannot send it without asking first, and nobody answers that question
)
TOKEN_HEADER = "x-appraise-token"

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_ADDED = (
    (b"content-security-policy", _POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Refusal(Exception):
    """A request that is not answered."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Guard:
    """ASGI middleware: own host names, own origin, own header, token, JSON of bounded size.

    Args:
        app: What answers the requests that are let through.
        hosts: Host names that the page may be asked for under; None lets any through, which needs a token.
        token: Asked of every request for data; None where only this machine can connect.
        public: Where a proxy shows the page: its host and origin are the page's own as well.
    """

    def __init__(
        self, app: ASGIApp, hosts: frozenset[str] | None, token: str | None, public: PublicAddress | None = None
    ) -> None:
        self.app = app
        self.hosts = hosts if hosts is None or public is None else hosts | {public.host}
        self.token = token
        self.public_netloc = None if public is None else public.netloc

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check a request, then hand it on."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return  # a web socket is never accepted
        try:
            headers = _headers(scope)
            self._check(scope, headers)
            body = await _body(receive, headers) if scope["method"] == "POST" else b""
        except Refusal as refusal:
            answer = JSONResponse({"detail": str(refusal)}, refusal.status, headers={"connection": "close"})
            await answer(scope, receive, _hardened(send))
            return
        await self.app(scope, _replay(body, receive), _hardened(send))

    def _check(self, scope: Scope, headers: dict[str, str]) -> None:
        host = headers.get("host", "")
        if self.hosts is not None and _name(host) not in self.hosts:
            raise Refusal(403, "this server answers only under its own address")
        if scope["method"] not in ("GET", "HEAD", "POST"):
            raise Refusal(405, "only GET and POST are answered")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise Refusal(403, "requests of other sites are not answered")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc not in (host, self.public_netloc):
            raise Refusal(403, "requests of other sites are not answered")
        if scope["path"].startswith("/api/"):
            self._check_token(headers)
        if scope["method"] == "POST":
            if OWN_HEADER not in headers:
                raise Refusal(403, f"the header {OWN_HEADER} is missing: answers come from the page itself")
            if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
                raise Refusal(415, "answers are sent as application/json")

    def _check_token(self, headers: dict[str, str]) -> None:
        given = headers.get(TOKEN_HEADER, "")
        if self.token is not None and not hmac.compare_digest(given.encode(), self.token.encode()):
            raise Refusal(401, "this needs the token: open the page with the whole address that the command printed")


def own_hosts(host: str) -> frozenset[str] | None:
    """Host names that a server bound to ``host`` is asked for under; None for all addresses at once.

    Example:
        >>> sorted(own_hosts("127.0.0.1") or ())
        ['127.0.0.1', '::1', 'localhost']
        >>> own_hosts("0.0.0.0") is None
        True
    """
    if is_loopback(host):
        return frozenset({"127.0.0.1", "::1", "localhost", host})
    return None if host in ("0.0.0.0", "::", "") else frozenset({host.lower()})


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _name(host: str) -> str:
    """Host name without its port; empty where it is malformed."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _headers(scope: Scope) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        if key in headers and key in ("host", "origin", "content-type", "content-length"):
            raise Refusal(400, f"the header {key} is given twice")
        headers[key] = value.decode("latin-1")
    return headers


async def _body(receive: Receive, headers: dict[str, str]) -> bytes:
    announced = headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > LARGEST_BODY:
        raise Refusal(413, f"a request holds at most {LARGEST_BODY} bytes")
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refusal(400, "the request ended early")
        body += bytes(message.get("body", b""))
        if len(body) > LARGEST_BODY:
            raise Refusal(413, f"a request holds at most {LARGEST_BODY} bytes")
        if not message.get("more_body", False):
            return body


def _replay(body: bytes, receive: Receive) -> Receive:
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


def _hardened(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *_ADDED]
        await send(message)

    return with_headers
