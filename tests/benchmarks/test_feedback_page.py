"""How long an operator waits: from the key to the next image on the screen, beside a page that only draws images."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.benchmarks.conftest import Speed
from tests.benchmarks.measuring import PAIRS, in_turns
from tests.datamodules.feedback import helpers

KEYS = 25  # of a turn
PACE = 100  # ms between two keys: several times as fast as a person decides

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
BARE_PAGE = """async (count) => {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: 640, height: 640 });
  document.body.replaceChildren(canvas);
  canvas.animate([{ opacity: 0.99 }, { opacity: 1 }], { duration: 500, iterations: Infinity });  // frames go on
  const brush = canvas.getContext("2d");
  const images = [];
  for (let id = 1; id <= count; id++) {
    images.push(await createImageBitmap(await (await fetch(`/api/image/${id}`)).blob()));
  }
  let number = 0;
  addEventListener("keydown", () => {
    brush.drawImage(images[number++ % count], 0, 0);
    document.dispatchEvent(new CustomEvent("painted"));
  });
}"""


@pytest.mark.benchmark
@pytest.mark.front
def test_from_key_to_next_image(tmp_path: Path, speed: Speed) -> None:
    helpers.chromium()
    store = helpers.make_store(tmp_path, images=(1 + PAIRS) * KEYS + 20, each=1, size=(640, 640))
    with helpers.serving(store) as server, helpers.browser() as opened, helpers.new_page(opened) as page:
        page.goto(server.address)
        helpers.wait_ready(page)
        bare = page.context.new_page()
        bare.goto(f"{server.address}api/image/1")
        bare.evaluate(BARE_PAGE, 20)
        for each in (page, bare):
            each.evaluate(MEASURE)
        taken = in_turns({"page": partial(press_keys, page), "bare": partial(press_keys, bare)}, lambda work: work())
    speed.add("page", taken["page"] / taken["bare"], float(np.median(taken["bare"])), "ms")


def press_keys(page: Any) -> float:
    """95th percentile of the milliseconds from a key to the image."""
    page.bring_to_front()
    page.evaluate("waits.length = 0")
    for number in range(KEYS):
        page.keyboard.press("y" if number % 2 else "n")
        helpers.wait_until(page, f"waits.length > {number}")
        page.wait_for_timeout(PACE)
    return float(np.quantile(page.evaluate("waits"), 0.95))
