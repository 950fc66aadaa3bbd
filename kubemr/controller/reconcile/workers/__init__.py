"""The workers of a job as the operator sees them: Kubernetes Job, pods, Leases."""
