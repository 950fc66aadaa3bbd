"""Run user code in a child process."""
