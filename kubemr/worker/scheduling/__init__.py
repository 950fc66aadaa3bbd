"""Which tasks a worker runs next.  Generators without I/O."""
