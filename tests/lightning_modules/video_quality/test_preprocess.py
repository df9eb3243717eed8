from __future__ import annotations

import torch

from lightning_modules.video_quality.preprocess import CLIP_MEAN, CLIP_STD, VideoQualityPreprocess


def test_both_views_are_normalised_and_the_bytes_untouched() -> None:
    preprocess = VideoQualityPreprocess()
    fragments = torch.randint(0, 256, (2, 3, 4, 8, 8), dtype=torch.uint8)
    key_frames = torch.randint(0, 256, (2, 2, 3, 4, 4), dtype=torch.uint8)
    before = fragments.clone()
    left, right = preprocess(fragments, key_frames)
    assert torch.equal(fragments, before)
    mean = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1, 1)
    std = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1, 1)
    torch.testing.assert_close(left, (fragments.float() - mean) / std)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (CLIP_MEAN, CLIP_STD))
    torch.testing.assert_close(right, (key_frames / 255 - mean) / std)


def test_constants_are_in_the_checkpoint() -> None:
    assert set(VideoQualityPreprocess().state_dict()) == {
        "fragment_mean",
        "fragment_std",
        "key_frame_mean",
        "key_frame_std",
    }
