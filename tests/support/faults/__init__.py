"""Faults on a real cluster: a job that is slow enough to be struck in the middle, what strikes it, and what is seen."""
