"""Attribute schemas: the 73 attributes in 42 heads, CelebA's 40, own ones, and what cannot be one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from datamodules.common.errors import ConfigurationError
from datamodules.faces.schema import AttributeSchema, Head


def _head(name: str, *attributes: str, kind: str = "exclusive") -> dict[str, Any]:
    return {"name": name, "kind": kind, "attributes": list(attributes)}


def test_the_default_has_each_of_73_attributes_in_one_of_42_heads() -> None:
    schema = AttributeSchema.from_file()
    grouped = [name for head in schema.heads for name in head.attributes]
    assert len(schema.attributes) == 73
    assert len(schema.heads) == 42
    assert sorted(grouped) == sorted(schema.attributes)
    assert len(grouped) + len(schema.heads) == 115  # outputs where each head has one more for "none of these"


def test_the_default_is_the_reference_list(shared_dir: Path) -> None:
    reference = json.loads((shared_dir / "data/faces/attributes_73_heads_42.json").read_text(encoding="utf-8"))
    text = json.dumps(reference)
    schema = AttributeSchema.from_file()
    assert all(json.dumps(name)[1:-1] in text for name in schema.attributes)
    assert all(json.dumps(head.name) in text for head in schema.heads)


def test_celeba_has_40_attributes() -> None:
    schema = AttributeSchema.from_file("celeba")
    assert len(schema.attributes) == 40
    assert schema.find("5 o'Clock Shadow") == "5_o_Clock_Shadow"


def test_plain_values_make_the_same_schema() -> None:
    schema = AttributeSchema.from_file()
    assert AttributeSchema.from_plain(json.loads(json.dumps(schema.plain()))) == schema


@pytest.mark.parametrize("text", ["5 o' Clock Shadow", "5 o'Clock Shadow", "5 o Clock Shadow", "5_O_CLOCK-shadow"])
def test_spellings_of_the_lists_are_one(text: str) -> None:
    assert AttributeSchema.from_file().find(text) == "5 o'Clock Shadow"


def test_an_unknown_attribute_gives_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match='no attribute "Smilling": did you mean Smiling'):
        AttributeSchema.from_file().find("Smilling")


def test_attributes_left_out_leave_their_heads() -> None:
    schema = AttributeSchema.from_file().without(["male", "Indian", "No Eyewear"])
    heads = {head.name: head for head in schema.heads}
    assert len(schema.attributes) == 70
    assert "gender" not in heads
    assert heads["ethnicity"].attributes == ("Asian", "White", "Black")
    assert heads["eyewear"].kind == "exclusive"  # neither of two may now be true
    assert ("Male", "Attractive Woman") not in schema.contradictions


def test_what_a_head_excludes() -> None:
    schema = AttributeSchema.from_file()
    assert schema.contradictions_in(["Bald", "Blond Hair", "Smiling"]) == [("Bald", "Blond Hair")]
    assert schema.contradictions_in(["Black Hair", "Gray Hair"]) == [("Black Hair", "Gray Hair")]
    assert schema.contradictions_in(["Bushy Eyebrows", "Arched Eyebrows"]) == []


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ({"heads": [_head("a", "X", "Y"), _head("b", "Y")]}, "Y is in several heads"),
        ({"heads": [_head("a", "X")], "attributes": ["X", "Z"]}, "Z is in no head"),
        ({"heads": [_head("a", "X", "Y")], "attributes": ["X"]}, "Y is in a head but not listed"),
        ({"heads": [_head("a", "X", "Y")], "attributes": ["X", "Y", "Y"]}, "Y is listed twice"),
        ({"heads": [_head("a", "X Y", "x_y")]}, "is spelt like another"),
        ({"heads": [_head("a", "X", "Y", kind="binary")]}, "a is binary but has not exactly one attribute"),
        ({"heads": [_head("a", "X", kind="some")]}, 'kind "some": write one of binary'),
        ({"heads": [_head("a", "X"), _head("a", "Y")]}, "a is the name of two heads"),
        ({"heads": [{"name": "a"}]}, "has name, kind and attributes"),
        ({"head": []}, "this one has head"),
        ({"heads": [_head("a", "X")], "contradictions": [["X", "Q"]]}, "Q is contradicted but not listed"),
        ({"heads": [_head("a", "X", "Y", "Z")], "contradictions": [["X", "Y", "Z"]]}, "is a list of two attributes"),
        ({"heads": [_head("a", "X")], "contradictions": ["XX"]}, "is a list of two attributes, not 'XX'"),
        ({"heads": [{"name": "a", "kind": "binary", "attributes": "Hat"}]}, "the attributes 'Hat': write a list"),
    ],
)
def test_what_cannot_be_a_schema(plain: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        AttributeSchema.from_plain(plain)


def test_one_mistake_is_told_once() -> None:
    with pytest.raises(ConfigurationError, match=r"used: Y is in several heads or twice in one\.$"):
        AttributeSchema.from_plain({"heads": [_head("a", "X", "Y"), _head("b", "Y")]})


def test_something_must_be_left() -> None:
    schema = AttributeSchema.from_plain({"heads": [_head("a", "X", "Y")]})
    with pytest.raises(ConfigurationError, match="All attributes are left out, X, Y: keep at least one"):
        schema.without(["X", "y"])


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml: cannot be read"):
        AttributeSchema.from_file(tmp_path / "nowhere.yaml")
    file = tmp_path / "list.yaml"
    file.write_text("- a\n")
    with pytest.raises(ConfigurationError, match="holds no mapping"):
        AttributeSchema.from_file(file)
    file.write_text("heads: [a: b: c\n")
    with pytest.raises(ConfigurationError, match=r"^[^\n]*list\.yaml, line 1: this is no valid YAML[^\n]*$"):
        AttributeSchema.from_file(file)
    file.write_text("heads: [{name: a, kind: binary, attributes: [X, Y]}]\n")
    with pytest.raises(ConfigurationError, match=r"list\.yaml: .*binary"):
        AttributeSchema.from_file(file)


def test_columns_of_a_head() -> None:
    schema = AttributeSchema(("B", "A"), (Head("h", "exclusive", ("A", "B")),))
    assert schema.indices(schema.heads[0]) == [1, 0]
    assert schema.index("a") == 1


def test_a_folder_of_its_name_does_not_hide_a_shipped_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = AttributeSchema.from_file("celeba")
    (tmp_path / "celeba").mkdir()  # where a user keeps CelebA
    monkeypatch.chdir(tmp_path)
    assert AttributeSchema.from_file("celeba") == shipped
