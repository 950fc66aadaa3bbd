"""The states of tasks, the shards that hold them, and the patches by which workers claim and commit tasks."""
