"""Faces from their own activations, layer by layer: how much of a picture each layer still knows.

The check of section 5.2 of the paper: with the true activations of a face as the target, inversion must give the face
back, and the less so the deeper the layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from lightning_modules.face_attributes.classifier.layers import CutNetwork
from lightning_modules.face_attributes.classifier.network import FaceAttributeNetwork
from lightning_modules.face_attributes.classifier.preprocess import FacePreprocess
from lightning_modules.face_attributes.inversion.parameterisation import ImageSpace
from lightning_modules.face_attributes.inversion.search import FeatureDistance, optimise, starting_pictures, to_uint8
from lightning_modules.face_attributes.inversion.settings import InversionSettings

_SMALLEST_SSIM = 11  # pixels; the window of SSIM


@dataclass(frozen=True, slots=True)
class LayerReconstruction:
    """B faces reconstructed from one layer; all tensors are on the CPU.

    Attributes:
        image: uint8 ``(B, 3, S, S)``, RGB.
        error: Squared distance of the activations from those of the face, over the square of these, float32 ``(B,)``.
        psnr: Peak signal-to-noise ratio against the face in dB, float32 ``(B,)``.
        ssim: Structural similarity to the face, up to 1, float32 ``(B,)``.
    """

    image: Tensor
    error: Tensor
    psnr: Tensor
    ssim: Tensor


def reconstruct(
    network: FaceAttributeNetwork | torch.nn.Module,
    preprocess: FacePreprocess,
    images: Tensor,
    layers: Sequence[str],
    space: ImageSpace,
    settings: InversionSettings,
    mean: Tensor,
    seeds: Tensor,
) -> dict[str, LayerReconstruction]:
    """Invert each layer for itself.

    Args:
        network: A classifier or a backbone; it is frozen.
        preprocess: Its preprocessing.
        images: The faces, uint8 ``(B, 3, S, S)``, of the size of the network's input.
        layers: Layers, from the image to the heads.
        space: Where pictures are looked for; a space of faces cannot give back what it cannot hold.
        settings: How; its layer weights are not used.
        mean: Mean training face, float ``(3, S, S)`` in 0..1; where nothing is known of training faces, a grey picture.
        seeds: Seed of each face, int64 ``(B,)``.

    Returns:
        What came of each layer, in the order of ``layers``.
    """
    found: dict[str, LayerReconstruction] = {}
    with torch.inference_mode(False):
        images = images.clone()
        start = starting_pictures(mean.clone(), settings, seeds)
        for layer in layers:
            cut = CutNetwork(network, [layer])
            with torch.no_grad():
                target = cut(preprocess(images))
            distance = FeatureDistance(cut, preprocess.normalise, target)
            pictures = optimise(distance, space, settings, start, seeds).pictures
            error = distance.errors(pictures)[layer].cpu()
            made = to_uint8(pictures)
            found[layer] = LayerReconstruction(made.cpu(), error, psnr(made, images), ssim(made, images))
    return found


def psnr(made: Tensor, images: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of uint8 pictures in dB, float32 ``(B,)`` on the CPU; 99 where they are equal.

    Example:
        >>> black = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
        >>> psnr(black + 255, black), psnr(black, black)
        (tensor([-0.]), tensor([99.]))
    """
    error = ((made.float() - images.float()) / 255).square().flatten(1).mean(dim=1).cpu()
    return (-10 * error.log10()).clamp_max(99.0)


def ssim(made: Tensor, images: Tensor) -> Tensor:
    """Structural similarity of uint8 pictures, float32 ``(B,)`` on the CPU; NaN below 11 pixels.

    References:
        Wang et al., "Image quality assessment: from error visibility to structural similarity", TIP 2004.
    """
    if min(made.shape[-2:]) < _SMALLEST_SSIM:
        return torch.full((len(made),), torch.nan)
    pairs = zip(made.float() / 255, images.float() / 255, strict=True)
    values = [structural_similarity_index_measure(a[None], b[None], data_range=1.0) for a, b in pairs]
    return torch.stack([torch.as_tensor(value) for value in values]).float().cpu()
