"""The Kubernetes Job that runs the workers, its pods, and their Leases."""
