"""What goes wrong, and how often, in one simulated run."""

from __future__ import annotations

from random import Random

from attr import frozen


@frozen
class Faults:
    """Probabilities per effect (or per step of the world)."""

    lost_answer: float = 0.0
    """The request is carried out, its answer is not heard."""
    late_write: float = 0.0
    """The request is carried out some time after its sender gave up on it."""
    unavailable: float = 0.0
    """503, not carried out."""
    refused: float = 0.0
    """No connection."""
    storage: float = 0.0
    """A call of the object store fails."""
    crash: float = 0.0
    """A process dies at this effect."""
    stop: float = 0.0
    """A worker is told to end (SIGTERM), and gives back what it holds."""
    freeze: float = 0.0
    """A process stops for longer than any lease lasts, and wakes up again."""
    task_failure: float = 0.0
    """The user's code raises (never more often than the job puts up with)."""
    slow_task: float = 0.0
    """The user's code takes far longer than usual."""

    @classmethod
    def drawn(cls, random: Random) -> Faults:
        """Some seeds are calm, some are wild, and each has its own mixture."""

        def some(most: float) -> float:
            return random.choice([0.0, most / 4, most]) if random.random() < 0.7 else 0.0

        return cls(
            lost_answer=some(0.1),
            late_write=some(0.1),
            unavailable=some(0.1),
            refused=some(0.1),
            storage=some(0.05),
            crash=some(0.01),
            stop=some(0.01),
            freeze=some(0.01),
            task_failure=some(0.2),
            slow_task=some(0.2),
        )
