"""The address under which a proxy shows the page to others, with the path below which it does."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from datamodules.common.errors import ConfigurationError

_USUAL_PORTS = {"http": 80, "https": 443}


class PublicAddress(NamedTuple):
    """Where browsers find the page.

    Attributes:
        scheme: http or https.
        netloc: Host and, where it is not the usual one, port, as a browser writes them.
        host: Name of the host alone.
        path: Path that ends with a slash.
    """

    scheme: str
    netloc: str
    host: str
    path: str

    @property
    def url(self) -> str:
        """The whole address."""
        return f"{self.scheme}://{self.netloc}{self.path}"


def public_address(url: str) -> PublicAddress:
    """Take an address apart.

    Raises:
        ConfigurationError: If it is no address of a page.

    Example:
        >>> public_address("https://Line3.example:443/mentor").url
        'https://line3.example/mentor/'
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or parts.scheme not in _USUAL_PORTS or parts.query or parts.fragment or parts.username:
        raise ConfigurationError(
            f'"{url}" is no address of a page: write one such as https://example.org/mentor/, without ? and #'
        )
    shown = f"[{host}]" if ":" in host else host
    netloc = shown if port in (None, _USUAL_PORTS[parts.scheme]) else f"{shown}:{port}"
    return PublicAddress(parts.scheme, netloc, host, f"{parts.path.rstrip('/')}/")


class UnderPath:
    """ASGI middleware: the page answers below the public path and at the root, as proxies keep the path or cut it off.

    Args:
        app: What answers.
        public: Where browsers find the page.
    """

    def __init__(self, app: ASGIApp, public: PublicAddress) -> None:
        self.app = app
        self.public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Cut the public path off a request, then hand it on."""
        below = self.public.path
        if scope["type"] == "http" and below != "/":
            path = scope["path"]
            if path == below.removesuffix("/"):  # relative addresses need the slash
                await RedirectResponse(self.public.url)(scope, receive, send)
                return
            if path.startswith(below):
                inner = path[len(below) - 1 :]
                scope = {**scope, "path": inner, "raw_path": inner.encode()}
        await self.app(scope, receive, send)
