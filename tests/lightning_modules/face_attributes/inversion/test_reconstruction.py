"""Faces from their own activations: the measures by hand, and less comes back from deeper layers."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lightning_modules.face_attributes.classifier.preprocess import FacePreprocess
from lightning_modules.face_attributes.classifier.vgg import VGG, VGGSettings
from lightning_modules.face_attributes.inversion.parameterisation import FourierSpace
from lightning_modules.face_attributes.inversion.reconstruction import LayerReconstruction, psnr, reconstruct, ssim
from lightning_modules.face_attributes.inversion.settings import InversionSettings

SIDE = 64
SETTINGS = InversionSettings(
    steps=100,
    space="fourier",
    spectrum_power=1.0,
    learning_rate=0.1,
    start="noise",
    noise=0.05,
    views="roll",
    jitter=1,
    views_until=0.75,
)


def by_layer(images: torch.Tensor, layers: list[str]) -> dict[str, LayerReconstruction]:
    torch.manual_seed(0)
    network = VGG(VGGSettings((16, 24, 32), (1, 1, 1), (64,), norm=True), image_size=SIDE).eval()
    grey = torch.full((3, SIDE, SIDE), 0.5)
    space, seeds = FourierSpace(SIDE, SETTINGS.spectrum_power), torch.arange(len(images))
    return reconstruct(network, FacePreprocess(SIDE), images, layers, space, SETTINGS, grey, seeds)


def check(found: dict[str, LayerReconstruction]) -> None:
    """Each deeper layer knows less of the picture."""
    values = list(found.values())
    for near, far in pairwise(values):
        assert float(near.psnr.mean()) > float(far.psnr.mean())
        assert float(near.ssim.mean()) > float(far.ssim.mean())
    assert float(values[0].psnr.mean()) > 16


def test_measures() -> None:
    picture = (torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 200).byte()
    assert torch.allclose(psnr(picture + 10, picture), torch.full((2,), 20 * np.log10(25.5)).float())
    assert torch.allclose(ssim(picture, picture), torch.ones(2))
    assert bool((ssim(255 - picture, picture) < 0.5).all())
    assert bool(ssim(picture[..., :8, :8], picture[..., :8, :8]).isnan().all())


def test_deeper_layers_know_less() -> None:
    axis = torch.linspace(-1, 1, SIDE)
    disc = torch.sigmoid((0.6 - (axis[:, None] ** 2 + axis[None] ** 2).sqrt()) * 20)
    stripes = 0.5 + 0.5 * torch.sin(12 * axis)[None].expand(SIDE, SIDE)
    images = torch.stack([torch.stack([disc, stripes * disc, 1 - disc]), torch.stack([stripes, disc, disc])])
    found = by_layer((images * 255).byte(), ["conv1_1", "conv3_1", "fc6"])
    assert list(found) == ["conv1_1", "conv3_1", "fc6"]
    assert found["fc6"].image.shape == (2, 3, SIDE, SIDE)
    assert bool((found["conv1_1"].error < 0.2).all())
    check(found)


@pytest.mark.parametrize("name", ["skimage/astronaut.png", "cartoonset"])
def test_real_pictures(shared_dir: Path, name: str) -> None:
    place = shared_dir / "data" / "faces" / name
    files = sorted(place.glob("*.png"))[:2] if place.is_dir() else [place]
    if not files or not files[0].is_file():
        pytest.skip(f"{place} is not here")
    pictures = []
    for file in files:
        opened = Image.open(file).convert("RGBA")
        flat = Image.alpha_composite(Image.new("RGBA", opened.size, "white"), opened).convert("RGB")
        box = (160, 20, 300, 160) if file.stem == "astronaut" else None  # her face
        pictures.append(torch.from_numpy(np.asarray(flat.resize((SIDE, SIDE), Image.Resampling.BOX, box=box)).copy()))
    check(by_layer(torch.stack(pictures).permute(0, 3, 1, 2), ["conv1_1", "conv2_1", "conv3_1", "fc6"]))
