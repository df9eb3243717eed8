"""YAML with every key once and, where names are wanted, every word as it is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from datamodules.common.errors import LabelError
from datamodules.tables.text import read_text

_NULL, _MERGE = "tag:yaml.org,2002:null", "tag:yaml.org,2002:merge"


class _WordLoader(yaml.SafeLoader):
    """Reads words as they are written: ``no`` is no truth value and ``010`` no number."""


_WordLoader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in found if tag in (_NULL, _MERGE)]
    for letter, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class YamlError(LabelError):
    """A text is no YAML that can be used; the message is one sentence with its line."""


def read_yaml(path: str | Path, *, words: bool = False) -> object:
    """Read a YAML file.

    Args:
        path: Any text that `read_text` reads.
        words: Take every plain value as the text that is written, for names of classes and the like.

    Raises:
        LabelError: If it cannot be read or is no valid YAML, or a mapping has a key twice; the message names the line.
    """
    return parse_yaml(read_text(path, "cannot be read ({}); name a YAML file"), str(path), words=words)


def parse_yaml(text: str, source: str, *, words: bool = False) -> object:
    """The content of a YAML text; ``source`` is its file, for messages.

    Raises:
        YamlError: As in `read_yaml`.
    """
    loader = (_WordLoader if words else yaml.SafeLoader)(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_keys(node, source)
        content: object = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}" if mark is not None else ""
        said = " ".join(str(error.problem or error.context).split())
        raise YamlError(f"{source}{where}: this is no valid YAML ({said}); mend the line") from error
    except (yaml.YAMLError, ValueError) as error:  # a control character; a date or a number that is none
        if isinstance(error, YamlError):
            raise
        raise YamlError(f"{source}: this is no valid YAML ({' '.join(str(error).split())}); mend the file") from error
    except RecursionError as error:
        raise _too_deep(source) from error
    finally:
        loader.dispose()
    return content


def check_keys(text: str, source: str) -> None:
    """Refuse a text that has a key twice in one mapping, or nothing but nesting; other faults are left to its reader.

    Raises:
        YamlError: Naming both lines.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError):
        return
    except RecursionError as error:
        raise _too_deep(source) from error
    if node is not None:
        _check_keys(node, source)


def _too_deep(source: str) -> YamlError:
    return YamlError(f"{source}: its mappings or lists are nested too deeply to be read; mend the file")


def _check_keys(root: yaml.Node, source: str) -> None:
    for mapping in _mappings(root):
        first: dict[str, yaml.ScalarNode] = {}
        for key, _ in mapping.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
                continue
            earlier = first.setdefault(key.value, key)
            if earlier is not key:
                raise YamlError(
                    f"{source}, line {key.start_mark.line + 1}: the key {key.value} stands in line "
                    f"{earlier.start_mark.line + 1} too, and only one of them would count; drop one"
                )


def _mappings(root: yaml.Node) -> Iterator[yaml.MappingNode]:
    """All mappings of a document, each once, however often an anchor repeats it."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield node
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
