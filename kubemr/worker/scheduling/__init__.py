"""Decide which tasks a worker runs next: generators without I/O."""
