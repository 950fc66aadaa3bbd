"""Work queues as in client-go's `util/workqueue`, and the workers that empty them.

Each file holds one idea and adds it to the one above:

- `queue`: every key at most once in the queue, and never handed to two workers at once;
- `delaying_queue`: `add_after`;
- `rate_limiting_queue`: `add_rate_limited`, and the limiter that computes its delays;
- `metrics`: the measurements, under the names that Kubernetes uses; `prometheus` exports them;
- `controller`: a pool of workers that reconcile the keys.
"""

from kubemr.controller.workqueue.controller import Controller
from kubemr.controller.workqueue.delaying_queue import DelayingQueue
from kubemr.controller.workqueue.metrics import MetricsProvider, QueueMetrics
from kubemr.controller.workqueue.queue import Queue, QueueShutDownError
from kubemr.controller.workqueue.rate_limiting_queue import ItemExponentialLimiter, RateLimitedQueue, RateLimiter

__all__ = [
    "Controller",
    "DelayingQueue",
    "ItemExponentialLimiter",
    "MetricsProvider",
    "Queue",
    "QueueMetrics",
    "QueueShutDownError",
    "RateLimitedQueue",
    "RateLimiter",
]
