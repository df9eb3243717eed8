"""A server that answers, stalls, fails and cuts connections."""

from __future__ import annotations

from typing import Any

import pytest

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_benchmark.asking.served import Served, ServerError, ServerSettings
from tests.lightning_modules.face_benchmark.chat_server import Behaviour, ChatServer, pictures_of, serving
from tests.lightning_modules.face_benchmark.questions import asked

pytest.importorskip("openai", reason="the extra `served` is not installed")


def client(server: ChatServer, max_pixels: int | None = None, **options: Any) -> Served:
    settings = ServerSettings(base_url=server.address, model="m", timeout=0.5, **{"retries": 2, **options})
    return Served(settings, max_pixels)


def test_questions_and_pictures_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    questions = asked(4)
    with serving() as server:
        found = client(server).answer(questions, "generate", 16)
    assert [one.text for one in found] == ["(B)"] * 4
    assert all((one.tokens_in, one.tokens_out) == (100, 10) for one in found)
    assert set(server.keys) == {"Bearer secret"}
    by_prompt = {request["messages"][0]["content"][-1]["text"]: request for request in server.requests}
    for one in questions:
        request = by_prompt[one.prompt]
        assert request["model"] == "m"
        assert request["temperature"] == 0
        assert request["max_completion_tokens"] == 16
        assert [picture.size[::-1] for picture in pictures_of(request)] == [tuple(p.shape[1:]) for p in one.images]


def test_no_key_is_sent_where_none_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving() as server:
        client(server).answer(asked(1), "generate", 4)
    assert server.keys == ["Bearer none"]


@pytest.mark.parametrize("fault", ["fail", "busy", "cut", "stall"])
def test_what_fails_once_is_asked_again(fault: Behaviour) -> None:
    with serving([fault]) as server:
        (found,) = client(server).answer(asked(1), "generate", 4)
    assert found.text == "(B)"
    assert len(server.requests) == 2


def test_a_question_that_fails_every_time_is_told_and_the_others_are_answered() -> None:
    with serving(["fail"] * 3) as server:
        found = client(server, concurrency=1).answer(asked(3), "generate", 4)
    assert "InternalServerError" in found[0].failed
    assert [one.text for one in found[1:]] == ["(B)", "(B)"]


@pytest.mark.parametrize(
    ("fault", "told"), [("odd", "answers nothing"), ("wrong_key", "AuthenticationError.* OPENAI_API_KEY holds its key")]
)
def test_a_server_that_cannot_be_used_is_an_error(fault: Behaviour, told: str) -> None:
    with serving([fault] * 20) as server, pytest.raises(ServerError, match=told):
        client(server).answer(asked(3), "generate", 4)


def test_questions_that_are_refused_by_what_they_say_do_not_stop_the_others() -> None:
    with serving(["policy"] * 2) as server:
        served = client(server, concurrency=1)
        found = served.answer(asked(2), "generate", 4)
        assert [one.failed.split(":")[0] for one in found] == ["refused", "refused"]
        assert served.answer(asked(1), "generate", 4)[0].text == "(B)"


def test_a_server_that_refuses_all_of_the_first_questions_is_an_error() -> None:
    with serving(["policy"] * 16) as server:
        served = client(server)
        served.answer(asked(8), "generate", 4)
        with pytest.raises(ServerError, match=r"answers nothing \(refused: .*content policy"):
            served.answer(asked(8), "generate", 4)


def test_a_server_that_is_not_there_is_an_error() -> None:
    with serving() as server:
        address = server.address
    settings = ServerSettings(base_url=address, model="m", retries=0, timeout=0.5)
    with pytest.raises(ServerError, match=f"{address} answers nothing .*see that it runs"):
        Served(settings, None).answer(asked(2), "generate", 4)


def test_a_refusal_is_an_answer() -> None:
    with serving(["refuse"]) as server:
        (found,) = client(server).answer(asked(1), "generate", 4)
    assert found.text == "I'm sorry, I can't help with that."
    assert not found.failed


@pytest.mark.parametrize("together", [1, 3])
def test_no_more_questions_are_open_than_are_allowed(together: int) -> None:
    with serving(pause=0.05) as server:
        client(server, concurrency=together).answer(asked(9), "generate", 4)
    assert server.most <= together
    assert len(server.requests) == 9


@pytest.mark.parametrize(
    "limit", [{"max_tokens": 330}, {"max_price": 0.0036, "price_in": 10.0, "price_out": 20.0}], ids=["tokens", "price"]
)
def test_a_limit_stops_the_run_and_keeps_what_is_answered(limit: dict[str, Any]) -> None:
    with serving() as server:
        served = client(server, concurrency=1, **limit)
        found = served.answer(asked(6), "generate", 4)
        assert [bool(one.failed) for one in found] == [False, False, False, True, True, True]
        assert "is reached: the same command with more goes on" in found[-1].failed
        assert served.tokens == 330
        with pytest.raises(ServerError, match="the limit of"):
            served.answer(asked(2), "generate", 4)


def test_a_folder_begins_with_what_it_has_taken_however_often_it_is_asked() -> None:
    served = Served(ServerSettings(model="m", price_in=10.0, price_out=20.0), None)
    for spent, price in (((300, 30), 0.0036), ((300, 30), 0.0036), ((0, 0), 0.0)):
        served.resume(*spent)
        assert (served.tokens, served.price) == (sum(spent), pytest.approx(price))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no model"):
        ServerSettings()
    with pytest.raises(ConfigurationError, match="no price is stated"):
        ServerSettings(model="m", max_price=1.0)


def test_pictures_are_made_smaller() -> None:
    (one,) = asked(1, side=100)
    with serving() as server:
        client(server, max_pixels=400).answer([one], "generate", 4)
    (picture,) = pictures_of(server.requests[0])
    assert abs(picture.width * picture.height - 400) < 30
