"""The states of tasks, the shards that hold them, and how workers claim and commit them."""
