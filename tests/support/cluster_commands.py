"""`make cluster` and `make cluster-down`: a cluster that stays when the command has ended.

    python -m support.cluster_commands up [N]   start one (of N nodes) in the background, or say that it runs already
    python -m support.cluster_commands down     end it; clean up after one that ended uncleanly
    python -m support.cluster_commands load X   import image archives into the one that runs, if any
    python -m support.cluster_commands packages install what the node needs of Debian
    python -m support.cluster_commands hold N   what runs in the background: start, wait for SIGTERM, stop

The process in the background has all others as its children.  Which cluster: the environment's `KUBEMR_CLUSTER`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from support.cluster import AlreadyRunningError, Cluster, ClusterError, clean, description, take_lock, work_folder
from support.cluster_access import ClusterAccess
from support.cluster_machine import MachineError, missing, missing_packages
from support.cluster_site import ClusterSite
from support.daemon import DaemonError

HOLDER = "`make cluster`"
DEADLINE = 180.0


def install_packages() -> None:
    """Install what is missing, where that is Debian's way and allowed."""
    packages = missing_packages()
    if not packages or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    print(f"installing {' '.join(packages)} by apt-get …", flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=600"]  # another installation may be on
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
        subprocess.run([*apt, *command], check=True, env=environment, stdout=subprocess.DEVNULL)


def up(nodes: int) -> int:
    """Start a cluster in the background and wait until it is ready."""
    install_packages()
    if lacks := missing():
        print("this machine cannot run a node.  It lacks:", *lacks, sep="\n  - ", file=sys.stderr)
        print("Tests can use another cluster: see docs/cluster-tests.md.", file=sys.stderr)
        return 1
    folder = work_folder()
    try:
        take_lock(folder, HOLDER).close()
    except AlreadyRunningError as running:
        if running.holder != HOLDER or not _ready(folder, time.monotonic() + DEADLINE, running.pid):
            print(running, file=sys.stderr)
            return 1
        print("the cluster runs already")
        return _tell(ClusterAccess.load(description(folder)))
    began = time.monotonic()
    description(folder).unlink(missing_ok=True)
    with open(folder / "holder.log", "wb") as log:
        holder = subprocess.Popen(
            [sys.executable, "-m", "support.cluster_commands", "hold", str(nodes)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    while not description(folder).exists():
        if holder.poll() is not None or time.monotonic() > began + DEADLINE:
            holder.terminate()
            print(f"the cluster did not start: {(folder / 'holder.log').read_text()[-6000:]}", file=sys.stderr)
            return 1
        time.sleep(0.1)
    print(f"the cluster is ready after {time.monotonic() - began:.0f} s")
    return _tell(ClusterAccess.load(description(folder)))


def _ready(folder: Path, end: float, pid: int) -> bool:
    """Whether a cluster that another process is starting gets ready."""
    while not description(folder).exists():
        if time.monotonic() > end or not Path(f"/proc/{pid}").exists():
            return False
        time.sleep(0.1)
    return True


def _tell(access: ClusterAccess) -> int:
    print(f"    export KUBECONFIG={access.kubeconfig}")
    print(f"    {access.kubectl_program} get nodes")
    if access.s3:
        print(f"    S3: {access.s3.endpoint} with {access.s3.access_key} / {access.s3.secret_key}")
    print(f"    logs: {work_folder() / 'logs'}; `make cluster-down` ends it")
    return 0


def hold(nodes: int) -> int:
    """Be the parent of a cluster until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        cluster = Cluster(HOLDER, nodes)
    except (ClusterError, DaemonError, MachineError) as error:
        print(error, file=sys.stderr)
        return 1
    try:
        while True:
            signal.pause()
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        cluster.stop()


def down() -> int:
    """End the cluster, or clean up after one."""
    folder = work_folder()
    if not folder.exists():
        print("there is no cluster")
        return 0
    for number, patience in ((signal.SIGTERM, 60.0), (signal.SIGKILL, 10.0)):
        end = time.monotonic() + patience
        told = False
        while time.monotonic() < end:
            try:
                lock = take_lock(folder, "`make cluster-down`")
            except AlreadyRunningError as running:
                if running.holder != HOLDER:
                    print(f"{running}: it ends with it", file=sys.stderr)
                    return 1
                if not told:
                    os.kill(running.pid, number)
                    told = True
                time.sleep(0.1)
                continue
            with lock:
                description(folder).unlink(missing_ok=True)
                if os.geteuid() == 0:
                    clean(ClusterSite.from_environment(), keep_logs=True)
            print(f"there is no cluster now; its logs are in {folder / 'logs'}")
            return 0
    print("the cluster's process does not end", file=sys.stderr)
    return 1


def load(archives: list[str]) -> int:
    """Import image archives into the running cluster, if one runs."""
    path = description(work_folder())
    if not path.exists():
        return 0
    try:
        take_lock(work_folder(), "`make images`").close()
    except AlreadyRunningError:
        pass
    else:
        print("the cluster that ran last has ended uncleanly: nothing was loaded into it")
        return 0
    access = ClusterAccess.load(path)
    for archive in archives:
        access.load_image(Path(archive))
    print("loaded into the running cluster")
    return 0


def main() -> int:
    """Do what the first argument says."""
    command, arguments = sys.argv[1], sys.argv[2:]
    match command:
        case "up":
            return up(int(arguments[0]) if arguments else 1)
        case "down":
            return down()
        case "hold":
            return hold(int(arguments[0]))
        case "load":
            return load(arguments)
        case "packages":
            install_packages()
            return 0
        case _:
            print(f"{command!r} is none of up, down, load", file=sys.stderr)
            return 2


if __name__ == "__main__":
    sys.exit(main())
