"""A job's object store as the operator uses it."""
