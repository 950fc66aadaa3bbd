"""Work queues as in client-go's `util/workqueue`, and the workers that empty them.

Each file holds one idea and adds it to the one above:

- `queue`: every key at most once in the queue, and never handed to two workers at once;
- `delaying`: `add_after`;
- `ratelimiting`: `add_rate_limited`, with the delays of `limiters`;
- `metrics`: what is counted, under the names that Kubernetes uses; `prometheus` exports it;
- `workers`: a pool of workers which reconcile the keys.
"""

from kubemr.controller.workqueue.controller import Controller
from kubemr.controller.workqueue.delaying_queue import DelayingQueue
from kubemr.controller.workqueue.metrics import MetricsProvider, QueueMetrics
from kubemr.controller.workqueue.queue import Queue, ShutDown
from kubemr.controller.workqueue.rate_limiters import ItemExponentialLimiter, RateLimiter
from kubemr.controller.workqueue.rate_limiting_queue import RateLimitedQueue

__all__ = [
    "Controller",
    "DelayingQueue",
    "ItemExponentialLimiter",
    "MetricsProvider",
    "Queue",
    "QueueMetrics",
    "RateLimitedQueue",
    "RateLimiter",
    "ShutDown",
]
