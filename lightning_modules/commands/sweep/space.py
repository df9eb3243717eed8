"""What a parameter of a sweep can be, as W&B writes it, and how points are drawn from all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from random import Random
from typing import TypeGuard

from lightning_modules.commands.front.errors import CommandLineError, did_you_mean

Value = str | int | float | list[object]  # and bool, which is an int
Values = dict[str, Value]  # of a point, by the parameters' names
Fail = Callable[[str], CommandLineError]  # makes an error of a sentence

# Keys that each distribution needs beside its name; W&B has further ones, which only its server draws from.
DISTRIBUTIONS = {
    "constant": ("value",),
    "categorical": ("values",),
    "int_uniform": ("min", "max"),
    "uniform": ("min", "max"),
    "q_uniform": ("min", "max"),
    "log_uniform_values": ("min", "max"),
    "q_log_uniform_values": ("min", "max"),
}
_OPTIONAL = {"categorical": ("probabilities",), "q_uniform": ("q",), "q_log_uniform_values": ("q",)}
_DIGITS = 12  # so that three steps of 0.1 are 0.3
_SLACK = 1e-9  # so that 0.3 is a multiple of 0.1


@dataclass(frozen=True, slots=True)
class Parameter:
    """One axis of the space.

    Attributes:
        choices: All values that it can have; empty for a range without steps.
        weights: Probabilities of the choices; None for equal ones.
        low: Lower end of a range.
        high: Upper end of a range.
        step: Values of a range are multiples of it; None for a range without steps.
        logarithmic: Draw orders of magnitude equally often.
    """

    choices: Sequence[Value] = ()
    weights: Sequence[float] | None = None
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    logarithmic: bool = False

    def draw(self, chance: Random) -> Value:
        """A value by chance."""
        if self.choices and self.step is None:
            return chance.choices(self.choices, self.weights)[0]
        if self.logarithmic:
            drawn = math.exp(chance.uniform(math.log(self.low), math.log(self.high)))
        else:
            drawn = chance.uniform(self.low, self.high)
        drawn = min(max(drawn, self.low), self.high)  # exp(log(x)) may be beyond x
        if self.step is None:
            return drawn
        place = round(drawn / self.step) - _first_multiple(self.low, self.step)
        return self.choices[min(max(place, 0), len(self.choices) - 1)]


def read_parameter(name: str, told: object, fail: Fail) -> Parameter:
    """A parameter from what the file says of it.

    Args:
        name: Its name.
        told: What stands below it.
        fail: Makes an error of a sentence.

    Raises:
        CommandLineError: If a key or a value cannot work.
    """

    def wrong(sentence: str) -> CommandLineError:
        return fail(f"parameters.{name}{sentence}")

    if not isinstance(told, Mapping):
        raise wrong(f" is {told!r}, but a mapping with value, values, or min and max is needed")
    if "parameters" in told:
        raise wrong(" is nested, which W&B hands on as one dictionary: write dotted names, such as model.init_args.x")
    kind = str(told.get("distribution", _implied(told)))
    if kind not in DISTRIBUTIONS:
        hint = did_you_mean(kind, DISTRIBUTIONS)
        raise wrong(f".distribution is {kind!r}, which is not drawn from here{hint}; `wandb sweep` knows others")
    needed, known = DISTRIBUTIONS[kind], (*DISTRIBUTIONS[kind], *_OPTIONAL.get(kind, ()), "distribution")
    for key in (*needed, *told):
        if key not in told:
            raise wrong(f" is {kind}, but has no {key}: write value, values, or min and max")
        if key not in known:
            raise wrong(f" is {kind}, which has no key {key}{did_you_mean(str(key), known)}")
    if kind in ("constant", "categorical"):
        return _choice(told, wrong)
    return _range(kind, told, wrong)


def _implied(told: Mapping[str, object]) -> str:
    """Distribution of a parameter that names none, as W&B takes it."""
    if "values" in told or "value" in told:
        return "categorical" if "values" in told else "constant"
    return "int_uniform" if all(isinstance(told.get(key), int) for key in ("min", "max")) else "uniform"


def _choice(told: Mapping[str, object], wrong: Fail) -> Parameter:
    values = told["values"] if "values" in told else [told["value"]]
    if not isinstance(values, list) or not values:
        raise wrong(f".values is {values!r}, but a list of at least one value is needed")
    for value in values:
        if value is None or (isinstance(value, list) and None in value):
            raise wrong(
                " has the value null, which W&B hands on as the text None: leave it out, and give it a sweep of its own"
            )
        if not isinstance(value, str | int | float | list):
            raise wrong(f" has the value {value!r}, but text, numbers, true, false and lists are handed on")
    for place, value in enumerate(values):
        if value in values[:place]:
            raise wrong(f" names {value!r} twice, or what is equal to it: name each value once")
    weights = told.get("probabilities")
    if weights is None:
        return Parameter(values)
    if not isinstance(weights, list) or [_is_number(weight) and weight > 0 for weight in weights] != [True] * len(
        values
    ):
        raise wrong(f".probabilities is {weights!r}, but a number above 0 for each of the values is needed")
    return Parameter(values, weights)


def _range(kind: str, told: Mapping[str, object], wrong: Fail) -> Parameter:
    numbers: dict[str, int | float] = {}
    for key in ("min", "max", "q"):
        number = told.get(key, 1)
        if not _is_number(number):
            hint = ", with a point, as in 1.0e-5" if isinstance(number, str) else ""
            raise wrong(f".{key} is {number!r}, but a number is needed{hint}")
        if kind == "int_uniform" and not isinstance(number, int):
            raise wrong(f".{key} is {number!r}, but int_uniform is of whole numbers")
        numbers[key] = number
    low, high, step = numbers["min"], numbers["max"], numbers["q"]
    if low >= high:
        raise wrong(f" goes from {low} to {high}, but min must be below max")
    logarithmic = "log" in kind
    if logarithmic and low <= 0:
        raise wrong(f".min is {low}, but a logarithm needs more than 0")
    if kind == "int_uniform":
        return Parameter(range(int(low), int(high) + 1), low=low, high=high)
    if not kind.startswith("q_"):
        return Parameter(low=low, high=high, logarithmic=logarithmic)
    if step <= 0:
        raise wrong(f".q is {step}, but a step above 0 is needed")
    multiples = range(_first_multiple(low, step), math.floor(high / step + _SLACK) + 1)
    if not multiples:
        raise wrong(f" has no multiple of {step} between {low} and {high}")
    choices = [count * step if isinstance(step, int) else round(count * step, _DIGITS) for count in multiples]
    return Parameter(choices, low=low, high=high, step=step, logarithmic=logarithmic)


def _first_multiple(low: float, step: float) -> int:
    return math.ceil(low / step - _SLACK)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def size_of(space: Mapping[str, Parameter]) -> int | None:
    """Number of points; None where a parameter has a range without steps."""
    counts = [len(parameter.choices) for parameter in space.values()]
    return math.prod(counts) if all(counts) else None


def grid_points(space: Mapping[str, Parameter], count: int | None) -> list[Values]:
    """Every combination once, at most ``count``; the last parameter changes first."""
    choices = [parameter.choices for parameter in space.values()]
    return [dict(zip(space, values, strict=True)) for values in islice(product(*choices), count)]


def random_points(space: Mapping[str, Parameter], count: int, seed: int) -> list[Values]:
    """Points by chance, no two alike; those of a smaller ``count`` are the first of a larger one.

    Example:
        >>> random_points({"a": Parameter(choices=[1, 2])}, 5, seed=0)
        [{'a': 2}, {'a': 1}]
    """
    size = size_of(space)
    drawn: list[Values] = []
    for point in _draws(space, seed):
        if point not in drawn:
            drawn.append(point)
        if len(drawn) >= (count if size is None else min(count, size)):
            break
    return drawn


def _draws(space: Mapping[str, Parameter], seed: int) -> Iterator[Values]:
    number = 0
    while True:
        # Seeded by text, a value keeps to its name and number, whatever else the file holds.
        yield {name: parameter.draw(Random(f"{seed}/{number}/{name}")) for name, parameter in space.items()}
        number += 1
