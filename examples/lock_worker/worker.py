"""An example worker that uses `kubemr.locks`: of many processes, one works at a time.

Start several processes, on any machine that reaches the apiserver.
Together they make the parts of one gadget, one part after the other.
The holder of the gadget's lock works, and the other processes wait.
If the holder dies, another process continues after `--duration` seconds, with the first part that is not recorded::

    kubectl apply -f examples/lock_worker/crd.yaml
    kubectl create -f - <<< '{"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "press"}}'
    kubectl proxy & export KUBEMR_APISERVER=http://127.0.0.1:8001
    python examples/lock_worker/worker.py press --parts 10

Each part is recorded by `HeldLock.write`, which the apiserver refuses unless the process holds the lock.
So no part is recorded twice, not even by a process that was paused while another one took the lock.
"""

from __future__ import annotations

import argparse
import threading

from kubemr.locks import (
    HttpTransport,
    Lock,
    LockLostError,
    Patch,
    Resource,
    Target,
    Transport,
    from_environment,
    hold,
    read,
    run,
    unique,
)

GADGETS = Resource("example.com", "v1", "gadgets")


def make_parts(lock: Lock, transport: Transport, parts: int, seconds: float) -> None:
    """Hold the lock and make the missing parts, each in `seconds`.

    Raise `LockLostError`.
    """
    with hold(lock, transport) as held_lock:
        print(f"{lock.identity} holds it, fence {held_lock.fence}", flush=True)
        made = run(read(lock.target), transport).get("made", 0)
        while made < parts:
            threading.Event().wait(seconds)  # This is where the work is done.
            held_lock.write(Patch().add("/made", made + 1))
            made += 1
            print(f"made {made}, fence {held_lock.fence}", flush=True)


def main() -> None:
    """Work until every part is made, even if the lock is lost in between."""
    parser = argparse.ArgumentParser(description="make the parts of a gadget, one worker at a time")
    parser.add_argument("gadget")
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--parts", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.0, help="seconds to make one part")
    parser.add_argument("--duration", type=float, default=15.0, help="seconds without a renewal until a worker is dead")
    arguments = parser.parse_args()
    lock = Lock(Target(GADGETS, arguments.namespace, arguments.gadget), "/lockholder", unique(), arguments.duration)
    with HttpTransport(from_environment()) as transport:
        while True:
            try:
                make_parts(lock, transport, arguments.parts, arguments.seconds)
            except LockLostError as loss:
                print(loss, flush=True)
            else:
                return


if __name__ == "__main__":
    main()
