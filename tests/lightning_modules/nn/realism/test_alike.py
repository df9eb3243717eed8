"""The most similar training pictures, of several views, and of videos."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.realism.alike import most_alike
from lightning_modules.nn.realism.motion import clip_descriptors
from lightning_modules.nn.realism.nearest import copies
from lightning_modules.nn.realism.similarity import most_similar


def unit(*shape: int, seed: int = 0) -> Tensor:
    return functional.normalize(torch.randn(shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 60), st.integers(0, 3), st.booleans())
def test_chunks_change_nothing(chunk: int, seed: int, own: bool) -> None:
    faces = unit(50, 2, 6, seed=seed)
    expected = most_alike(faces, faces, leave_out_own=own)
    found = most_alike(faces, faces, chunk, leave_out_own=own)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)
    assert bool((found.row == torch.arange(50)).all()) is not own


def test_one_view_is_the_plain_search() -> None:
    faces, training = unit(40, 8), unit(30, 8, seed=1)
    found, expected = most_alike(faces[:, None], training[:, None]), most_similar(faces, training)
    torch.testing.assert_close(found.similarity, expected.similarity)
    assert torch.equal(found.row, expected.row)
    near = torch.cat([training[:5] + 0.01 * unit(5, 8, seed=2), faces])
    near = functional.normalize(near, dim=1)
    share = most_alike(near[:, None], training[:, None]).is_near_copy().double().mean().item()
    assert share == pytest.approx(copies(near, training, 1 / 3))
    assert share >= 5 / 45


def test_a_copied_chunk_is_found_at_its_place_alone() -> None:
    training, made = unit(20, 4, 16), unit(3, 4, 16, seed=1)
    made[0, 2] = training[7, 2]
    made[1, 1] = training[7, 2]  # at another place
    found = most_alike(made, training)
    assert found.row[0] == 7
    assert found.similarity[0].item() == pytest.approx(1, abs=1e-5)
    assert found.similarity[1] < 0.95


def test_more_sets_of_views_are_searched_too() -> None:
    training, mirrored = unit(20, 2, 16), unit(20, 2, 16, seed=1)
    both = torch.cat([training, mirrored], dim=1)
    found = most_alike(mirrored[[4]], both)
    assert found.row.tolist() == [4]
    assert most_alike(mirrored[[4]], training).similarity.item() < 0.9


def test_views_that_do_not_fit_and_nothing_to_compare_with() -> None:
    with pytest.raises(ConfigurationError, match=r"\(2, 8\) views and numbers, the references \(3, 8\)"):
        most_alike(unit(4, 2, 8), unit(4, 3, 8))
    with pytest.raises(ConfigurationError, match="1 pictures to compare with"):
        most_alike(unit(1, 1, 8), unit(1, 1, 8), leave_out_own=True)


def test_content_and_motion_of_videos_are_apart() -> None:
    walk = torch.randn((2, 5, 6), generator=torch.Generator().manual_seed(0)).cumsum(dim=1)
    found = clip_descriptors(functional.normalize(torch.stack([walk[0], walk[0].flip(0), walk[1]]), dim=2))
    content = found["content"] @ found["content"].T
    assert content[0, 1].item() == pytest.approx(1, abs=1e-5)  # the same frames backwards
    motion = found["motion"] @ found["motion"].T
    assert motion[0, 1] < 0.9
    assert found["frames"].shape == (3, 30)
    still = clip_descriptors(unit(1, 1, 6).expand(1, 4, 6))
    assert still["motion"].norm() == 0
