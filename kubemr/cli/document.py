"""Read a manifest: one YAML (or JSON) document from a file or, for `-`, from stdin."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from kubemr.resources.jsontypes import Json


class ManifestError(Exception):
    """The file holds no manifest."""


def load(path: str) -> Json:
    """The document.  Raises `ManifestError` that says what is wrong with the file."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: is not UTF-8 text: {error}; give a YAML or JSON file") from error
    try:
        documents = [each for each in yaml.load_all(text, Loader=_Loader) if each is not None]
    except yaml.YAMLError as error:
        raise ManifestError(f"{path}: is not YAML: {error}") from error
    if len(documents) != 1:
        count = "no document" if not documents else f"{len(documents)} documents"
        raise ManifestError(f"{path}: holds {count}; give one MapReduceJob, each job in a file of its own")
    return documents[0]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # which class is there is known only at run time
    """YAML as kubectl reads it: a date is a string."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
