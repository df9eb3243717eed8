"""Standard input and interruptions, in processes of their own."""

from __future__ import annotations

import json
import math
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from datamodules.video.streaming.live import LiveFrames, MaxLag, lag_limit
from tests.datamodules.samples import run_python

PIPED = """
import json, sys, time
from datamodules.video.streaming.live import LiveFrames
frames = LiveFrames("-", timeout=20, max_lag=json.loads(sys.argv[1]))
count, last = 0, -1.0
while taken := frames.take(8, 0.1):
    count, rising = count + len(taken), taken[0].time > last
    last = taken[-1].time
    assert rising
    time.sleep(float(sys.argv[2]))
print(json.dumps([count, frames.dropped, frames.fault, frames.facts.live]))
"""


def piped(path: Path, *, redirect: bool = False, max_lag: MaxLag = "auto", work: float = 0.0) -> list[object]:
    """Frames taken, dropped, the fault and whether the source counts as live, for a file on standard input."""
    with path.open("rb") as content:
        cat = None if redirect else subprocess.Popen(["cat"], stdin=content, stdout=subprocess.PIPE)
        printed = run_python("-c", PIPED, json.dumps(max_lag), work, stdin=cat.stdout if cat else content)
    if cat:
        cat.wait()
    return list(json.loads(printed))


def test_pipe_that_is_faster_than_time_loses_nothing(make_clip: Callable[..., Path]) -> None:
    path = make_clip("piped.ts", frames=60)
    assert piped(path, max_lag=20.0) == [60, 0, "", True]


@pytest.mark.parametrize("max_lag", ["auto", None])
def test_pipe_with_a_slow_consumer_loses_nothing(max_lag: MaxLag, make_clip: Callable[..., Path]) -> None:
    path = make_clip("piped.ts", frames=60)
    assert piped(path, max_lag=max_lag, work=0.4) == [60, 0, "", True]


@pytest.mark.parametrize("source", ["rtsp://host/stream", "tcp://127.0.0.1:1", "camera:0"])
def test_what_waits_for_nobody_may_lag_half_a_second(source: str) -> None:
    assert lag_limit(source, "auto") == 0.5
    assert lag_limit(source, None) == lag_limit("-", None) == lag_limit("-", "auto") == math.inf
    assert lag_limit(source, 0.0) == lag_limit("-", 0.0) == 0.0


def test_pipe_with_an_explicit_lag_drops(make_clip: Callable[..., Path]) -> None:
    path = make_clip("piped.ts", frames=60)
    taken, dropped, fault, live = piped(path, max_lag=0.0, work=0.6)
    assert isinstance(taken, int)
    assert isinstance(dropped, int)
    assert (taken + dropped, fault, live) == (60, "", True)
    assert dropped > 0


def test_recording_in_a_pipe_is_read_at_leisure(make_clip: Callable[..., Path]) -> None:
    path = make_clip("piped.mkv", frames=60)  # states its duration
    assert piped(path, max_lag=0.0, work=0.05) == [60, 0, "", False]


def test_redirected_file_is_read_at_leisure(make_clip: Callable[..., Path]) -> None:
    path = make_clip("redirected.mp4", frames=60)  # its index is at its end: it must be searched
    assert piped(path, redirect=True, max_lag=0.0) == [60, 0, "", False]


def test_interrupt_ends_cleanly(repository: Path) -> None:
    with socket.socket() as silent:  # accepts and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        script = f"""
import signal
from datamodules.video.streaming.live import LiveFrames
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
try:
    LiveFrames("tcp://127.0.0.1:{silent.getsockname()[1]}", timeout=60).take(1, 0.1)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=repository)
        peer, _ = silent.accept()
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        output, _ = process.communicate(timeout=30)
        peer.close()
    assert output == "interrupted\n"
    assert process.returncode == 0
    assert time.monotonic() - begin < 10


def test_closed_reader_gives_nothing_more(make_clip: Callable[..., Path]) -> None:
    frames = LiveFrames(str(make_clip("piped.mkv", frames=60)), timeout=20)
    assert len(frames.take(3, 5.0)) == 3
    frames.close()
    for _ in range(3):
        rest = frames.take(1000, 0.0)
    assert rest == []


@pytest.mark.parametrize("source", ["camera:97", "tcp://127.0.0.1:1"])
def test_source_that_is_not_there(source: str) -> None:
    frames = LiveFrames(source, timeout=5)
    assert frames.take(1, 0.1) == []
    assert source in frames.fault
