"""A world in virtual time in which the real operators and the real workers run, and everything can go wrong.

The operations of `kubemr.coordination`, `kubemr.worker.scheduling.loop` and `kubemr.controller.reconcile` are
generators.  Here a scheduler holds many of them, carries out one effect of one of them at a time, in an
order that a seed chooses, against the embedded apiserver's core, and lets answers get lost, patches land
late, caches be stale, storage fail, processes freeze, crash and start again.  Nothing is patched or
mocked: what runs here is what runs in production, except for the user's code and the pods, which are a few
lines in this folder.
"""
