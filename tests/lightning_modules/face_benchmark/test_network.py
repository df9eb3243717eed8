"""A network that is asked in batches: each answer is what it would be alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from datamodules.common.errors import CheckpointError, ConfigurationError
from lightning_modules.face_benchmark.asking.encoding import IGNORED, encode, with_answers
from lightning_modules.face_benchmark.asking.letters import LetterTokens
from lightning_modules.face_benchmark.asking.loading import Loading, load, rebuild
from lightning_modules.face_benchmark.asking.network import Network
from lightning_modules.face_benchmark.asking.tiny import TinySettings, tiny
from lightning_modules.face_benchmark.folders import load_folder, save_network
from tests.lightning_modules.face_benchmark.questions import asked


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(tiny(TinySettings()), None, None, "tiny")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, network: Network) -> Path:
    place = tmp_path_factory.mktemp("model")
    save_network(network, place)
    return place


def test_it_is_small_and_the_same_seed_makes_the_same(network: Network) -> None:
    assert sum(value.numel() for value in network.parameters()) < 50_000
    again = Network(tiny(TinySettings()), None, None, "tiny")
    assert again.facts() == network.facts()
    assert Network(tiny(TinySettings(seed=1)), None, None, "tiny").facts() != network.facts()


@pytest.mark.parametrize("scoring", ["generate", "likelihood"])
def test_a_batch_of_eight_is_eight_batches_of_one(network: Network, scoring: Any) -> None:
    questions = asked(8)
    together = network.answer(questions, scoring, 6)
    for one, alone in zip(together, (network.answer([own], scoring, 6)[0] for own in questions), strict=True):
        assert one._replace(log_probabilities=None) == alone._replace(log_probabilities=None)
        if scoring == "likelihood":
            assert one.log_probabilities == pytest.approx(alone.log_probabilities, abs=1e-4)


def test_padding_stays_on_the_left_after_every_load(folder: Path) -> None:
    loaded = load(str(folder), Loading())
    assert loaded.processor.tokenizer.padding_side == "left"
    loaded.processor.tokenizer.padding_side = "right"
    mask = encode(loaded.processor, asked(3))["attention_mask"]
    assert mask[:, -1].all()
    assert not mask[:, 0].all()


def test_likelihoods_are_those_of_the_next_token(network: Network) -> None:
    """Worked out from plain logits: the letter, or a bracket and the letter."""
    (one,) = asked(1)
    inputs = encode(network.processor, [one])
    tokens = LetterTokens(network.tokenizer, "ABCD")
    with torch.no_grad():
        first = network.network(**inputs).logits[0, -1].log_softmax(0)
        bracket = max(tokens.brackets, key=lambda token: float(first[token]))
        longer = dict(inputs)
        longer["input_ids"] = torch.cat([inputs["input_ids"], torch.tensor([[bracket]])], 1)
        longer["attention_mask"] = torch.ones_like(longer["input_ids"])
        second = network.network(**longer).logits[0, -1].log_softmax(0)
    found = network.answer([one], "likelihood", 1)[0]
    wanted = [
        float(torch.logaddexp(first[own].logsumexp(0), first[bracket] + second[own].logsumexp(0)))
        for own in (tokens.letters[letter] for letter in "ABCD")
    ]
    assert found.log_probabilities == pytest.approx(wanted, abs=1e-4)
    assert found.text == "ABCD"[wanted.index(max(wanted))]


def test_answers_are_taught_and_nothing_else(network: Network) -> None:
    questions = asked(4)
    end = network.tokenizer.eos_token_id
    letters = [network.tokenizer.encode(one.question.letter, add_special_tokens=False) for one in questions]
    inputs = encode(network.processor, questions)
    made = with_answers(inputs, [[*own, end] for own in letters], network.tokenizer.pad_token_id)
    taught = made["labels"] != IGNORED
    assert taught.sum(1).tolist() == [2, 2, 2, 2]
    assert made["input_ids"][taught].tolist() == [token for own in letters for token in (*own, end)]
    assert made["attention_mask"].sum(1).tolist() == (inputs["attention_mask"].sum(1) + 2).tolist()


def test_the_loss_of_a_batch_is_the_mean_of_its_questions(network: Network) -> None:
    questions = asked(6)
    letters = [one.question.letter for one in questions]
    together = network.loss(questions, letters)
    alone = torch.stack([network.loss([one], [own]) for one, own in zip(questions, letters, strict=True)]).mean()
    assert float(together) == pytest.approx(float(alone), abs=1e-5)
    together.backward()
    assert any(value.grad is not None and value.grad.abs().sum() > 0 for value in network.parameters())
    network.zero_grad()


def test_a_folder_and_the_texts_of_a_checkpoint_make_the_same_network(network: Network, folder: Path) -> None:
    questions = asked(4)
    wanted = network.answer(questions, "likelihood", 1)
    assert Network(load_folder(str(folder), Loading()), None, None, "x").answer(questions, "likelihood", 1) == wanted
    rebuilt = Network(rebuild(network.files), None, None, "x")
    rebuilt.load_state_dict(network.state_dict())
    assert rebuilt.answer(questions, "likelihood", 1) == wanted


def test_own_settings_of_generation_are_set_back(network: Network, folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "odd"
    save_network(network, place)
    file = place / "generation_config.json"
    own = {"repetition_penalty": 1.3, "do_sample": True, "temperature": 0.2, "num_beams": 3}
    file.write_text(json.dumps(json.loads(file.read_text()) | own))
    loaded = load(str(place), Loading())
    assert loaded.reset == own
    odd = Network(loaded, None, None, "odd")
    assert odd.answer(asked(2), "generate", 5) == network.answer(asked(2), "generate", 5)
    assert odd.facts()["generation_reset"] == own


class Full:
    """Memory for a few questions at a time."""

    def __init__(self, network: Network, room: int) -> None:
        self.room, self.sizes = room, list[int]()
        self.generate = network.network.generate

    def __call__(self, **given: Any) -> Any:
        size = len(given["input_ids"])
        self.sizes.append(size)
        if size > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.generate(**given)


@pytest.fixture
def full(network: Network, monkeypatch: pytest.MonkeyPatch) -> Iterator[Full]:
    limited = Full(network, 2)
    monkeypatch.setattr(network.network, "generate", limited)
    yield limited
    network._together = None


def test_where_memory_does_not_last_the_batch_is_halved(
    network: Network, full: Full, caplog: pytest.LogCaptureFixture
) -> None:
    questions = asked(8)
    halved = network.answer(questions, "likelihood", 1)
    assert full.sizes == [8, 4, 2, 2, 2, 2]
    assert "2 from now on" in caplog.text
    network.answer(questions, "likelihood", 1)
    assert full.sizes[6:] == [2, 2, 2, 2]
    full.room = 8
    network._together = None
    whole = network.answer(questions, "likelihood", 1)
    assert [one.text for one in halved] == [one.text for one in whole]


def test_one_question_that_does_not_fit_is_an_error(network: Network, full: Full) -> None:
    full.room = 0
    with pytest.raises(torch.OutOfMemoryError):
        network.answer(asked(3), "likelihood", 1)


def test_a_question_longer_than_the_context_is_refused() -> None:
    short = Network(tiny(TinySettings(context=64)), None, None, "short")
    with pytest.raises(ConfigurationError, match=r"question set/\d has \d+ tokens.*more than the 64"):
        short.answer(asked(4), "generate", 8)


def test_pictures_are_made_smaller_and_larger(network: Network) -> None:
    (one,) = asked(1, side=200)
    own = Network(tiny(TinySettings()), None, 1000, "tiny")
    assert own.answer([one], "likelihood", 1) != network.answer([one], "likelihood", 1)
    assert own.facts()["max_pixels"] == 1000


# What cannot be asked.


def test_a_model_without_a_chat_template_is_refused(network: Network, tmp_path: Path) -> None:
    save_network(network, tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    with pytest.raises(ConfigurationError, match="has no chat template"):
        load(str(tmp_path), Loading())


def test_a_processor_without_pictures_is_refused(network: Network, tmp_path: Path) -> None:
    save_network(network, tmp_path)
    (tmp_path / "processor_config.json").unlink()
    with pytest.raises((ConfigurationError, CheckpointError), match=r"reads no pictures|is no model that transformers"):
        load(str(tmp_path), Loading())


def test_a_text_model_is_refused(network: Network, tmp_path: Path) -> None:
    config = LlamaConfig(vocab_size=32, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="is a llama, which is asked no question about pictures"):
        load(str(tmp_path), Loading())


def test_a_folder_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is no model that transformers can read"):
        load(str(tmp_path), Loading())


def test_bits_need_their_library(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="bitsandbytes"):
        load(str(folder), Loading(quantisation="4bit"))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_dtypes(folder: Path, dtype: Any) -> None:
    network = Network(load(str(folder), Loading(dtype=dtype)), None, None, "x")
    assert network.facts()["dtype"] == dtype
    assert len(network.answer(asked(2), "generate", 3)) == 2


def test_a_network_that_is_spread_over_devices_stays_where_it_is(folder: Path) -> None:
    whole = Network(load(str(folder), Loading(device_map="auto")), None, None, "x")
    assert whole.to(torch.float64).facts()["dtype"] == "float64"
    network = Network(load(str(folder), Loading()), None, None, "x")
    network.network.hf_device_map = {"vision_tower": 0, "language_model": 1}
    network.to("meta")
    assert network.device.type == "cpu"


def test_letters_without_tokens_of_their_own_are_refused(network: Network) -> None:
    with pytest.raises(ConfigurationError, match="no token of its own for \u0416"):
        LetterTokens(network.tokenizer, "A\u0416")
