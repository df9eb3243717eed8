from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from datamodules.common.errors import AppraiseError, ConfigurationError
from lightning_modules.nn import perturbed_topk as room
from lightning_modules.nn.perturbed_topk import Perturbation, PerturbedTopK, ScoresError, hard_topk, perturbed_topk
from tests.lightning_modules.memory import LargestTensor

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")],
    ),
]
WAYS = (False, True)
MODES = [{"antithetic": antithetic, "baseline": baseline} for antithetic in WAYS for baseline in WAYS]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Thousands of small operations wait for each other's threads on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def expected_topk(scores: Tensor, k: int, sigma: float) -> Tensor:
    """Exact expectation ``(k, d)`` by quadrature over the k-th largest noisy score, one integral per subset."""
    d = len(scores)
    u = torch.linspace(float(scores.min()) - 9 * sigma, float(scores.max()) + 9 * sigma, 1001, dtype=torch.float64)
    z = (u - scores[:, None]) / sigma
    density = torch.exp(-(z**2) / 2) / (sigma * math.sqrt(2 * math.pi))
    below = torch.special.ndtr(z)
    above = torch.special.ndtr(-z)
    result = scores.new_zeros(k, d)
    for subset in itertools.combinations(range(d), k):
        others = [i for i in range(d) if i not in subset]
        rest = below[others].prod(0)
        inside = sum(density[m] * above[[i for i in subset if i != m]].prod(0) for m in subset)
        probability = torch.trapezoid(inside * rest, u)
        result[range(k), list(subset)] += probability
    return result


def central_differences(function: Callable[[Tensor], Tensor], x: Tensor, step: float = 1e-4) -> Tensor:
    gradient = torch.empty_like(x)
    for i in range(len(x)):
        shift = torch.zeros_like(x)
        shift[i] = step
        gradient[i] = (function(x + shift) - function(x - shift)) / (2 * step)
    return gradient


def gradient_of(scores: Tensor, grad: Tensor, k: int, **options: object) -> Tensor:
    leaf = scores.clone().requires_grad_()
    return torch.autograd.grad(perturbed_topk(leaf, k, **options), leaf, grad)[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_gradient_points_along_the_central_differences_of_the_expectation(
    k: int, mode: dict[str, bool], device: str
) -> None:
    d, sigma = 9, 0.5
    draw = generator(7)
    scores = torch.rand(d, generator=draw, dtype=torch.float64)
    grad = torch.randn(k, d, generator=draw, dtype=torch.float64)
    exact = central_differences(lambda x: (expected_topk(x, k, sigma) * grad).sum(), scores)
    found = gradient_of(
        scores.to(device), grad.to(device), k, num_samples=400_000, sigma=sigma, generator=generator(1), **mode
    ).cpu()
    assert F.cosine_similarity(found, exact, dim=0) >= 0.999
    assert found.norm() == pytest.approx(float(exact.norm()), rel=0.05)


def test_the_widely_copied_diagonal_gradient_fails_the_check_above() -> None:
    d, sigma, n = 9, 0.5, 400_000
    draw = generator(7)
    scores = torch.rand(d, generator=draw, dtype=torch.float64)
    grad = torch.randn(1, d, generator=draw, dtype=torch.float64)
    exact = central_differences(lambda x: (expected_topk(x, 1, sigma) * grad).sum(), scores)
    noise = torch.randn(n, d, generator=draw, dtype=torch.float64)
    hot = F.one_hot((scores + sigma * noise).argmax(-1), d)
    diagonal = (hot * noise).mean(0) / sigma * grad[0]
    assert F.cosine_similarity(diagonal, exact, dim=0) < 0.95


@pytest.mark.parametrize("k", [1, 3])
def test_output_is_the_expectation(k: int) -> None:
    scores = torch.rand(9, generator=generator(3), dtype=torch.float64)
    found = perturbed_topk(scores, k, num_samples=200_000, sigma=0.5, generator=generator(4))
    torch.testing.assert_close(found, expected_topk(scores, k, 0.5), atol=5e-3, rtol=0)


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_two_scores_have_the_probability_and_the_slope_of_a_normal(mode: dict[str, bool]) -> None:
    sigma, difference = 0.7, 0.4
    scores = torch.tensor([difference, 0.0], dtype=torch.float64, requires_grad=True)
    out = perturbed_topk(scores, 1, num_samples=400_000, sigma=sigma, generator=generator(), **mode)
    argument = difference / (sigma * math.sqrt(2))
    assert out[0, 0].item() == pytest.approx(0.5 * math.erfc(-argument / math.sqrt(2)), abs=3e-3)
    out[0, 0].backward()
    slope = math.exp(-(argument**2) / 2) / math.sqrt(2 * math.pi) / (sigma * math.sqrt(2))
    assert scores.grad is not None
    assert scores.grad.tolist() == pytest.approx([slope, -slope], abs=1e-2)


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("num_samples", [4, 5])
def test_gradient_is_unbiased_for_few_samples(num_samples: int, mode: dict[str, bool]) -> None:
    rows, d, k, sigma = 200_000, 4, 2, 0.5
    scores = torch.tensor([0.2, 0.0, 0.5, 0.3], dtype=torch.float64)
    grad = torch.tensor([[1.0, 2.0, 0.0, 3.0], [0.5, 4.0, 1.0, 2.0]], dtype=torch.float64)
    exact = central_differences(lambda x: (expected_topk(x, k, sigma) * grad).sum(), scores)
    each = gradient_of(
        scores.expand(rows, d),
        grad.expand(rows, k, d),
        k,
        num_samples=num_samples,
        sigma=sigma,
        generator=generator(),
        **mode,
    )
    error = each.std(dim=0) / math.sqrt(rows)
    assert ((each.mean(0) - exact).abs() < 5 * error).all()


def test_baseline_and_antithetic_pairs_lower_the_variance() -> None:
    scores = torch.tensor([0.2, 0.0, 0.5, 0.3]).expand(5000, 4)
    grad = 3 + torch.rand(5000, 1, 4, generator=generator(2))

    def spread(**options: bool) -> float:
        found = gradient_of(scores, grad, 1, num_samples=20, sigma=0.5, generator=generator(), **options)
        return float(found.var(0).mean())

    plain = spread()
    assert spread(baseline=True) < plain / 5
    assert spread(antithetic=True) < plain / 5


def dense(scores: Tensor, grad: Tensor, noise: Tensor, k: int, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
    """Output, ``<G, Y_n>`` and nothing clever: the one-hot formulation on given noise ``(rows, samples, d)``."""
    chosen = (scores[:, None] + sigma * noise).topk(k, sorted=False).indices.sort(-1).values
    hot = F.one_hot(chosen, scores.shape[-1]).to(scores.dtype)
    return hot.mean(1), torch.einsum("bskd,bkd->bs", hot, grad), noise


@pytest.mark.parametrize("chunk", [1, 100, 1 << 17])
@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize(("num_samples", "k"), [(1, 2), (6, 1), (7, 3), (7, 6)])
def test_equals_the_dense_formulation_on_the_same_noise(
    num_samples: int, k: int, mode: dict[str, bool], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CHUNK_CPU", chunk)
    rows, d, sigma = 3, 7, 0.5
    scores = torch.rand(rows, d, generator=generator(5), dtype=torch.float64)
    grad = torch.randn(rows, k, d, generator=generator(6), dtype=torch.float64)
    seed = int(torch.randint(1 << 62, (), generator=generator(9)))
    antithetic, baseline = mode["antithetic"], mode["baseline"]
    plan = Perturbation(k, num_samples, sigma, seed, antithetic, baseline)
    noise = torch.cat([part for _, part in plan.noise(rows, scores)], dim=1)
    if antithetic:
        noise = torch.cat([noise, -noise[:, : num_samples // 2]], dim=1)
    output, products, noise = dense(scores, grad, noise, k, sigma)
    if baseline and not antithetic and num_samples > 1:
        others = (products.sum(1, keepdim=True) - products) / (num_samples - 1)
        products = products - others
    if baseline and antithetic and num_samples % 2 and num_samples > 1:
        odd = num_samples // 2  # the one draw without a partner
        others = (products.sum(1) - products[:, odd]) / (num_samples - 1)
        products[:, odd] -= others
    expected = torch.einsum("bs,bsd->bd", products, noise) / (num_samples * sigma)

    leaf = scores.clone().requires_grad_()
    found = perturbed_topk(leaf, k, num_samples=num_samples, sigma=sigma, generator=generator(9), **mode)
    torch.testing.assert_close(found.detach(), output)
    found.backward(grad)
    torch.testing.assert_close(leaf.grad, expected)


@pytest.mark.parametrize("k", [1, 20, 39])
def test_no_tensor_of_samples_by_k_by_d(k: int) -> None:
    rows, d, samples = 2, 40, 400
    scores = torch.rand(rows, d, requires_grad=True)
    with LargestTensor() as largest:
        perturbed_topk(scores, k, num_samples=samples, sigma=0.5).square().sum().backward()
    assert largest.elements <= rows * samples * d


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_rows_are_distributions_in_order_of_position(data: st.DataObject) -> None:
    d = data.draw(st.integers(1, 12))
    k = data.draw(st.integers(1, d))
    values = data.draw(st.lists(st.floats(-5, 5, width=32), min_size=d, max_size=d))
    found = perturbed_topk(
        torch.tensor(values, dtype=torch.float64),
        k,
        num_samples=data.draw(st.integers(1, 40)),
        sigma=data.draw(st.floats(0.01, 3)),
        generator=generator(data.draw(st.integers(0, 1000))),
        antithetic=data.draw(st.booleans()),
    )
    assert found.shape == (k, d)
    assert (found >= 0).all()
    torch.testing.assert_close(found.sum(-1), torch.ones(k, dtype=torch.float64))
    assert (found.sum(0) <= 1 + 1e-9).all()  # a position is chosen once per sample
    reached = found.cumsum(-1)
    assert (reached[:-1] >= reached[1:] - 1e-9).all()  # row r never lies behind row r + 1
    for row in range(k):
        assert found[row, :row].sum() == 0
        assert found[row, d - k + row + 1 :].sum() == 0


def distinct_scores(data: st.DataObject, d: int) -> Tensor:
    order = data.draw(st.permutations(range(d)))
    return torch.tensor(order, dtype=torch.float64)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_small_noise_gives_the_hard_topk(data: st.DataObject) -> None:
    d = data.draw(st.integers(1, 12))
    k = data.draw(st.integers(1, d))
    scores = distinct_scores(data, d)
    soft = perturbed_topk(scores, k, num_samples=20, sigma=1e-3, antithetic=data.draw(st.booleans()))
    assert torch.equal(soft, hard_topk(scores, k))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_hard_topk_follows_a_permutation_of_the_scores(data: st.DataObject) -> None:
    d = data.draw(st.integers(1, 12))
    k = data.draw(st.integers(1, d))
    scores = distinct_scores(data, d)
    order = torch.tensor(data.draw(st.permutations(range(d))))
    assert torch.equal(hard_topk(scores[order], k).sum(0), hard_topk(scores, k).sum(0)[order])
    positions = hard_topk(scores[order], k).argmax(-1)
    assert (positions.diff() > 0).all()


def test_inclusion_follows_a_permutation_of_the_scores() -> None:
    scores = torch.rand(6, generator=generator(1), dtype=torch.float64)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    options = {"num_samples": 100_000, "sigma": 0.5}
    moved = perturbed_topk(scores[order], 2, generator=generator(), **options)  # type: ignore[arg-type]
    still = perturbed_topk(scores, 2, generator=generator(), **options)  # type: ignore[arg-type]
    torch.testing.assert_close(moved.sum(0), still.sum(0)[order], atol=1e-2, rtol=0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("k", [1, 3])
def test_dtypes(dtype: torch.dtype, k: int, device: str) -> None:
    scores = torch.rand(2, 5, 8, generator=generator(1)).to(device, dtype).requires_grad_()
    out = perturbed_topk(scores, k, num_samples=50, sigma=0.5, generator=generator())
    assert out.dtype == dtype
    assert out.shape == (2, 5, k, 8)
    out.backward(torch.rand(out.shape, generator=generator(2)).to(device, dtype))
    assert scores.grad is not None
    assert scores.grad.dtype == dtype
    # Half precision only rounds the input and the result: the noise and the ranking are those of float32.
    if dtype in (torch.float16, torch.bfloat16):
        wide = perturbed_topk(scores.detach().float(), k, num_samples=50, sigma=0.5, generator=generator())
        assert torch.equal(out, wide.to(dtype))


@pytest.mark.parametrize("device", DEVICES)
def test_autocast_changes_nothing(device: str) -> None:
    scores = torch.rand(4, 9, generator=generator(1)).to(device)
    grad = torch.rand(4, 3, 9, generator=generator(2)).to(device)
    plain = gradient_of(scores, grad, 3, num_samples=200, sigma=0.5, generator=generator())
    with torch.autocast(device, dtype=torch.bfloat16):
        cast = gradient_of(scores, grad, 3, num_samples=200, sigma=0.5, generator=generator())
    assert torch.equal(plain, cast)


@pytest.mark.parametrize("device", DEVICES)
def test_one_generator_state_gives_one_result(device: str) -> None:
    scores = torch.rand(4, 9, generator=generator(1)).to(device)
    grad = torch.rand(4, 3, 9, generator=generator(2)).to(device)
    source = generator(3)

    def run() -> tuple[Tensor, Tensor]:
        out = perturbed_topk(scores, 3, num_samples=50, sigma=0.5, generator=source)
        return out, gradient_of(scores, grad, 3, num_samples=50, sigma=0.5, generator=source)

    first, again = run(), run()
    assert not torch.equal(first[0], again[0])  # the generator moved on
    source.manual_seed(3)
    repeat = run()
    assert torch.equal(first[0], repeat[0])
    assert torch.equal(first[1], repeat[1])


def test_the_global_seed_serves_without_a_generator() -> None:
    scores = torch.rand(9)
    torch.manual_seed(5)
    first = perturbed_topk(scores, 2, num_samples=20, sigma=0.5)
    torch.manual_seed(5)
    assert torch.equal(first, perturbed_topk(scores, 2, num_samples=20, sigma=0.5))


def test_any_layout_and_no_rows() -> None:
    scores = torch.rand(6, 4, generator=generator(1))
    turned = perturbed_topk(scores.T, 2, num_samples=20, sigma=0.5, generator=generator())
    straight = perturbed_topk(scores.T.contiguous(), 2, num_samples=20, sigma=0.5, generator=generator())
    assert torch.equal(turned, straight)
    empty = torch.zeros(0, 4, requires_grad=True)
    perturbed_topk(empty, 2, num_samples=3, sigma=0.5).sum().backward()
    assert empty.grad is not None


def test_all_positions_are_a_constant() -> None:
    scores = torch.rand(2, 4, requires_grad=True)
    out = perturbed_topk(scores, 4, num_samples=10, sigma=0.5)
    assert torch.equal(out, torch.eye(4).expand(2, 4, 4))
    out.square().sum().backward()
    assert torch.equal(scores.grad, torch.zeros(2, 4))


def test_infinite_scores_are_always_and_never_chosen() -> None:
    scores = torch.tensor([-math.inf, 0.0, math.inf, 0.1], requires_grad=True)
    out = perturbed_topk(scores, 2, num_samples=50, sigma=0.5)
    assert out.sum(0)[0] == 0
    assert out.sum(0)[2] == 1
    (out * torch.rand(2, 4)).sum().backward()
    assert scores.grad.isfinite().all()


def test_ties_choose_exactly_k() -> None:
    assert torch.equal(hard_topk(torch.zeros(5), 2).argmax(-1), torch.tensor([0, 1]))
    rows = 1e8 * torch.tensor([[1.0, 2.0, 2.0, 3.0, 2.0], [5.0, 1.0, 4.0, 2.0, 3.0], [1.0, 1.0, 1.0, 1.0, 1.0]])
    for k, positions in ((2, [[1, 3], [0, 2], [0, 1]]), (3, [[1, 2, 3], [0, 2, 4], [0, 1, 2]])):
        soft = perturbed_topk(rows, k, num_samples=5, sigma=1e-3)  # the noise is lost in the rounding
        assert torch.equal(soft, F.one_hot(torch.tensor(positions), 5).float())


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: perturbed_topk(torch.rand(3), 4, num_samples=5, sigma=1.0), ConfigurationError, "k is 4"),
        (lambda: perturbed_topk(torch.rand(3), 0, num_samples=5, sigma=1.0), ConfigurationError, "k is 0"),
        (lambda: perturbed_topk(torch.rand(3), 1, num_samples=0, sigma=1.0), ConfigurationError, "num_samples is 0"),
        (lambda: perturbed_topk(torch.rand(3), 1, num_samples=5, sigma=0.0), ConfigurationError, "sigma is 0.0"),
        (lambda: perturbed_topk(torch.rand(3), 1, num_samples=5, sigma=math.nan), ConfigurationError, "sigma is nan"),
        (lambda: perturbed_topk(torch.tensor([0.0, math.nan]), 1, num_samples=5, sigma=1.0), ScoresError, "NaN"),
        (lambda: perturbed_topk(torch.tensor(1.0), 1, num_samples=5, sigma=1.0), ScoresError, "shape"),
        (lambda: perturbed_topk(torch.tensor([1, 2]), 1, num_samples=5, sigma=1.0), ScoresError, "int64"),
        (lambda: hard_topk(torch.tensor([0.0, math.nan]), 1), ScoresError, "NaN"),
        (lambda: hard_topk(torch.rand(3), 4), ConfigurationError, "k is 4"),
        (lambda: PerturbedTopK(0), ConfigurationError, "k is 0"),
        (lambda: PerturbedTopK(1, num_samples=0), ConfigurationError, "num_samples is 0"),
        (lambda: PerturbedTopK(1, sigma=-1.0), ConfigurationError, "sigma is -1.0"),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], error: type[AppraiseError], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_module_is_soft_in_training_and_hard_in_evaluation() -> None:
    scores = torch.rand(2, 9, requires_grad=True)
    topk = PerturbedTopK(3, num_samples=20, sigma=0.5, antithetic=True, baseline=True)
    topk.generator = generator(1)
    soft = topk(scores)
    expected = perturbed_topk(scores, 3, num_samples=20, sigma=0.5, generator=generator(1), antithetic=True)
    assert torch.equal(soft, expected)
    hard = topk.eval()(scores)
    assert torch.equal(hard, hard_topk(scores, 3))
    assert not hard.requires_grad
    assert "num_samples=20" in repr(topk)
    twin = copy.deepcopy(topk).train()  # weight averaging copies modules
    assert torch.equal(twin(scores), topk.train()(scores))
