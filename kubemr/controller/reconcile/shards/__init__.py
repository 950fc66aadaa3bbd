"""What the operator knows about a job's task shards."""
