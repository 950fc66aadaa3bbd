"""Coordination operations (claim, commit, seal, finish) as generators free of I/O, shared by workers and the operator."""
