"""Mean of the training faces, pixel by pixel, as the original's preprocessing takes it off."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from datamodules.face_attributes.batch import FaceBatch
from lightning_modules.face_attributes.classifier.preprocess import FacePreprocess

FACES = 2048  # about as many as are read; the error of the mean is then below one grey level


def sum_of_faces(batches: Iterable[FaceBatch], preprocess: FacePreprocess, faces: int = FACES) -> tuple[Tensor, Tensor]:
    """Sum of the first faces of some batches, and their number.

    Args:
        batches: Training faces.
        preprocess: Gives size, units and order of the colours.
        faces: No batch is read once that many faces were seen.

    Returns:
        Sum in the units of the network's input before the mean is taken off, float64 ``(3, S, S)``, and the number of
        faces, float64; both on the device of ``preprocess``, and both to be added over processes.
    """
    device = preprocess.std.device
    total = torch.zeros(3, preprocess.side, preprocess.side, dtype=torch.float64, device=device)
    count = 0
    for batch in batches:
        images = batch["image"][batch["valid"]].to(device)
        pixels = preprocess(images) * preprocess.std + preprocess.mean
        total += pixels.double().sum(dim=0)
        count += len(images)
        if count >= faces:
            break
    return total, torch.tensor(float(count), dtype=torch.float64, device=device)
