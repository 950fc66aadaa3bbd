"""Find mistakes of a job whose schema and rules pass: those that depend on the meaning of a text or on several fields.

Each check takes a job whose structure is right and whose defaults are filled in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import urlsplit

from kubemr.resources.glob import compile_glob
from kubemr.resources.go_format import marshal
from kubemr.resources.json_types import Json
from kubemr.resources.metadata import metadata_problems
from kubemr.resources.patterns import BUCKET
from kubemr.resources.pod_fields import image_problems
from kubemr.resources.problem import Problem
from kubemr.resources.quantity import parse_quantity
from kubemr.resources.template import template_problems

_BUCKET = re.compile(BUCKET)
_REQUIREMENT = re.compile(r"[A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?\s*([\[(;@<>=!~].*)?$")
_NATIVE = ("cpu", "memory", "ephemeral-storage")
_MAX_ARG_KEY: Final = 253
MAX_SPEC: Final = 176 * 1024
"""Bytes of the whole spec in JSON.  With 64 KiB of results and the rest of its status, a job is below 256 KiB."""


def semantic_problems(job: Json) -> list[Problem]:
    """Return the problems that all checks find."""
    return [problem for check in CHECKS for problem in check(job)]


def _metadata_problems(job: Json) -> Iterator[Problem]:
    yield from metadata_problems(job.get("metadata") or {})


def _size_problems(job: Json) -> Iterator[Problem]:
    sizes = {member: len(marshal(value).encode("utf-8", "surrogatepass")) for member, value in job["spec"].items()}
    total = sum(sizes.values())
    if total > MAX_SPEC:
        largest = max(sizes, key=lambda member: sizes[member])
        yield Problem(
            "spec",
            f"{total} bytes in JSON, of them {sizes[largest]} of {largest}",
            f"must have at most {MAX_SPEC} bytes",
            "keep large values in the image, a ConfigMap (files) or storage (inputsFrom), and name them in the job",
        )


def _image(job: Json) -> Iterator[Problem]:
    if "image" in job["spec"]:
        yield from image_problems("spec.image", job["spec"]["image"])


def _jobargs(job: Json) -> Iterator[Problem]:
    for key in job["spec"].get("jobargs", {}):
        if not key or len(key) > _MAX_ARG_KEY:
            message = f"a key must have between 1 and {_MAX_ARG_KEY} characters"
            yield Problem.of("spec.jobargs", key, message, "give the argument a name of that length")


def _storage(job: Json) -> Iterator[Problem]:
    s3 = job["spec"]["storage"].get("s3", {})
    if "endpoint" in s3:
        try:
            _ = urlsplit(s3["endpoint"]).port
        except ValueError as error:
            remedy = "give an address such as http://minio:9000, with a port up to 65535"
            yield Problem.of("spec.storage.s3.endpoint", s3["endpoint"], f"is not an address: {error}", remedy)
    bucket = s3.get("bucket", "abc")
    if ".." in bucket or re.fullmatch(r"[0-9]+(\.[0-9]+){3}", bucket):
        message = "must not contain .. or look like an IP address"
        yield Problem.of("spec.storage.s3.bucket", bucket, message, "give the name of a bucket that exists")


def _resources(job: Json) -> Iterator[Problem]:
    resources = job["spec"].get("resources", {})
    for member, amounts in resources.items():
        for name, amount in amounts.items():
            path = f"spec.resources.{member}.{name}"
            if name not in _NATIVE and "/" not in name and not name.startswith("hugepages-"):
                remedy = "give cpu, memory, ephemeral-storage, or a device's name such as nvidia.com/gpu"
                yield Problem.of(path, amount, "is not a resource of a node", remedy)
            if parse_quantity(amount) < 0:
                yield Problem.of(path, amount, "must not be negative", "give 0 or more")
    for name, least in resources.get("requests", {}).items():
        most = resources.get("limits", {}).get(name)
        if most is not None and parse_quantity(least) > parse_quantity(most):
            path = f"spec.resources.requests.{name}"
            yield Problem.of(path, least, f"is more than the limit, {most}", "lower the request or raise the limit")


def _addresses(job: Json) -> Iterator[Problem]:
    spec = job["spec"]
    for index, source in enumerate(spec.get("inputsFrom", ())):
        for member, url in source.items():
            path = f"spec.inputsFrom[{index}].{member}"
            yield from _address(path, url)
            if member == "glob":
                yield from _glob(path, url)
            elif member == "prefix" and re.search(r"[*?\[]", url):
                yield Problem.of(path, url, "is a prefix, in which * ? [ are literal characters", "write it as a glob")
            if member != "manifest" and re.match("https?://", url):
                message = "web servers cannot be listed"
                yield Problem.of(path, url, message, "list the addresses in an object, and name it as a manifest")
    for index, file in enumerate(spec.get("files", ())):
        if "url" in file:
            yield from _address(f"spec.files[{index}].url", file["url"])
    if "url" in spec.get("program", {}).get("python", {}).get("source", {}):
        yield from _address("spec.program.python.source.url", spec["program"]["python"]["source"]["url"])
    if "output" in spec:
        yield from _address("spec.output.url", spec["output"]["url"])


def _address(path: str, url: str) -> Iterator[Problem]:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        yield Problem.of(path, url, f"is not an address: {error}", "give the full address")
        return
    if parts.scheme == "s3" and not (3 <= len(parts.netloc) <= 63 and _BUCKET.fullmatch(parts.netloc)):
        yield Problem.of(path, url, "names no bucket", "write s3://bucket/key")
    elif parts.scheme in ("http", "https") and not parts.netloc:
        yield Problem.of(path, url, "names no host", "write https://host/path")
    elif parts.scheme == "file" and (parts.netloc or not parts.path.startswith("/")):
        yield Problem.of(path, url, "must have an absolute path", "write file:///folder/file")


def _glob(path: str, glob: str) -> Iterator[Problem]:
    if not re.fullmatch(r"[^\[\]]*(\[!?[^\[\]/]+\][^\[\]]*)*", glob):
        yield Problem.of(path, glob, "has a [ without its ]", "close each [, e.g. part-[0-9].gz")
        return
    try:
        compile_glob(glob)
    except ValueError as error:
        yield Problem.of(path, glob, f"can match nothing: {error}", "write the lower character first, as in [a-z]")
    if any("**" in part and part != "**" for part in glob.split("/")):
        yield Problem.of(path, glob, "** must stand alone between two slashes", "write s3://bucket/**/*.gz")
    if re.search(r"[*?\[]", glob.partition("://")[2].partition("/")[0]):
        yield Problem.of(path, glob, "has a pattern in the bucket or host", "name one bucket; patterns may follow it")


def _split(job: Json) -> Iterator[Problem]:
    size = job["spec"].get("split", {}).get("size", 1)
    if parse_quantity(size) < 1:
        yield Problem.of("spec.split.size", size, "is less than a byte", "give a size such as 64Mi")


def _steps(job: Json) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    spec = job["spec"]
    for index, step in enumerate(spec.get("steps", ())):
        path, name = f"spec.steps[{index}]", step.get("name")
        if name is not None and name in seen:
            message = f"is also the name of step {seen[name]}"
            yield Problem.of(f"{path}.name", name, message, "give each step a different name")
        seen.setdefault(name, index)
        if spec["partitions"] == 0 and "partitions" not in step and "reducer" in step:
            message = "the step has a reducer and inherits 0 partitions"
            yield Problem.of(f"{path}.partitions", 0, message, "give the step partitions, or leave out its reducer")
        for member in ("mapper", "combiner", "reducer"):
            yield from _command(f"{path}.{member}", step.get(member, {}))


def _command(path: str, command: Json) -> Iterator[Problem]:
    if "script" in command and not command["script"].strip():
        yield Problem.of(f"{path}.script", command["script"], "is blank", "write the commands, or leave the member out")
    if "command" in command and not command["command"][0].strip():
        yield Problem.of(f"{path}.command[0]", command["command"][0], "is blank", "begin with the program's name")


def _files(job: Json) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, file in enumerate(job["spec"].get("files", ())):
        if file["name"] in seen:
            yield Problem.of(f"spec.files[{index}].name", file["name"], "occurs twice", "rename one of the files")
        seen.add(file["name"])


def _requirements(job: Json) -> Iterator[Problem]:
    python = job["spec"].get("program", {}).get("python", {})
    for index, requirement in enumerate(python.get("requirements", ())):
        if not _REQUIREMENT.match(requirement.strip()):
            path = f"spec.program.python.requirements[{index}]"
            yield Problem.of(path, requirement, "is not a requirement of pip", 'write it as in "numpy==2.4.*"')


def _template(job: Json) -> Iterator[Problem]:
    if "template" in job["spec"]:
        yield from template_problems(job["spec"])


CHECKS: tuple[Callable[[Json], Iterator[Problem]], ...] = (
    _metadata_problems,
    _size_problems,
    _image,
    _jobargs,
    _storage,
    _resources,
    _addresses,
    _split,
    _steps,
    _files,
    _requirements,
    _template,
)
