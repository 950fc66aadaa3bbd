"""What user code reads: records, the outputs of map tasks, lists of inputs."""
