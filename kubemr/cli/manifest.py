"""Read a manifest: one YAML (or JSON) document from a file or, for `-`, from stdin.

What YAML can write and JSON cannot hold is rejected with its line: keys that occur twice or are not strings, references
to an object that contains them, numbers that are not finite.
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from kubemr.cli.yaml_checks import MAX_DEPTH, DocumentError, check
from kubemr.resources.json_types import Json


class ManifestError(Exception):
    """The file holds no manifest."""


def load(path: str) -> Json:
    """Return the document.  Raises `ManifestError`, which says what is wrong with the file."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: is not UTF-8 text: {error}; give a YAML or JSON file") from error
    try:
        _check_depth(text)
        documents = [each for each in yaml.load_all(text, Loader=_Loader) if each is not None]
    except DocumentError as error:
        raise ManifestError(f"{path}: {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ManifestError(f"{path}: is not YAML: {' '.join(str(error).split())}") from error
    if len(documents) != 1:
        count = "no document" if not documents else f"{len(documents)} documents"
        raise ManifestError(f"{path}: holds {count}; give one MapReduceJob per file")
    return documents[0]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # which class is there is known only at run time
    """Reads YAML as kubectl does: a date is a string."""

    def construct_document(self, node: yaml.Node) -> Json:
        check(node, self.construct_object)
        return super().construct_document(node)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _check_depth(text: str) -> None:
    """Reject a document that is nested too deeply.  Raises `DocumentError`.

    It runs before the tree is built, because that is a recursion.
    """
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark is not None else "?"
                raise DocumentError(f"line {line}: is nested more than {MAX_DEPTH} deep; give a MapReduceJob")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
