"""The name of an image, as container runtimes read it: `[registry[:port]/]repository[:tag][@digest]`."""

from __future__ import annotations

from collections.abc import Iterator

from kubemr.resources.json_types import Json
from kubemr.resources.problem import Problem


def image_problems(path: str, image: Json) -> Iterator[Problem]:
    """What a runtime would refuse long after the job was accepted."""
    if not isinstance(image, str):
        yield Problem.of(path, image, "must be a string", "give a name such as registry.example/team/image:tag")
        return
    name = image.partition("@")[0]
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        name = rest
    folders, slash, last = name.rpartition("/")
    repository = folders + slash + last.partition(":")[0]
    if repository != repository.lower():
        message = "has upper-case letters in its repository, which no runtime takes"
        yield Problem.of(path, image, message, f"did you mean {image.replace(repository, repository.lower(), 1)}?")
