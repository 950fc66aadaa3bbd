"""The operator: reflector, store, informer, work queue and the reconcile state machine."""
