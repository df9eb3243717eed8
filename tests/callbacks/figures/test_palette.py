"""Colours and dashes of any number of classes."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from callbacks.figures.palette import distinct_colours, distinct_looks


@pytest.mark.parametrize("number", [0, 1, 10, 14, 40, 150])
def test_no_two_classes_look_alike(number: int) -> None:
    colours = distinct_colours(number)
    assert len(set(colours)) == len(colours) == number
    values = np.array([to_rgb(colour) for colour in colours]).reshape(-1, 3)
    apart = np.abs(values[:, None] - values[None]).max(axis=-1) + np.eye(number)
    assert apart.min(initial=1.0) > 0.05  # not a last bit of one of red, green and blue


def test_classes_keep_their_colours_when_there_are_more() -> None:
    assert distinct_looks(40)[:14] == distinct_looks(14)


def test_where_colours_repeat_dashes_differ() -> None:
    looks = distinct_looks(1500)
    assert len({look.colour for look in looks}) < len(looks)
    assert len(set(looks)) == len(looks)
