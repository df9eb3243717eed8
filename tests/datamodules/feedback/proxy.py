"""A reverse proxy that shows a server below a path, as nginx and others do."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def proxied(port: int, path: str, upstream: int, *, cuts_path: bool, keeps_host: bool) -> Iterator[str]:
    """Serve what a server on this machine says below a path; the address.

    Args:
        port: Of the proxy.
        path: Path below which the server is shown, such as ``/line3/mentor/``; everything else is not found.
        upstream: Port of the server.
        cuts_path: Whether the server sees the path without it.
        keeps_host: Whether the server sees the host that the browser asked for, or its own address.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.forward()

        do_POST = do_GET

        def forward(self) -> None:
            if not self.path.startswith(path):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            if not keeps_host:
                headers["Host"] = f"127.0.0.1:{upstream}"
            connection = http.client.HTTPConnection("127.0.0.1", upstream)
            asked = self.path[len(path) - 1 :] if cuts_path else self.path
            connection.request(self.command, asked, body or None, headers)
            reply = connection.getresponse()
            content = reply.read()
            self.send_response(reply.status)
            for name, value in reply.getheaders():
                if name.lower() not in ("connection", "content-length", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            connection.close()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{port}{path}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
