"""A small server of OpenAI's protocol on 127.0.0.1 that answers, stalls, fails and cuts connections."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from PIL import Image

Behaviour = Literal["answer", "stall", "fail", "busy", "cut", "odd", "refuse", "wrong_key", "policy"]


class ChatServer(ThreadingHTTPServer):
    """Behaves as its plan says, one entry a request, then answers.

    Attributes:
        plan: What is done with the next requests.
        requests: Bodies of all.
        keys: Authorisations of all.
        most: Requests that were open at a time.
    """

    daemon_threads = True

    def __init__(self, plan: list[Behaviour] | None = None, answer: str = "(B)", pause: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.plan = list(plan or [])
        self.answer = answer
        self.pause = pause
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.open = 0
        self.most = 0
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def next(self) -> Behaviour:
        with self.lock:
            return self.plan.pop(0) if self.plan else "answer"


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.requests.append(body)
            server.keys.append(self.headers.get("Authorization", ""))
            server.open += 1
            server.most = max(server.most, server.open)
        try:
            self._behave(server.next())
        finally:
            with server.lock:
                server.open -= 1

    def _behave(self, what: Behaviour) -> None:
        if what == "stall":
            time.sleep(1.0)
        time.sleep(self.server.pause)
        if what == "cut":
            self.close_connection = True
            self.connection.close()
        elif what == "fail":
            self._send(500, {"error": {"message": "broken"}})
        elif what == "busy":
            self._send(429, {"error": {"message": "slow down"}}, {"Retry-After": "0"})
        elif what == "wrong_key":
            self._send(401, {"error": {"message": "no such key"}})
        elif what == "policy":
            self._send(400, {"error": {"message": "content policy"}})
        elif what == "odd":
            self._send(200, {"hello": "world"})
        else:
            message: dict[str, Any] = {"role": "assistant", "content": self.server.answer}
            if what == "refuse":
                message = {"role": "assistant", "content": None, "refusal": "I'm sorry, I can't help with that."}
            usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            reply = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
            self._send(200, {**reply, "usage": usage})

    def _send(self, status: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        payload = json.dumps(content).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(payload)
        except OSError:  # whoever asked has gone
            self.close_connection = True


@contextmanager
def serving(plan: list[Behaviour] | None = None, **options: Any) -> Iterator[ChatServer]:
    server = ChatServer(plan, **options)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def pictures_of(request: dict[str, Any]) -> list[Image.Image]:
    parts = request["messages"][0]["content"]
    coded = [part["image_url"]["url"].partition(",")[2] for part in parts if part["type"] == "image_url"]
    return [Image.open(io.BytesIO(base64.b64decode(one))) for one in coded]
