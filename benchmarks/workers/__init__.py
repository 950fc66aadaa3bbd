"""What a job of many workers asks of an apiserver, and what the priority levels of kubemr's manifests do for it."""
