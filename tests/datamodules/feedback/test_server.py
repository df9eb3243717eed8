"""The page's server: it answers its own page and refuses everything else."""

from __future__ import annotations

import io
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from datamodules.common.errors import ConfigurationError, StoreError
from datamodules.common.fingerprint import file_sha256
from datamodules.feedback.messages import UndoAnswer
from datamodules.feedback.pictures import read_picture
from datamodules.inspection.server import PageSettings, build_app, run_key, save
from datamodules.inspection.store.feedback import FeedbackStore
from lightning_modules.commands.mentoring import ask as mentor_command

from .helpers import make_store, serving

HEADERS = {"X-Appraise": "1", "Content-Type": "application/json"}


@pytest.fixture(scope="module")
def mined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("mined"), images=3, each=2, size=(120, 160))


@pytest.fixture
def store(mined: Path) -> Iterator[FeedbackStore]:
    with FeedbackStore(mined) as opened:
        yield opened


def client(store: FeedbackStore, **settings: Any) -> Any:
    from fastapi.testclient import TestClient

    return TestClient(build_app(store, PageSettings(**settings)), base_url="http://127.0.0.1:8350")


def answer(store: FeedbackStore, **change: Any) -> dict[str, Any]:
    one = {
        "kind": "answer", "client_id": "0123456789abcdef", "image_id": 1, "detection_id": 1, "verdict": "confirm",
        "annotator": "anna",
    }  # fmt: skip
    return {"run": 1, "run_key": run_key(store.run()), "answers": [one | change]}


def hostile(store: FeedbackStore) -> dict[str, tuple[dict[str, Any], set[int]]]:
    """Name of an attack: the request, and the statuses that refuse it."""
    right = json.dumps(answer(store))
    post = {"method": "POST", "url": "/api/answers", "headers": HEADERS, "content": right}
    endless = (b"[" * 4096 for _ in range(1000))
    return {
        "path traversal": ({"url": "/static/..%2f..%2f..%2f..%2fetc%2fpasswd"}, {404}),
        "plain path traversal": ({"url": "/static/../../server.py"}, {404}),
        "path as an image": ({"url": "/api/image/..%2F..%2Fetc%2Fpasswd"}, {404, 422}),
        "image by name": ({"url": "/api/image/part_0000.jpg"}, {422}),
        "unknown image": ({"url": "/api/image/999"}, {404}),
        "number beyond SQLite": ({"url": "/api/image/99999999999999999999999999"}, {422}),
        "other host name": ({"url": "/api/session", "headers": {"Host": "evil.example"}}, {403}),
        "two hosts": ({"url": "/api/session", "headers": [("Host", "127.0.0.1"), ("Host", "evil.example")]}, {400}),
        "cross-site post": (post | {"headers": HEADERS | {"Origin": "https://evil.example"}}, {403}),
        "cross-site read": ({"url": "/api/image/1", "headers": {"Sec-Fetch-Site": "cross-site"}}, {403}),
        "form post": (post | {"headers": {"X-Appraise": "1", "Content-Type": "text/plain"}}, {415}),
        "post without the page's header": (post | {"headers": {"Content-Type": "application/json"}}, {403}),
        "huge body": (post | {"content": b"[" * 10_000_000}, {413}),
        "huge body of unknown length": (post | {"content": endless}, {413}),
        "bad JSON": (post | {"content": '{"run": 1,'}, {422}),
        "deep JSON": (post | {"content": "[" * 60_000}, {400, 422}),
        "another method": ({"method": "DELETE", "url": "/api/answers", "headers": HEADERS}, {405}),
        "another store's answers": (post | {"content": json.dumps(answer(store) | {"run_key": "0"})}, {409}),
        "unknown detection": (post | {"content": json.dumps(answer(store, detection_id=999))}, {409}),
        "detection of another image": (post | {"content": json.dumps(answer(store, image_id=2))}, {409}),
        "unknown class": (post | {"content": json.dumps(answer(store, verdict="reclass", class_name="x"))}, {409}),
        "unknown verdict": (post | {"content": json.dumps(answer(store, verdict="drop"))}, {422}),
        "unknown field": (post | {"content": json.dumps(answer(store, path="/etc/passwd"))}, {422}),
        "name with control characters": (post | {"content": json.dumps(answer(store, annotator="a\n"))}, {422}),
        "SQL as an order": ({"url": "/api/items?run=1&annotator=a&order=id;drop table answer"}, {422}),
        "too many at once": (post | {"content": json.dumps(answer(store) | {"answers": [1] * 99})}, {422}),
    }  # fmt: skip


def test_hostile_requests_are_refused_and_change_nothing(store: FeedbackStore) -> None:
    page = client(store)
    for name, (request, statuses) in hostile(store).items():
        reply = page.request(**({"method": "GET"} | request))
        assert reply.status_code in statuses, (name, reply.status_code, reply.text)
        assert "root:" not in reply.text
        assert "Traceback" not in reply.text
    assert store.answers() == []
    assert page.post("/api/answers", headers=HEADERS, json=answer(store, client_id="f" * 16)).status_code == 200
    undo = {"kind": "undo", "client_id": "e" * 16, "target": "f" * 16, "annotator": "anna"}
    assert page.post("/api/answers", headers=HEADERS, json=answer(store) | {"answers": [undo]}).status_code == 200
    assert len(store.answers()) == 2


def test_a_raw_path_traversal_finds_nothing(mined: Path) -> None:
    with serving(mined) as server:
        port = int(server.address.rstrip("/").rpartition(":")[2])
        for path in ("/../../../../etc/passwd", "/static/../../../etc/passwd", "/static//etc/passwd", "//etc/passwd"):
            with socket.create_connection(("127.0.0.1", port)) as raw:
                raw.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
                reply = b"".join(iter(lambda: raw.recv(65536), b""))
            assert reply.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400")), path


def test_a_token_is_asked_for_where_other_machines_can_connect(store: FeedbackStore) -> None:
    with pytest.raises(StoreError, match=r"0\.0\.0\.0, so the page needs a token"):
        build_app(store, PageSettings(host="0.0.0.0"))
    page = client(store, host="0.0.0.0", token="secret-token")
    assert page.get("/").status_code == 200  # the empty page; what it shows needs the token
    for headers in ({}, {"X-Appraise-Token": "wrong"}, {"X-Appraise-Token": "é".encode("latin-1")}):
        assert page.get("/api/session", headers=headers).status_code == 401
        assert page.get("/api/image/1", headers=headers).status_code == 401
    assert page.get("/api/session", headers={"X-Appraise-Token": "secret-token"}).status_code == 200


def test_the_command_makes_up_a_token(mined: Path) -> None:
    with serving(mined, "--host", "0.0.0.0") as server:
        address, _, token = server.printed.partition("#token=")
        assert address.startswith("http://")
        assert len(token) >= 16


def test_replies_carry_the_headers_that_browsers_hold_pages_to(store: FeedbackStore) -> None:
    page = client(store)
    for path in ("/", "/static/page.js", "/api/session", "/api/image/1", "/nothing"):
        headers = page.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers


def test_a_locked_store_is_answered_with_try_again(mined: Path) -> None:
    with FeedbackStore(mined, wait=0.05) as store, FeedbackStore(mined) as other:
        page = client(store)
        with other.transaction():
            reply = page.post("/api/answers", headers=HEADERS, json=answer(store, client_id="b" * 16))
            assert reply.status_code == 503
            assert "locked by another program" in reply.json()["detail"]
        assert page.post("/api/answers", headers=HEADERS, json=answer(store, client_id="b" * 16)).status_code == 200


def test_formats_that_browsers_do_not_show_are_sent_as_png(tmp_path: Path) -> None:
    path = tmp_path / "part.tiff"
    Image.new("RGB", (32, 16), (200, 10, 30)).save(path)
    with FeedbackStore(tmp_path / "s.sqlite", create=True) as store:
        store.start_run("c", "d", {"dent": 0.5})
        store.add_image(path, file_sha256(path), 32, 16, 1)
        reply = client(store).get("/api/image/1")
        assert reply.headers["content-type"] == "image/png"
        with Image.open(io.BytesIO(reply.content)) as shown:
            assert (shown.size, shown.getpixel((3, 3))) == ((32, 16), (200, 10, 30))
        path.unlink()
        reply = client(store).get("/api/image/1")
        assert (reply.status_code, "cannot be read" in reply.text) == (409, True)


def test_a_taken_port_is_one_sentence(mined: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigurationError, match="cannot serve on"):
        mentor_command.run("mentor", ["--store", str(mined), "--port", str(taken.getsockname()[1])])


def test_it_starts_fast_and_stops_on_ctrl_c(mined: Path) -> None:
    started = time.perf_counter()
    with serving(mined) as server:
        seconds = time.perf_counter() - started
        server.stop()
        assert server.process.returncode == 0
    assert seconds < 8  # about 1 s alone; tests share the machine


def test_an_answer_that_the_store_refuses_is_named(store: FeedbackStore) -> None:
    undo = UndoAnswer(kind="undo", client_id="e" * 16, target="0" * 16, annotator="anna")
    with pytest.raises(StoreError, match="never saved"):
        save(store, 1, undo)


def test_a_picture_that_is_gone_or_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with pytest.raises(StoreError, match="cannot be read"):
        read_picture(path, "0")
    Image.new("RGB", (4, 4)).save(path)
    with pytest.raises(StoreError, match="has changed since it was mined"):
        read_picture(path, "0")
    (tmp_path / "a.tif").write_bytes(b"torn")
    with pytest.raises(StoreError, match=r"a\.tif"):
        read_picture(tmp_path / "a.tif", file_sha256(tmp_path / "a.tif"))
