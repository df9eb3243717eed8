"""A window that shows pictures as they are annotated."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.common.errors import ConfigurationError

_SHARE_OF_SCREEN = 0.9


class LiveWindow:
    """A window of the desktop; ``q``, Escape or its close button asks for the end.

    It belongs to the thread that made it.

    Args:
        title: Text of its title bar.

    Raises:
        ConfigurationError: If there is no display, or this Python has no tkinter.
    """

    def __init__(self, title: str = "appraise annotate: q quits") -> None:
        try:
            import tkinter as tk

            from PIL import ImageTk
        except ImportError as error:
            raise ConfigurationError(
                f"a live window needs tkinter, which this Python lacks ({error}): install it (Debian and Ubuntu: "
                "apt install python3-tk), or leave --show out; the annotated video is written all the same"
            ) from error
        try:
            self._root = tk.Tk()
        except tk.TclError as error:
            raise ConfigurationError(
                f"a live window needs a display and there is none here ({_display()}; {error}): leave --show out, "
                "the annotated video is written all the same"
            ) from error
        self._as_photo = ImageTk.PhotoImage
        self._errors = tk.TclError
        self._root.title(title)
        self._root.configure(background="black")
        self._canvas = tk.Canvas(self._root, highlightthickness=0, background="black")  # a label would need a font
        self._canvas.pack(expand=True)
        self._item = self._canvas.create_image(0, 0, anchor="nw")
        self._photo: object = None  # Tk does not hold the picture itself
        self._quit = False
        for key in ("<q>", "<Q>", "<Escape>"):
            self._root.bind_all(key, self._ask_to_quit)
        self._root.protocol("WM_DELETE_WINDOW", self._ask_to_quit)

    def show(self, picture: NDArray[np.uint8]) -> bool:
        """Show an RGB picture ``(H, W, 3)`` now, smaller on a small screen; False once the user wants the end."""
        if self._quit:
            return False
        height, width = picture.shape[:2]
        try:
            room = (self._root.winfo_screenwidth(), self._root.winfo_screenheight())
            factor = min(1.0, _SHARE_OF_SCREEN * room[0] / width, _SHARE_OF_SCREEN * room[1] / height)
            image = Image.fromarray(picture)
            if factor < 1:
                image = image.resize((max(1, round(width * factor)), max(1, round(height * factor))))
            photo = self._as_photo(image, master=self._root)
            self._canvas.configure(width=image.width, height=image.height)
            self._canvas.itemconfigure(self._item, image=photo)
            self._photo = photo
            self._root.update()
        except self._errors:  # the desktop closed the window or went away
            self._quit = True
        return not self._quit

    def close(self) -> None:
        """Close the window; closing twice is no error."""
        self._photo = None
        try:
            self._root.destroy()
        except self._errors:  # it is gone already
            self._quit = True

    def _ask_to_quit(self, event: object = None) -> None:
        self._quit = True


def _display() -> str:
    return f"DISPLAY is {os.environ.get('DISPLAY') or 'not set'}"
