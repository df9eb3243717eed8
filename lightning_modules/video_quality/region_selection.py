"""QRS, quality-aware region selection: which 7 x 7 window of fragments decides how a video looks."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.perturbed_topk import PerturbedTopK, check_no_nan


class RegionSelection(NamedTuple):
    """The chosen window and how it was chosen.

    Shape:
        - region: ``(B, 3, T, window * fs, window * fs)``, the fragments of the window, dtype of the fragments.
        - candidate_scores: ``(B, N_t, C)`` in [0, 1], min-max normalised over the candidates of a key frame.
        - indicator: ``(B, N_t, C)``, non-negative, sums to 1; soft in training, one-hot in evaluation.
        - index: ``(B, N_t)`` int64, the best candidate as row * side + column, with side = g - window + 1, C = side**2.
    """

    region: Tensor
    candidate_scores: Tensor
    indicator: Tensor
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which has no use here


def importance_map(class_token: Tensor, patch_tokens: Tensor) -> Tensor:
    """Cosine of the class token with each patch token, computed in at least float32.

    Args:
        class_token: ``(N, D)``.
        patch_tokens: ``(N, P, D)``.

    Returns:
        ``(N, P)`` in [-1, 1].

    Example:
        >>> importance_map(torch.tensor([[1.0, 0.0]]), torch.tensor([[[2.0, 0.0], [0.0, 1.0]]])).round(decimals=4)
        tensor([[1., 0.]])

    References:
        Lu et al., "KVQ: Kwai Video Quality Assessment for Short-form Videos", CVPR 2024.
    """
    dtype = torch.promote_types(torch.promote_types(class_token.dtype, patch_tokens.dtype), torch.float32)
    return F.cosine_similarity(class_token.to(dtype).unsqueeze(1), patch_tokens.to(dtype), dim=-1)


class QualityAwareRegionSelection(nn.Module):
    """Aggregate importance over windows of fragments, then select one window per key frame.

    The importance map is resized to the grid with nearest neighbours, averaged over each ``window x window`` window at
    stride 1, and min-max normalised over the candidates. In training the result is the sum of all windows weighted by
    the perturbed top-1; it is accumulated over shifted views, so that it costs the memory of one window. In evaluation
    it is a plain crop.

    Args:
        grid_size: Fragments per side of the input, g. At least ``window``.
        window: Fragments per side of the selection.
        fragment_size: Pixels per side of a fragment, fs.
        num_samples: Noise vectors per key frame in training.
        sigma: Standard deviation of the noise, in units of the normalised scores.
        antithetic: Use each noise vector with both signs.
        baseline: Subtract the mean of the other samples in the gradient.
        enabled: Without it the central window is taken, and the importance gets no gradient.
        generator: Source of the seed of the noise; that of ``topk`` may be set at any time.

    Raises:
        ConfigurationError: If an argument is out of range.

    Example:
        >>> select = QualityAwareRegionSelection(grid_size=3, window=2, fragment_size=4).eval()
        >>> importance = torch.tensor([[[[0.0, 0.1, 0.9], [0.0, 0.0, 0.8], [0.0, 0.0, 0.0]]]])
        >>> selection = select(torch.rand(1, 3, 2, 12, 12), importance, torch.zeros(2, dtype=torch.int64))
        >>> selection.region.shape, selection.index
        (torch.Size([1, 3, 2, 8, 8]), tensor([[1]]))

    References:
        Lu et al., "KVQ: Kwai Video Quality Assessment for Short-form Videos", CVPR 2024;
        Wang et al., "Efficient Video Transformers with Spatial-Temporal Token Selection", ECCV 2022.
    """

    def __init__(
        self,
        grid_size: int = 9,
        window: int = 7,
        fragment_size: int = 32,
        *,
        num_samples: int = 500,
        sigma: float = 0.5,
        antithetic: bool = True,
        baseline: bool = True,
        enabled: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if window < 1 or fragment_size < 1:
            raise ConfigurationError(
                f"window is {window} and fragment_size is {fragment_size}, but both count from 1: raise them."
            )
        if grid_size < window:
            raise ConfigurationError(
                f"grid_size is {grid_size}, but a window of {window} x {window} fragments needs a grid of at least "
                f"{window}: raise grid_size."
            )
        if num_samples < 1 or not sigma > 0:
            raise ConfigurationError(
                f"num_samples is {num_samples} and sigma is {sigma}, but the perturbed top-1 needs at least 1 sample "
                "and a scale above 0: raise them."
            )
        self.grid_size = grid_size
        self.window = window
        self.fragment_size = fragment_size
        self.enabled = enabled
        self.topk = PerturbedTopK(
            1, num_samples=num_samples, sigma=sigma, antithetic=antithetic, baseline=baseline, generator=generator
        )

    @property
    def side(self) -> int:
        """Positions of the window along one axis; there are ``side**2`` candidates."""
        return self.grid_size - self.window + 1

    @property
    def central(self) -> int:
        """Index of the central window (of the upper left one of the four in the middle when ``side`` is even)."""
        middle = (self.side - 1) // 2
        return middle * self.side + middle

    def candidate_scores(self, importance: Tensor) -> Tensor:
        """Score the windows of importance maps ``(B, N_t, h, w)``: ``(B, N_t, C)`` in [0, 1], at least float32."""
        importance = importance.to(torch.promote_types(importance.dtype, torch.float32))
        grid = F.interpolate(importance, size=(self.grid_size, self.grid_size), mode="nearest")
        scores = F.avg_pool2d(grid, self.window, stride=1).flatten(2)
        low = scores.amin(dim=-1, keepdim=True)
        high = scores.amax(dim=-1, keepdim=True)
        return (scores - low) / (high - low + 1e-5)

    def forward(self, fragments: Tensor, importance: Tensor, frame_group: Tensor) -> RegionSelection:
        """Select one window of fragments for each key frame and take it from the frames of its group.

        Args:
            fragments: ``(B, 3, T, g * fs, g * fs)``, floating point.
            importance: ``(B, N_t, h, w)``, floating point, of any size.
            frame_group: ``(T,)`` int64 in [0, N_t), the key frame that speaks for each frame.

        Returns:
            The region and the scores behind it.

        Raises:
            ConfigurationError: If the fragments are not of the size that the grid asks for, or the groups do not
                fit the frames or the key frames.
            ScoresError: If the importance holds NaN.
        """
        self._check(fragments, importance, frame_group)
        scores = self.candidate_scores(importance)
        if not self.enabled or self.side == 1:
            scores = scores.detach()
            check_no_nan(scores)
            index = torch.full(scores.shape[:2], self.central, dtype=torch.int64, device=scores.device)
            indicator = F.one_hot(index, self.side**2).to(scores.dtype)
            return RegionSelection(self._crop(fragments, indicator, index, frame_group), scores, indicator, index)
        indicator = self.topk(scores).squeeze(-2)
        if self.training:
            region = self._mix(fragments, indicator, frame_group)
            return RegionSelection(region, scores, indicator, scores.detach().argmax(dim=-1))
        index = indicator.argmax(dim=-1)
        return RegionSelection(self._crop(fragments, indicator, index, frame_group), scores, indicator, index)

    def extra_repr(self) -> str:
        """Return the settings for ``repr``."""
        return (
            f"grid_size={self.grid_size}, window={self.window}, fragment_size={self.fragment_size}, "
            f"enabled={self.enabled}"
        )

    def _check(self, fragments: Tensor, importance: Tensor, frame_group: Tensor) -> None:
        pixels = self.grid_size * self.fragment_size
        if fragments.dim() != 5 or fragments.shape[-2:] != (pixels, pixels):
            raise ConfigurationError(
                f"The fragments have shape {tuple(fragments.shape)}, but grid_size {self.grid_size} and fragment_size "
                f"{self.fragment_size} need (B, 3, T, {pixels}, {pixels}): give data and model the same grid."
            )
        if importance.dim() != 4 or importance.shape[0] != fragments.shape[0]:
            raise ConfigurationError(
                f"The importance has shape {tuple(importance.shape)}, but {fragments.shape[0]} clips need "
                f"({fragments.shape[0]}, N_t, h, w): give one map per clip and key frame."
            )
        if frame_group.shape != fragments.shape[2:3]:
            raise ConfigurationError(
                f"frame_group has shape {tuple(frame_group.shape)}, but {fragments.shape[2]} frames need "
                f"({fragments.shape[2]},): name the key frame of each frame."
            )
        count = importance.shape[1]
        # A graph that is being exported cannot branch on values.
        if not torch.compiler.is_compiling() and bool(((frame_group < 0) | (frame_group >= count)).any()):
            raise ConfigurationError(
                f"frame_group names key frames {int(frame_group.min())} to {int(frame_group.max())}, but the importance"
                f" has {count}, counted from 0: give a map for each key frame."
            )

    def _mix(self, fragments: Tensor, indicator: Tensor, frame_group: Tensor) -> Tensor:
        """Sum the windows with the indicator ``(B, N_t, C)`` of each frame's group as weights."""
        weights = indicator.index_select(1, frame_group).to(fragments.dtype)
        size, step = self.window * self.fragment_size, self.fragment_size
        return cast(Tensor, _WindowMixture.apply(fragments, weights, size, step))

    def _crop(self, fragments: Tensor, indicator: Tensor, index: Tensor, frame_group: Tensor) -> Tensor:
        """Take window ``index`` ``(B, N_t)`` of each frame's group."""
        if self.side == 1:
            return fragments
        if fragments.requires_grad and torch.is_grad_enabled():
            # The gradient of the indexing below would be as large as all windows together.
            return self._mix(fragments, indicator.detach(), frame_group)
        size, step = self.window * self.fragment_size, self.fragment_size
        windows = fragments.unfold(3, size, step).unfold(4, size, step)  # a view: it takes no memory
        batch, channels, frames = fragments.shape[:3]
        device = fragments.device
        chosen = index.index_select(1, frame_group).unsqueeze(1)
        return windows[
            torch.arange(batch, device=device).view(-1, 1, 1),
            torch.arange(channels, device=device).view(1, -1, 1),
            torch.arange(frames, device=device).view(1, 1, -1),
            torch.div(chosen, self.side, rounding_mode="floor"),
            chosen % self.side,
        ]


class _WindowMixture(torch.autograd.Function):
    """Weighted sum of all windows, one shifted view at a time, in the memory of one window.

    Fragments ``(B, 3, T, S, S)`` and weights ``(B, T, side**2)`` give ``(B, 3, T, size, size)``.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, fragments: Tensor, weights: Tensor, size: int, step: int) -> Tensor:
        context = cast(_Context, ctx)
        context.save_for_backward(fragments, weights)
        context.size, context.step = size, step
        mixture = fragments.new_zeros(*fragments.shape[:3], size, size)
        for candidate, view in enumerate(_windows(fragments, size, step)):
            mixture.addcmul_(view, _per_frame(weights, candidate))
        return mixture

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        context = cast(_Context, ctx)
        fragments, weights = context.saved_tensors
        size, step = context.size, context.step
        grad_fragments: Tensor | None = None
        grad_weights: Tensor | None = None
        if context.needs_input_grad[0]:
            grad_fragments = torch.zeros_like(fragments)
            for candidate, view in enumerate(_windows(grad_fragments, size, step)):
                view.addcmul_(grad, _per_frame(weights, candidate))
        if context.needs_input_grad[1]:
            grad_weights = torch.empty_like(weights)
            for candidate, view in enumerate(_windows(fragments, size, step)):
                # Clip by clip, so that the product never takes the memory of a whole batch of windows.
                for clip in range(len(view)):
                    grad_weights[clip, :, candidate] = (grad[clip] * view[clip]).sum(dim=(0, 2, 3))
        return grad_fragments, grad_weights, None, None


class _Context(FunctionCtx):
    """What autograd's context carries here, for the type checker."""

    size: int
    step: int
    needs_input_grad: tuple[bool, ...]
    saved_tensors: tuple[Tensor, ...]


def _windows(fragments: Tensor, size: int, step: int) -> list[Tensor]:
    """List the windows of ``(B, 3, T, S, S)`` as views ``(B, 3, T, size, size)``, row by row."""
    starts = range(0, fragments.shape[-1] - size + 1, step)
    return [fragments[..., y : y + size, x : x + size] for y in starts for x in starts]


def _per_frame(weights: Tensor, candidate: int) -> Tensor:
    """Broadcast the weights of one candidate, ``(B, T, C)``, over channels and pixels: ``(B, 1, T, 1, 1)``."""
    return weights[:, None, :, candidate, None, None]
