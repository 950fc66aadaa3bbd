"""The simulation catches the mistakes that the design's rules are there to prevent.

Each test takes one rule out of the real code and demands that some seed notices.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pytest

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.objects import builders
from kubemr.controller.reconcile.phases import deploy
from kubemr.coordination import advance, stage_snapshot
from kubemr.coordination.attempt_history import Selection
from kubemr.coordination.job_view import JobView, Stage
from kubemr.locks.effects import Op
from kubemr.locks.patch import Patch, pointer
from kubemr.tasks import claims, encoding
from kubemr.tasks.shard import HINT_PATH, TASKS_PATH, Shard, hint_of
from kubemr.tasks.state import TaskState, Token, make_token
from kubemr.worker.scheduling import loop
from kubemr.worker.scheduling.stragglers import StragglerDetector
from support.simulation import cluster
from support.simulation.faults import Faults
from support.simulation.planted import without_new_epoch
from support.simulation.scenario import play

pytestmark = pytest.mark.long

MOST_SEEDS = 600


SLOW = Faults(slow_task=0.2, task_failure=0.5, crash=0.001)
"""Much to back up, and backups that fail."""
CALM = Faults()
"""Nothing is wrong but that caches lag behind."""
DEADLY = Faults(slow_task=0.5, crash=0.02)
"""Tasks last, workers die while they run them, and nothing else is wrong."""


def expect(words: str, faults: Faults | None = None) -> None:
    """The first seed that notices anything must say this (a regular expression), and some seed must.

    Only what the referee, the check of the result or the clock say counts: a crash of the mutated code is no catch.
    """
    for seed in range(MOST_SEEDS):
        story = play(seed, faults)
        if isinstance(story.problem, AssertionError):
            assert re.search(words, str(story.problem)), story.account()
            return
    pytest.fail(f"none of {MOST_SEEDS} seeds noticed")


def test_a_test_left_out_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A patch that does not test the old state takes tasks away from their holders."""
    change = Shard.change

    def untested(shard: Shard, states: Mapping[int, TaskState]) -> Patch:
        return Patch(tuple(each for each in change(shard, states).operations if each["op"] != "test"))

    monkeypatch.setattr(Shard, "change", untested)
    expect("no legal change|back to one entry")


def changing(monkeypatch: pytest.MonkeyPatch, spread: Callable[[Shard, Mapping[int, str]], Patch]) -> None:
    """Where one entry is spread, `spread` makes the patch of the shard to these states; all others are as they are."""
    change = Shard.change

    def changed(shard: Shard, states: Mapping[int, TaskState]) -> Patch:
        after = {**shard.tasks, **states}
        if not shard.collapsed or len(set(after.values())) == 1:
            return change(shard, states)
        return spread(shard, {number: str(state) for number, state in after.items()}).add(HINT_PATH, hint_of(after))

    monkeypatch.setattr(Shard, "change", changed)


def test_a_spread_that_tests_nothing_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who claims a part of what had one entry writes all tasks, and takes from others what they have claimed since."""
    changing(monkeypatch, lambda shard, after: Patch().replace(TASKS_PATH, encoding.expand(after)))
    expect("no legal change|back to one entry")


def test_a_spread_that_tests_its_own_tasks_alone_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry that is not there yet is tested as such: while there is one for all, and not whose it is."""

    def spread(shard: Shard, after: Mapping[int, str]) -> Patch:
        mine = [number for number, text in after.items() if text != str(shard.tasks[number])]
        patch = Patch()
        for number in mine:
            patch = patch.test(pointer("tasks", number), None)
        return patch.replace(TASKS_PATH, encoding.expand(after))

    changing(monkeypatch, spread)
    expect("no legal change|back to one entry")


def test_a_spread_that_forgets_tasks_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those which do not change need an entry, too."""

    def spread(shard: Shard, after: Mapping[int, str]) -> Patch:
        tasks = {number: text for number, text in after.items() if text != str(shard.tasks[number])}
        return Patch().swap(TASKS_PATH, shard._document(shard.tasks), encoding.expand(tasks))

    changing(monkeypatch, spread)
    expect("holds the same for ever")


def test_one_entry_beside_others_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard has one entry for all or one for each: others would take it for either."""

    def spread(shard: Shard, after: Mapping[int, str]) -> Patch:
        (first, text), *rest = after.items()
        tasks = {str(first): text, encoding.key(range(first + 1, max(after) + 1)): rest[0][1]}
        same = len(rest) > 1 and len({text for _, text in rest}) == 1
        return Patch().swap(TASKS_PATH, shard._document(shard.tasks), tasks if same else encoding.expand(after))

    changing(monkeypatch, spread)
    expect("has the entry .*-")


def test_one_entry_for_tasks_of_different_states_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is given back would be committed along with what is done, though it never ran."""
    shortest = encoding.collapse

    def shorter(states: Mapping[int, str]) -> dict[str, str]:
        running = any(text.startswith("running/") for text in states.values())
        return shortest(states if running else dict.fromkeys(states, max(states.values())))

    monkeypatch.setattr(encoding, "collapse", shorter)
    expect("expected one of each of|results instead of")


def test_going_back_to_one_entry_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may be about to change one of the tasks by an entry of its own."""
    change = Shard.change

    def changed(shard: Shard, states: Mapping[int, TaskState]) -> Patch:
        after = {number: str(state) for number, state in {**shard.tasks, **states}.items()}
        entry = encoding.collapse(after)
        if len(entry) == len(after):
            return change(shard, states)
        return Patch().swap(TASKS_PATH, shard._document(shard.tasks), entry).add(HINT_PATH, "done")

    monkeypatch.setattr(Shard, "change", changed)
    expect("back to one entry")


def test_shards_made_with_an_entry_each_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would do, and each claim of a whole one would cost hundreds of times as much."""
    monkeypatch.setattr(encoding, "collapse", encoding.expand)
    expect("is created with an entry for each task")


def test_losing_one_entry_without_its_epoch_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next to claim it all would have the attempts' names of the dead one, if it were not for its token."""
    lose = claims.mark_lost

    def losing(shard: Shard, dead: set[Token], max_losses: int) -> Op[Shard]:
        if not shard.collapsed:
            return (yield from lose(shard, dead, max_losses))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TaskState, "_without", without_new_epoch)
            states = {number: state.mark_lost(dead, max_losses) for number, state in shard.tasks.items()}
        yield shard.target.patch(shard.change(states))
        return shard

    monkeypatch.setattr(loop, "mark_lost", losing)
    expect("no legal change", DEADLY)


def test_a_hint_that_is_repaired_under_the_other_form_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """It never is: a shard that a retry finds done, as one entry, stays labelled `open`, and all look at it again."""

    def repair(shard: Shard) -> Patch | None:
        hint = hint_of(shard.tasks)
        if hint == shard.hint or shard.hint == "waiting":
            return None
        tasks = encoding.expand({number: str(state) for number, state in shard.tasks.items()})
        return Patch().test(TASKS_PATH, tasks).add(HINT_PATH, hint)

    monkeypatch.setattr(Shard, "repair", repair)
    expect("where the same stands as")


def test_an_epoch_that_is_not_raised_on_release_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a new epoch a task that came back looks as if it had never been away."""
    monkeypatch.setattr(TaskState, "_without", without_new_epoch)
    expect("no legal change")


def test_sealing_from_a_label_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """No shard labelled `open` does not mean that every task is committed: some may still be running."""

    def unfinished(job: JobView, stage: Stage, limit: int | None = None) -> Op[stage_snapshot.Unfinished]:
        return (yield from stage_snapshot.open_shards(job, stage, limit=500))

    monkeypatch.setattr(stage_snapshot.StageSnapshot, "complete", property(lambda seen: True))
    monkeypatch.setattr(loop, "unfinished", unfinished)
    expect(r"index\.json was written twice|results instead of|expected one of each")


def test_a_token_reused_after_a_restart_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that goes on under its former self's name shares attempts with it."""

    def new_token(self: cluster.Cluster, index: int) -> Token:
        return make_token(index, 0)

    monkeypatch.setattr(cluster.Cluster, "new_token", new_token)
    expect("written twice with different content|different executions")


def test_joining_again_what_one_failed_at_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second attempt of one worker in one epoch would have the name, and the keys, of the first."""
    monkeypatch.setattr(StragglerDetector, "record_failure", lambda self, number, epoch: None)
    expect("begins epoch .* a second time", SLOW)


def test_a_holder_that_leaves_without_a_trace_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The string from before the backup would stand again, and a late `test` for it would pass."""
    monkeypatch.setattr(TaskState, "_without_one_holder", TaskState._without)
    expect("no legal change", SLOW)


def test_leaving_whoever_one_is_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """When nobody has to stay the last holder may die, and Kubernetes starts none of them again."""
    monkeypatch.setattr(loop, "workers_needed", lambda job, stage, shards: 0)
    expect("FAIL: the workers ended 4 times", DEADLY)


def test_one_failure_more_than_allowed_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """`maxAttempts` is how often a task may fail, and no more."""
    fail = TaskState.fail

    def later(self: TaskState, token: Token, max_attempts: int) -> TaskState:
        return fail(self, token, max_attempts + 1)

    monkeypatch.setattr(TaskState, "fail", later)
    expect("does not keep to a maxAttempts of")


def test_one_loss_less_than_allowed_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task may lose `maxAttempts` workers, and fails with the next."""
    lose = TaskState.mark_lost

    def sooner(self: TaskState, dead: set[Token], max_losses: int) -> TaskState:
        return lose(self, dead, max_losses - 1)

    monkeypatch.setattr(TaskState, "mark_lost", sooner)
    expect("does not keep to a maxAttempts of", DEADLY)


def test_a_cause_that_is_another_tasks_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first error of the stage is mostly that of a task which worked at last."""

    def of_the_stage(step: int, stage: str, number: int) -> Selection:
        return Selection(step, stage)

    monkeypatch.setattr(advance, "Selection", of_the_stage)
    expect("(?s)failed .*; but its attempts in this run said")


def test_a_retry_that_does_all_again_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was committed before is kept."""

    def carried(text: str | None) -> str:
        return str(TaskState("pending", 1 if text is None else TaskState.parse(text).epoch + 1))

    monkeypatch.setattr(builders, "carry_over", carried)
    expect("had committed ran again")


def test_a_deleted_shard_that_comes_back_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator whose cache shows a job as it was before its deployment would deploy it again."""

    def still_driving(job: JobView, operator: ReconcileContext) -> Op[bool]:
        yield from ()
        return True

    monkeypatch.setattr(deploy, "still_holds_lock", still_driving)
    expect("COMPLETE without Deleted|a second time", CALM)
