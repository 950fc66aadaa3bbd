"""The reconcile state machine: one module per phase, and all steps are generators free of I/O.

`reconciler.reconcile` runs the first step of this table that fits the job:

===========================  =======================  =========================================  =====================
state of the job             step                     its last patch                             which operator runs it
===========================  =======================  =========================================  =====================
`deletionTimestamp` is set   `deletion.delete`        removes the finalizer                      any
FAIL, `restarts` was raised  `retry.retry`            sets PENDING and the next `run`            any
no phase                     `accept.accept`          sets PENDING, or FAIL                      any
PENDING                      `claim.claim`            sets DEPLOYING, the lock and the stages    any: one gets the lock
DEPLOYING                    `deploy.deploy`          sets the inputs; then DEPLOYED, or FAIL    the lock holder
DEPLOYED                     `supervise.supervise`    sets counts; COMPLETE or FAIL, if no       the lock holder
                                                      worker does
COMPLETE, FAIL               `cleanup.clean_up`       none: it deletes the run's children        any
===========================  =======================  =========================================  =====================

A step ends with a patch of the job, and the watch event of that patch brings the next step.
So most steps return `WAIT_FOR_EVENT`; a step that must run again without an event returns a `Result` with seconds.
Each step is idempotent: it completes what it, or an operator that crashed, has left half done.
"""
