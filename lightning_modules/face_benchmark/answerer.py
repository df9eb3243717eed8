"""Who is asked, by the arguments."""

from __future__ import annotations

from lightning_modules.face_benchmark.asking.contract import Answerer
from lightning_modules.face_benchmark.asking.loading import Loading, rebuild
from lightning_modules.face_benchmark.asking.network import Network
from lightning_modules.face_benchmark.asking.scripted import Scripted
from lightning_modules.face_benchmark.asking.served import Served
from lightning_modules.face_benchmark.asking.tiny import TinySettings, tiny
from lightning_modules.face_benchmark.folders import load_folder
from lightning_modules.face_benchmark.settings import EvaluatorSettings


def answerer_of(settings: EvaluatorSettings) -> Answerer:
    """A script, a server, or a network: from a checkpoint's files, from weights, or a small new one.

    Raises:
        CheckpointError: If weights cannot be read.
        ConfigurationError: If they are of a model that cannot be asked.
    """
    if settings.script is not None:
        return Scripted(settings.script)
    if settings.server is not None:
        return Served(settings.server, settings.max_pixels)
    origin = settings.weights or "a small model with random weights"
    if settings.network_files is not None:
        loaded, origin = rebuild(settings.network_files), "a checkpoint"
    elif settings.weights is not None:
        how = Loading(settings.dtype, settings.device_map, settings.quantisation, settings.attention)
        loaded = load_folder(settings.weights, how)
    else:
        loaded = tiny(settings.tiny or TinySettings())
    return Network(loaded, settings.min_pixels, settings.max_pixels, origin)
