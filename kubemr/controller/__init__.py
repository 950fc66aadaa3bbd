"""The operator: an apiserver client, informers, a work queue, and the reconcile state machine."""
