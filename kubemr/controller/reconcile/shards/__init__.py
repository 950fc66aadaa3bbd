"""What the operator reads of a job's task shards: summaries, missing ones, and those of the previous run."""
