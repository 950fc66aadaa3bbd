"""A worker of one's own on `kubemr.locks`: many processes, one of them at work.

Start as many as you like, anywhere that reaches the apiserver.  They make the parts of one gadget, one part
after the other; whoever holds the gadget's lock works, the others wait.  When the one at work dies, another
goes on after `--duration` seconds, with the part that is not recorded yet::

    kubectl apply -f examples/lock_worker/crd.yaml
    kubectl create -f - <<< '{"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "press"}}'
    kubectl proxy & export KUBEMR_APISERVER=http://127.0.0.1:8001
    python examples/lock_worker/worker.py press --parts 10

Each part is recorded by `holding.write`, which the server refuses to anybody but the present holder.  So no
part is ever recorded twice, not even by a process that was asleep while its lock passed on.
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
    """Hold the lock and make what is missing of `parts`, each in `seconds`.  Raises `LockLostError`."""
    with hold(lock, transport) as holding:
        print(f"{lock.identity} holds it, fence {holding.fence}", flush=True)
        made = run(read(lock.target), transport).get("made", 0)
        while made < parts:
            threading.Event().wait(seconds)  # the work itself
            holding.write(Patch().add("/made", made + 1))
            made += 1
            print(f"made {made}, fence {holding.fence}", flush=True)


def main() -> None:
    """Work until every part is made, however often the lock is lost meanwhile."""
    parser = argparse.ArgumentParser(description="make the parts of a gadget, one worker at a time")
    parser.add_argument("gadget")
    parser.add_argument("--namespace", default="default")
    parser.add_argument("--parts", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=1.0, help="how long one part takes")
    parser.add_argument("--duration", type=float, default=15.0, help="seconds of silence after which a worker is dead")
    given = parser.parse_args()
    lock = Lock(Target(GADGETS, given.namespace, given.gadget), "/lockholder", unique(), given.duration)
    with HttpTransport(from_environment()) as transport:
        while True:
            try:
                make_parts(lock, transport, given.parts, given.seconds)
            except LockLostError as loss:
                print(loss, flush=True)
            else:
                return


if __name__ == "__main__":
    main()
