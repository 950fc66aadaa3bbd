"""The operator's access to a job's object store."""
