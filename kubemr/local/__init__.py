"""Local mode: an embedded apiserver, worker processes and a directory as object store, on one machine."""
