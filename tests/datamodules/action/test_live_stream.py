"""Live sources: a real sender over loopback, a slow consumer, silence."""

from __future__ import annotations

import functools
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from datamodules.action.batch import StreamBatch
from datamodules.action.stream import ActionStream
from tests.datamodules.samples import run_python
from tests.running import free_port

SIDE = 32
SECONDS = 3
FRAMES = 30 * SECONDS


needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg, which sends, is not installed")


@contextmanager
def sender(url: str) -> Iterator[None]:
    """A test picture at 30 frames a second, sent at its own pace to whoever connects."""
    command = ["ffmpeg", "-v", "error", "-re", "-f", "lavfi", "-i", f"testsrc=d={SECONDS}:s=160x120:r=30"]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10", "-f", "mpegts", url]
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def connected(port: int, **options: object) -> Iterator[StreamBatch]:
    """Chunks of the sender, which may need a moment until it listens."""
    for _ in range(100):
        chunks = iter(ActionStream([f"tcp://127.0.0.1:{port}"], SIDE, live_timeout=20, **options))  # type: ignore[arg-type]
        first = next(chunks)
        if "refused" not in first["error"]:
            yield first
            yield from chunks
            return
        time.sleep(0.1)
    pytest.fail("the sender never listened")


@needs_ffmpeg
def test_every_frame_of_a_sender_over_tcp() -> None:
    port = free_port()
    with sender(f"tcp://127.0.0.1:{port}?listen=1"):
        chunks, arrivals = [], []
        for chunk in connected(port, with_source=True, max_lag=5.0):
            chunks.append(chunk)
            arrivals.append(time.monotonic())
    times = torch.cat([chunk["times"] for chunk in chunks])
    assert len(times) == FRAMES
    assert times[0] == pytest.approx(0, abs=0.1)
    assert times.diff().numpy() == pytest.approx([1 / 30] * (FRAMES - 1), abs=1e-3)
    assert torch.equal(times, torch.cat([chunk["source_times"] for chunk in chunks]))
    assert len(chunks) > 4  # small ones: it was not waited for the end
    assert arrivals[-1] - arrivals[0] > SECONDS / 3
    last = chunks[-1]
    assert (last["is_last"], last["status"], last["dropped"]) == (True, "ok", 0)
    assert (last["info"]["live"], last["info"]["path"]) == (True, "")
    assert (last["info"]["width"], last["info"]["height"]) == (160, 120)


PIPED = """
import json, time
from datamodules.action.stream import ActionStream
count = 0
for chunk in ActionStream(["-"], 32, chunk_frames=8, live_timeout=20):
    count += len(chunk["times"])
    time.sleep(0.2)
print(json.dumps([count, chunk["dropped"], chunk["status"], chunk["info"]["live"]]))
"""


@needs_ffmpeg
def test_recording_through_a_pipe_loses_no_frame() -> None:
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc=d={SECONDS}:s=320x240:r=30"]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-f", "mpegts", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as recording:
        printed = run_python("-c", PIPED, stdin=recording.stdout)
    assert json.loads(printed) == [FRAMES, 0, "ok", True]


@needs_ffmpeg
def test_slow_consumer_drops_frames_and_does_not_lag(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    lags, count = [], 0
    with sender(f"tcp://127.0.0.1:{port}?listen=1"):
        for chunk in connected(port, chunk_frames=4, max_lag=0.2):
            if len(chunk["times"]):
                lags.append(time.monotonic() - float(chunk["times"][-1]))
            count += len(chunk["times"])
            dropped = chunk["dropped"]
            time.sleep(0.4)  # 10 frames a second of 30
    assert dropped > 0
    assert count + dropped == FRAMES
    assert f"{dropped} frames were dropped" in caplog.text
    assert "set max_lag to null" in caplog.text
    assert max(lags) - min(lags) < 0.5 + 0.2 + 0.4 + 0.6  # waiting, late, at work; and a busy machine


def test_silent_source_is_given_up() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        begin = time.monotonic()
        (chunk,) = ActionStream([url], SIDE, live_timeout=0.5)
    assert time.monotonic() - begin < 5
    assert chunk["status"] == "error"
    assert url in chunk["error"]


def test_nobody_listens_and_no_camera() -> None:
    chunks = list(ActionStream([f"tcp://127.0.0.1:{free_port()}", "camera:97"], SIDE))
    assert [chunk["status"] for chunk in chunks] == ["error", "error"]
    assert "Connection refused" in chunks[0]["error"]
    assert "camera:97: " in chunks[1]["error"]


def test_film_by_http_loses_no_frame(make_clip: Callable[..., Path]) -> None:
    clip = make_clip("served.mp4", frames=100)
    handler = functools.partial(QuietHandler, directory=str(clip.parent))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/served.mp4"
        chunks = []
        for chunk in ActionStream([url], SIDE, max_lag=0.0, live_timeout=20):
            chunks.append(chunk)
            time.sleep(0.05)
    finally:
        server.shutdown()
    assert sum(len(chunk["times"]) for chunk in chunks) == 100
    assert (chunks[-1]["status"], chunks[-1]["dropped"], chunks[-1]["info"]["live"]) == ("ok", 0, False)


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
