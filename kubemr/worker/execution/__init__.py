"""Runs user code in a process of its own."""
