"""The page on other keyboards, behind a proxy, before its script runs, and with pictures that lie on their side."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from datamodules.common.errors import ConfigurationError, StoreError
from datamodules.common.fingerprint import file_sha256
from datamodules.feedback.pictures import read_picture
from datamodules.feedback.public_address import public_address
from datamodules.inspection.batch import Detection
from datamodules.inspection.server import PageSettings, build_app
from datamodules.inspection.store.feedback import FeedbackStore
from tests.running import free_port

from .helpers import CLASSES, Server, browser, make_store, new_page, serving, wait_ready, wait_until
from .proxy import proxied

# What a key writes, its place on the keyboard, whether shift is held; and what the page shall take it for.
KEYS = (
    ("y", "KeyY", False, "confirm"),
    ("y", "KeyZ", False, "confirm"),  # QWERTZ
    ("н", "KeyY", False, "confirm"),  # Cyrillic
    ("\u0422", "KeyN", True, "reject"),
    ("ㅛ", "KeyY", False, "confirm"),  # Hangul
    ("Process", "KeyN", False, "reject"),  # held back by an input method
    ("\u3000", "Space", False, "skip"),
    ("Process", "Space", False, "skip"),
    ("é", "Digit2", False, "class 2"),  # AZERTY: a digit needs shift
    ("2", "Digit2", True, "class 2"),
    ("@", "Digit2", True, "class 12"),
    ("=", "Digit0", True, "class 20"),  # QWERTZ
    ("ArrowLeft", "Numpad4", True, "class 14"),
    ("-", "Digit6", False, "farther"),  # AZERTY
    ("=", "Equal", False, "closer"),
    ("m", "Semicolon", False, "missed"),  # AZERTY
    (",", "KeyM", False, "nothing"),
    ("Я", "KeyZ", False, "nothing"),
    ("toString", "F13", False, "nothing"),
)
MEANING = """async (event) => {
  const { meaningOf } = await import(new URL("static/keys.js", location.href));
  const names = { y: "confirm", n: "reject", " ": "skip", m: "missed", "-": "farther", "+": "closer" };
  const { name, digit, second } = meaningOf(event, (name) => Object.hasOwn(names, name));
  return digit === undefined ? names[name] ?? "nothing" : `class ${((digit + 9) % 10) + 1 + (second ? 10 : 0)}`;
}"""


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    with browser() as opened:
        yield opened


def press(page: Any, key: str, code: str, modifiers: int = 0) -> None:
    """Press a key of any keyboard, with Chromium's own numbers of the modifiers."""
    wait_until(page, "document.getElementById('hint').hidden && stage.dataset.detection")
    remote = page.context.new_cdp_session(page)
    for kind in ("rawKeyDown", "keyUp"):
        remote.send("Input.dispatchKeyEvent", {"type": kind, "key": key, "code": code, "modifiers": modifiers})


def verdicts(store: Path) -> list[str]:
    with closing(FeedbackStore(store)) as opened:
        return [one.verdict if one.truth is None else f"{one.verdict} {one.truth}" for one in opened.answers()]


def test_keys_of_other_keyboards(tmp_path: Path, chrome: Any) -> None:
    store = make_store(tmp_path, images=4, size=(120, 160))
    with serving(store) as server, new_page(chrome) as page:
        page.goto(server.address)
        wait_ready(page)
        for key, code, shift, meant in KEYS:
            event = {"key": key, "code": code, "shiftKey": shift}
            assert page.evaluate(MEANING, event) == meant, event
        for key, code, modifiers in (("Process", "KeyN", 0), ("é", "Digit2", 0), ("н", "KeyY", 0), ("я", "KeyZ", 2)):
            press(page, key, code, modifiers)
        wait_until(page, "appraise.pending === 0")
    said = verdicts(store)
    assert said[:2] == ["reject", "reclass dent"]
    assert [one.split()[0] for one in said[2:]] == ["confirm", "undo"]


@pytest.mark.parametrize(("cuts_path", "keeps_host"), [(True, True), (False, False)])
def test_behind_a_proxy_and_below_a_path(tmp_path: Path, chrome: Any, cuts_path: bool, keeps_host: bool) -> None:
    store = make_store(tmp_path, images=4, size=(120, 160))
    own, front = free_port(), free_port()
    server = Server(store, own, "--public-url", f"http://localhost:{front}/line3/mentor")
    try:
        with (
            proxied(front, "/line3/mentor/", own, cuts_path=cuts_path, keeps_host=keeps_host) as address,
            new_page(chrome) as page,
        ):
            assert server.printed.startswith(f"{address}#token=")
            page.goto(address)
            wait_until(page, "document.getElementById('done')?.textContent.includes('needs its token')")
            page.goto("about:blank")
            page.goto(server.printed)
            wait_ready(page)
            press(page, "y", "KeyY")
            wait_until(page, "appraise.pending === 0")
            assert page.evaluate("location.href") == address
    finally:
        server.stop()
    assert len(verdicts(store)) == 1


def test_other_sites_stay_out_of_a_page_behind_a_proxy(tmp_path: Path) -> None:
    public = public_address("https://line3.example/mentor")
    with FeedbackStore(make_store(tmp_path, images=1, size=(120, 160))) as store:
        with pytest.raises(StoreError, match="needs a token"):
            build_app(store, PageSettings(public=public))
        client = TestClient(build_app(store, PageSettings(public=public, token="t")), base_url="http://127.0.0.1:8350")
        asked = {"X-Appraise": "1", "X-Appraise-Token": "t", "Host": "line3.example"}
        for change, status in (
            ({}, 200),
            ({"Origin": "https://line3.example"}, 200),
            ({"Host": "127.0.0.1:8350", "Origin": "https://line3.example"}, 200),
            ({"Origin": "https://evil.example"}, 403),
            ({"Host": "evil.example"}, 403),
            ({"X-Appraise-Token": "u"}, 401),
        ):
            for path in ("/api/session", "/mentor/api/session"):
                assert client.get(path, headers=asked | change).status_code == status, (path, change)
        slashless = client.get("/mentor", headers=asked, follow_redirects=False)
        assert slashless.headers["location"] == "https://line3.example/mentor/"
    for wrong in ("line3.example/mentor", "ftp://line3.example/", "https://line3.example/?a", "https://[::1"):
        with pytest.raises(ConfigurationError, match="is no address of a page"):
            public_address(wrong)


def test_nothing_is_said_to_be_saved_before_the_script_runs(tmp_path: Path, chrome: Any) -> None:
    store = make_store(tmp_path, images=4, size=(120, 160))
    with serving(store) as server:
        with new_page(chrome, java_script_enabled=False) as page:
            page.goto(server.address)
            assert page.locator("#saved-text").text_content() == ""
        with new_page(chrome) as page:
            page.route("**/api/**", lambda route: route.abort())
            page.goto(server.address)
            wait_until(page, "document.getElementById('done')?.textContent.includes('Waiting for the server')")
            assert page.locator("#saved-text").text_content() == ""
        with new_page(chrome) as page:
            page.goto(server.address)
            wait_ready(page)
            assert page.locator("#saved-text").text_content() == "saved"


def test_pictures_lie_upright_whatever_their_format(tmp_path: Path, chrome: Any) -> None:
    """A photo of 40 x 60 that its file stores on its side, with a white mark below its box."""
    upright = np.full((60, 40, 3), 20, np.uint8)
    upright[6:14, 5:11] = 255
    stored = Image.fromarray(upright).transpose(Image.Transpose.ROTATE_90)
    files = [tmp_path / f"a.{kind}" for kind in ("jpg", "webp", "tif", "png")]
    exif = Image.Exif()
    exif[0x0112] = 6
    with FeedbackStore(tmp_path / "s.sqlite", create=True) as store:
        run = store.start_run("c" * 64, "d" * 64, dict.fromkeys(CLASSES, 0.5))
        for file in files:
            stored.save(file, **({"tiffinfo": {0x0112: 6}} if file.suffix == ".tif" else {"exif": exif}))
            image = store.add_image(file, file_sha256(file), 40, 60, 1)
            store.add_detections(run, image, [Detection(0, 0.9, (5.0, 6.0, 11.0, 14.0), 0.4, 0.1)], CLASSES)
    with serving(tmp_path / "s.sqlite") as server, new_page(chrome) as page:
        page.goto(server.address)
        for file in files:
            wait_until(page, f"document.getElementById('name').textContent === '{file.name}'")
            wait_until(page, "document.getElementById('hint').hidden")
            mean = page.evaluate(MEAN_OF_BOX)
            assert mean[0] > 220, (file.suffix, mean)
            assert mean[1] < 60, (file.suffix, mean)
            page.keyboard.press("y")


def test_pictures_of_a_camera_of_12_bits_are_not_shown_in_the_dark(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 4000, 40, dtype=np.uint16), (30, 1))
    for name in ("a.png", "a.tif"):
        Image.fromarray(ramp).save(tmp_path / name)
        shown = read_picture(tmp_path / name, file_sha256(tmp_path / name))
        assert shown.media_type == "image/png"
        assert np.asarray(Image.open(io.BytesIO(shown.content))).max() > 200


# Mean grey inside the box, and left of it, of the picture as the page decoded it.
MEAN_OF_BOX = """async () => {
  const { prefetch } = await import(new URL("static/pictures.js", location.href));
  const names = ["a.jpg", "a.webp", "a.tif", "a.png"];
  const bitmap = await prefetch(names.indexOf(document.getElementById("name").textContent) + 1);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const mean = (x, y, w, h) => {
    const found = context.getImageData(x, y, w, h).data;
    return found.reduce((total, value, place) => total + (place % 4 === 3 ? 0 : value), 0) / (w * h * 3);
  };
  return [mean(6, 7, 4, 6), mean(20, 30, 15, 20)];
}"""
