"""How long an operator waits: from the key to the next image on the screen, beside decoding alone in that browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.datamodules.feedback import helpers

KEYS = 200
PACE = 150  # ms between two keys: four times as fast as a person decides
BOUND = 50.0  # ms, 95th percentile

MEASURE = """() => {
  window.waits = [];
  let pressed = 0;
  addEventListener("keydown", (event) => { pressed = event.timeStamp; }, { capture: true });
  document.addEventListener("painted", () => requestAnimationFrame(() => {
    const channel = new MessageChannel();  // its message comes after the frame that the callback belongs to
    channel.port1.onmessage = () => waits.push(performance.now() - pressed);
    channel.port2.postMessage(0);
  }));
}"""
DECODE = """async (count) => {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: 640, height: 640 });
  const brush = canvas.getContext("2d");
  const times = [];
  for (let id = 1; id <= count; id++) {
    const blob = await (await fetch(`/api/image/${id}`)).blob();
    const start = performance.now();
    brush.drawImage(await createImageBitmap(blob), 0, 0);
    brush.getImageData(0, 0, 1, 1);  // waits until it is drawn
    times.push(performance.now() - start);
  }
  return times;
}"""


def quantiles(times: list[float]) -> str:
    return f"median {np.median(times):.1f} ms, p95 {np.quantile(times, 0.95):.1f} ms"


@pytest.mark.benchmark
def test_from_key_to_next_image(tmp_path: Path) -> None:
    helpers.chromium()
    store = helpers.make_store(tmp_path, images=KEYS + 20, each=1, size=(640, 640))
    with helpers.serving(store) as server, helpers.browser() as opened, helpers.new_page(opened) as page:
        page.goto(server.address)
        helpers.wait_ready(page)
        decoding: list[float] = page.evaluate(DECODE, 60)
        page.evaluate(MEASURE)
        waits = press_keys(page)
    ratio = np.quantile(waits, 0.95) / np.quantile(decoding, 0.95)
    line = f"key to next image painted: {quantiles(waits)}; decoding alone: {quantiles(decoding)}; ratio {ratio:.1f}"
    print(f"\n{line}")  # noqa: T201 (a benchmark prints)
    assert len(waits) == KEYS
    assert np.quantile(waits, 0.95) < BOUND


def press_keys(page: Any) -> list[float]:
    for number in range(KEYS):
        page.keyboard.press("y" if number % 2 else "n")
        helpers.wait_until(page, f"waits.length > {number}")
        page.wait_for_timeout(PACE)
    waits: list[float] = page.evaluate("waits")
    return waits
