"""Measure the load of a job of many workers on an apiserver, with and without kubemr's priority levels."""
