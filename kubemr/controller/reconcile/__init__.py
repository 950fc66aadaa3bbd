"""The reconcile state machine: one small module per phase, all of them generators free of I/O.

`machine.reconcile` looks at a job and runs the step that its phase calls for.  Each step is idempotent:
whatever it finds half done, by a crashed predecessor or by itself, it completes.
"""
