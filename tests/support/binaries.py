"""The real servers that tests talk to, built from Go modules: what they are, where they lie, and how they are made.

Each program is a Go module below `tests/e2e/controlplane/` or `tests/e2e/cluster/`, whose committed go.mod and go.sum
fix every version and checksum.  It is built once into a folder of its own, named after a hash of these files and of the
way it is built:

    ${KUBEMR_CACHE:-${XDG_CACHE_HOME:-~/.cache}/kubemr}/bin/<program>-<hash>/

A folder appears there whole or not at all, so a build that was interrupted leaves nothing that looks finished.
The hash does not cover the version of Go (the folder's BUILD.txt says it): a cache filled on one machine serves another
that has no Go.

This file needs the standard library only: `make controlplane` runs it before there is a virtual environment.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).resolve().parent.parent / "e2e" / "controlplane"
"""Where the Go modules are."""

CLUSTER_MODULES = MODULES.parent / "cluster"
"""Where those are that only a cluster with a node needs."""

FLAGS = ("-buildvcs=false", "-mod=readonly", "-trimpath")
"""`-mod=readonly` refuses to build anything but what go.mod and go.sum say."""

REMEDY = "run `make controlplane` (needs Go >= 1.26)"


@dataclass(frozen=True)
class Program:
    """One Go module and the binary made of it.

    `package` is what `go build` is given, `links` are further names of the same binary, and `variables` are what the
    linker sets.  With `others`, further packages, each becomes a binary of its own, named after its package's folder.
    """

    name: str
    package: str
    others: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    modules: Path = MODULES

    @property
    def module(self) -> Path:
        """The folder of its go.mod."""
        return self.modules / self.name

    @property
    def linker_flags(self) -> str:
        """Without debug information, which doubles the size, and with the variables set."""
        return " ".join(["-s", "-w", *(f"-X {variable}" for variable in self.variables)])

    @property
    def key(self) -> str:
        """A hash of all that decides what the binary does, but for the version of Go."""
        digest = hashlib.sha256()
        recipe = (
            self.package,
            *self.others,
            *FLAGS,
            self.linker_flags,
            *self.links,
            platform.system(),
            platform.machine(),
        )
        digest.update("\0".join(recipe).encode())
        for file in sorted(self.module.iterdir()):
            digest.update(f"\0{file.name}\0".encode() + file.read_bytes())
        return digest.hexdigest()[:16]

    @property
    def folder(self) -> Path:
        """Where the built binary lies, whether it is there or not."""
        return cache() / f"{self.name}-{self.key}"

    def path(self, link: str | None = None) -> Path:
        """The binary, by its own name or by one of its further names."""
        return self.folder / (link or self.name)

    def is_built(self) -> bool:
        """Whether it is there."""
        return self.folder.exists()


KUBERNETES = {"1.34": "1.34.4", "1.36": "1.36.3", "1.37": "1.37.2"}
"""The versions of Kubernetes that tests may run on: the oldest supported, the one for everything, the newest."""

CHOICE = "KUBEMR_TEST_KUBERNETES"
"""The environment variable that names one of them; for the whole of a test session, and for `make controlplane`."""

REQUIRE_VERSIONS = "KUBEMR_REQUIRE_VERSIONS"
"""With the value 1, this environment variable makes a version that is not built an error of `make test-versions`."""

_PINNED = "1.36"
_VERSION = "k8s.io/component-base/version"


def _kubernetes(minor: str) -> Program:
    """All its programs in one binary, of the version that clusters with a node have; of others, what needs no node."""
    version = KUBERNETES[minor]
    variables = (
        # Without a version the programs refuse each other.
        f"{_VERSION}.gitVersion=v{version}",
        f"{_VERSION}.gitMajor={version.split('.')[0]}",
        f"{_VERSION}.gitMinor={version.split('.')[1]}",
        f"{_VERSION}.gitTreeState=clean",
        f"{_VERSION}.gitCommit=unknown",
    )
    if minor == _PINNED:
        links = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet")
        return Program("kube", ".", links=links, variables=variables)
    first, *others = (
        f"k8s.io/kubernetes/cmd/{name}" for name in ("kube-apiserver", "kube-controller-manager", "kubectl")
    )
    return Program(f"kube-{minor}", first, others=tuple(others), variables=variables)


def chosen_kubernetes() -> str:
    """The version that this session is about, as `1.36`; an error when the variable names one that is not there."""
    minor = os.environ.get(CHOICE) or _PINNED
    if minor not in KUBERNETES:
        raise SystemExit(f"{CHOICE}={minor}: there is no such version of Kubernetes here, only {', '.join(KUBERNETES)}")
    return minor


ETCD = Program("etcd", "go.etcd.io/etcd/server/v3")
KUBE = _kubernetes(chosen_kubernetes())
MINIO = Program("minio", "github.com/minio/minio")
CHECKER = Program("checker", ".", modules=MODULES.parent / "linearizability")
PROGRAMS = (ETCD, KUBE, MINIO, CHECKER)
COREDNS = Program("coredns", ".", modules=CLUSTER_MODULES)
PAUSE = Program("pause", ".", modules=CLUSTER_MODULES)
CLUSTER_PROGRAMS = (*PROGRAMS, COREDNS, PAUSE)


_GET_GO = """\
Install Go 1.26 or newer from https://go.dev/dl/ or, where it is new enough, by Debian's package golang;
or let pip fetch one for this purpose alone: PATH="$(.ci/fetch-go):$PATH" make controlplane"""


class BuildError(Exception):
    """A program could not be built; the message says why and what to do."""


def cache() -> Path:
    """The folder that holds all built programs."""
    root = os.environ.get("KUBEMR_CACHE")
    base = Path(root) if root else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kubemr"
    return base / "bin"


def go_program() -> str:
    """The `go` to build with; an error that names the remedy when there is none."""
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if found is None:
        raise BuildError(f"Go is missing: there is no `go` in PATH.\n{_GET_GO}")
    return found


def go_version(go: str, module: Path) -> str:
    """What `go version` says where `module` is built; an error when it is older than its go.mod demands.

    From 1.21 on, Go reads that go.mod first and fetches a newer toolchain where it may (GOTOOLCHAIN=auto).
    """
    wanted = re.findall(r"^go ([\d.]+)$", (module / "go.mod").read_text(), re.MULTILINE)[0]
    answer = subprocess.run([go, "version"], cwd=module, capture_output=True, text=True, check=False)
    found = re.search(r"go version go([\d.]+)", answer.stdout)
    if found is None or _numbers(found[1]) < _numbers(wanted):
        said = (answer.stdout + answer.stderr).strip()
        raise BuildError(f"{go} is too old: Go {wanted} or newer is needed, and it says: {said}\n{_GET_GO}")
    return answer.stdout.strip()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One build at a time; a second one waits and then finds the first one's result."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(program: Program) -> Path:
    """The folder of the built program; builds it when it is not there."""
    if program.is_built():
        return program.folder
    go = go_program()
    version = go_version(go, program.module)
    with _locked(cache()):
        if program.is_built():
            return program.folder
        scratch = Path(tempfile.mkdtemp(prefix=f".building-{program.name}-", dir=cache()))
        try:
            output = f"{scratch}/" if program.others else str(scratch / program.name)
            command = [go, "build", *FLAGS, "-ldflags", program.linker_flags, "-o", output]
            command += [program.package, *program.others]
            environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}
            done = subprocess.run(command, cwd=program.module, env=environment, check=False)
            if done.returncode != 0:
                raise BuildError(
                    f"building {program.name} in {program.module} failed with status {done.returncode}; see above"
                )
            for link in program.links:
                (scratch / link).symlink_to(program.name)
            (scratch / "BUILD.txt").write_text(f"{version}\n{program.package} of {program.module.name}/go.mod\n")
            scratch.chmod(0o755)
            scratch.rename(program.folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return program.folder


def build_all(programs: Iterable[Program]) -> int:
    """Build what is missing and print where everything is; 1 when a build fails."""
    for program in programs:
        began = time.monotonic()
        fresh = not program.is_built()
        if fresh:
            print(f"building {program.name} (once; then it is cached) …", file=sys.stderr, flush=True)
        try:
            folder = build(program)
        except BuildError as error:
            print(error, file=sys.stderr)
            return 1
        print(
            f"{program.name}: {folder}" + (f" (built in {time.monotonic() - began:.0f} s)" if fresh else ""), flush=True
        )
    return 0


def print_built(minors: Iterable[str]) -> int:
    """Print which of these versions of Kubernetes are built, and name the others on stderr; 1 when all are required."""
    required = os.environ.get(REQUIRE_VERSIONS) == "1"
    missing = 0
    for minor in minors:
        if _kubernetes(minor).is_built():
            print(minor)
            continue
        missing += 1
        reason = f"Kubernetes {minor} is not built: run `make controlplane-versions` (needs Go >= 1.26)"
        print(f"{REQUIRE_VERSIONS}=1: {reason}" if required else f"left out: {reason}", file=sys.stderr)
    return 1 if required and missing else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Build programs, or print which versions of Kubernetes are built; the exit code."""
    parser = argparse.ArgumentParser(
        description="build the servers that tests need; without an option, for `make test`"
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--cluster", action="store_true", help="build those of a cluster with a node, too")
    group.add_argument("--versions", nargs="+", choices=KUBERNETES, help="build these versions of Kubernetes instead")
    group.add_argument("--built", nargs="+", choices=KUBERNETES, help="build nothing; print those that are built")
    chosen = parser.parse_args(arguments)
    if chosen.built:
        return print_built(chosen.built)
    if chosen.versions:
        return build_all(map(_kubernetes, chosen.versions))
    return build_all(CLUSTER_PROGRAMS if chosen.cluster else PROGRAMS)


if __name__ == "__main__":
    sys.exit(main())
