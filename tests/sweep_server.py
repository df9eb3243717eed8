"""What W&B's own client asks of its server to work on one sweep, answered on this machine."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import wandb
import yaml

NAME = "team/appraise/abc123"


class SweepServer(ThreadingHTTPServer):
    """One sweep, whose agents are each given the next point.

    Attributes:
        points: Values by parameter that are still to be trained.
        given: Names of the trials that agents were given.
    """

    def __init__(self, content: Mapping[str, Any], points: list[dict[str, float]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.points = dict(content), points
        self.given: list[str] = []

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which the client finds this server."""
        return {"WANDB_BASE_URL": f"http://127.0.0.1:{self.server_port}", "WANDB_API_KEY": "0" * 40}

    def answer(self, operation: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Data of a GraphQL operation."""
        if operation == "CreateAgent":
            return {"createAgent": {"agent": {"id": "agent"}}}
        if operation == "Heartbeat":
            commands = [] if json.loads(variables["runState"]) else self.commands()  # one trial at a time
            return {"agentHeartbeat": {"agent": {"id": "agent"}, "commands": json.dumps(commands)}}
        if "Sweep" in operation:
            known = variables.get("sweep", variables.get("name")) == NAME.rpartition("/")[2]
            return {"project": {"sweep": self.sweep() if known else None}}
        return {"viewer": {"id": "u", "username": "me", "entity": "team", "flags": "{}", "email": "", "teams": None}}

    def commands(self) -> list[dict[str, Any]]:
        """The next point, or the end."""
        if not self.points:
            return [{"id": "0", "type": "exit"}]
        self.given.append(f"trial{len(self.given)}")
        values = {name: {"value": value} for name, value in self.points.pop(0).items()}
        return [
            {"id": "1", "type": "run", "run_id": self.given[-1], "program": self.content["program"], "args": values}
        ]

    def sweep(self) -> dict[str, Any]:
        """The sweep as the client reads it."""
        nothing = dict.fromkeys(
            ("description", "displayName", "runCountExpected", "bestLoss", "controller", "scheduler")
        )
        own = {"__typename": "Sweep", "id": "x", "name": NAME.rpartition("/")[2], "method": "random"}
        edges: dict[str, Any] = {"edges": []}
        return {
            **nothing, **own, "state": "RUNNING", "config": yaml.safe_dump(self.content), "runCount": 0,
            "createdAt": "2026-01-01T00:00:00", "priorRuns": edges, "runs": edges,
        }  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    """GraphQL, and telemetry that nobody reads."""

    server: SweepServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        text = (gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body).decode("latin-1")
        found = re.search(r'"query":\s*"\s*(?:\\n|\\t|\s)*(?:query|mutation)\s+(\w+)', text)
        asked = json.loads(text) if found else {}
        data = self.server.answer(found[1], asked.get("variables") or {}) if found else {}
        answer = json.dumps({"data": data}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def sweep_server(content: Mapping[str, Any], points: list[dict[str, float]]) -> Iterator[SweepServer]:
    """The server, at work until the end of the block.

    The client keeps a server's address for as long as its process lives, and its later runs, offline ones too, would
    ask this one for minutes after its end: so it is torn down.
    """
    wandb.teardown()
    server = SweepServer(content, points)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        wandb.teardown()
        server.shutdown()
        thread.join()
        server.server_close()
