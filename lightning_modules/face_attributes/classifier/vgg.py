"""VGG with the layer names of VGG-Face, of any depth and width, with or without batch norm."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import cast

from torch import Tensor, nn

from datamodules.common.errors import ConfigurationError


@dataclass(frozen=True)
class VGGSettings:
    """Shape of a VGG.

    Attributes:
        widths: Channels of each stage; a pooling by two ends each.
        depths: Convolutions of each stage.
        fully: Widths of the fully connected layers, named fc6, fc7 and so on whatever the number of stages.
        norm: Whether a batch norm follows each convolution and fully connected layer.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512, 512)
    depths: tuple[int, ...] = (2, 2, 3, 3, 3)
    fully: tuple[int, ...] = (4096, 4096)
    norm: bool = False


VGG16 = VGGSettings()
# For faces of 64 pixels on a CPU: the last maps are 4 x 4.
SMALL = VGGSettings(widths=(16, 40, 80, 128), depths=(1, 1, 1, 2), fully=(512,), norm=True)
FIRST_FULLY = 6


class VGG(nn.Module):
    """Convolutions, poolings and fully connected layers up to the last ReLU; the heads are not part of it.

    Its layers, in forward order, are named as in VGG-Face: ``conv1_1``, ``relu1_1``, ..., ``pool1``, ..., ``fc6``,
    ``relu6``, ``fc7``, ``relu7``. Those named conv and fc are what their ReLU takes: with batch norm, the output of
    the norm behind the convolution. No operation works in place, so that every layer can be kept.

    Shape:
        - x: ``(B, 3, S, S)``, normalised.
        - returns: ``(B, num_features)``, behind the last ReLU.

    Args:
        settings: Depths and widths.
        image_size: S in pixels.
        dropout: Share of the values that training sets to zero behind each fully connected layer.
        dropout_everywhere: Also behind each convolution (Cate, Dalvi, Hussain 2016, section 6).

    Raises:
        ConfigurationError: If the settings contradict each other, or the images are too small for the poolings.

    Example:
        >>> import torch
        >>> network = VGG(VGGSettings((4, 8), (1, 1), (16,)), image_size=8)
        >>> network.layers
        ['conv1_1', 'relu1_1', 'pool1', 'conv2_1', 'relu2_1', 'pool2', 'fc6', 'relu6']
        >>> network(torch.zeros(2, 3, 8, 8)).shape
        torch.Size([2, 16])

    References:
        Simonyan and Zisserman, ICLR 2015; Parkhi et al., "Deep Face Recognition", BMVC 2015.
    """

    def __init__(
        self,
        settings: VGGSettings = VGG16,
        image_size: int = 224,
        dropout: float = 0.5,
        dropout_everywhere: bool = False,
    ) -> None:
        super().__init__()
        _check(settings, image_size)
        self.settings = settings
        self.image_size = image_size
        self.steps: list[tuple[str, str | None]] = []  # module, and the layer that its output is
        self._flat_from = f"fc{FIRST_FULLY}"
        channels = 3
        for stage, (width, depth) in enumerate(zip(settings.widths, settings.depths, strict=True), start=1):
            for number in range(1, depth + 1):
                layer = nn.Conv2d(channels, width, 3, padding=1)
                self._add_unit("conv", f"{stage}_{number}", layer, dropout if dropout_everywhere else 0.0)
                channels = width
            self._add(f"pool{stage}", nn.MaxPool2d(2), f"pool{stage}")
        features = channels * (image_size // 2 ** len(settings.widths)) ** 2
        for number, width in enumerate(settings.fully, start=FIRST_FULLY):
            self._add_unit("fc", str(number), nn.Linear(features, width), dropout)
            features = width
        self.num_features = features
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(cast(Tensor, module.bias))

    def _add_unit(self, kind: str, number: str, layer: nn.Conv2d | nn.Linear, dropout: float) -> None:
        """Add a layer with its batch norm, ReLU and dropout; each name ends in ``number``."""
        name = f"{kind}{number}"
        if self.settings.norm:
            self._add(name, layer, None)
            norm = nn.BatchNorm2d if isinstance(layer, nn.Conv2d) else nn.BatchNorm1d
            self._add(f"norm{number}", norm(layer.weight.shape[0]), name)
        else:
            self._add(name, layer, name)
        self._add(f"relu{number}", nn.ReLU(), f"relu{number}")
        if dropout > 0:
            self._add(f"dropout{number}", nn.Dropout(dropout), None)

    def _add(self, name: str, module: nn.Module, layer: str | None) -> None:
        self.add_module(name, module)
        self.steps.append((name, layer))

    @property
    def layers(self) -> list[str]:
        """Names of the layers in forward order."""
        return [layer for _, layer in self.steps if layer is not None]

    def _outputs(self, x: Tensor) -> Iterator[tuple[str | None, Tensor]]:
        """Layer and output of each step, computed as it is asked for."""
        for name, layer in self.steps:
            x = getattr(self, name)(x.flatten(1) if name == self._flat_from else x)
            yield layer, x

    def activations(self, x: Tensor, wanted: Collection[str]) -> dict[str, Tensor]:
        """Outputs of some layers of normalised images, without computing anything above the deepest of them."""
        found: dict[str, Tensor] = {}
        for layer, output in self._outputs(x):
            if layer in wanted:
                found[cast(str, layer)] = output
                if len(found) == len(set(wanted)):
                    break
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Features ``(B, num_features)`` of normalised images ``(B, 3, S, S)``."""
        features = x
        for _, output in self._outputs(x):
            features = output
        return features.flatten(1)


def vgg16(image_size: int = 224, dropout: float = 0.5, dropout_everywhere: bool = False) -> VGG:
    """The network of VGG-Face up to fc7: 13 convolutions, two fully connected layers of 4096."""
    return VGG(VGG16, image_size, dropout, dropout_everywhere)


def small_vgg(image_size: int = 64, dropout: float = 0.0) -> VGG:
    """A VGG of batch norms for faces of 64 pixels, small enough to learn on a CPU within minutes."""
    return VGG(SMALL, image_size, dropout)


def _check(settings: VGGSettings, image_size: int) -> None:
    numbers = (*settings.widths, *settings.depths, *settings.fully)
    if not settings.widths or len(settings.widths) != len(settings.depths) or min(numbers) < 1:
        raise ConfigurationError(
            f"A VGG cannot have widths {settings.widths}, depths {settings.depths} and fully connected layers "
            f"{settings.fully}: give one positive width and depth a stage."
        )
    smallest = 2 ** len(settings.widths)
    if image_size < smallest:
        raise ConfigurationError(
            f"image_size is {image_size}, but a VGG of {len(settings.widths)} stages halves its maps as often: use at "
            f"least {smallest} pixels or fewer stages."
        )
