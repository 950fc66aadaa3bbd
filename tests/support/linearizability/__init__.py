"""Contenders for locks and tasks through several apiservers that are killed meanwhile, and what they saw.

`contest` starts the servers and kills them, `contender` is one client process, `history` what it writes, and
`tests/e2e/linearizability/checker` (in Go, with porcupine) judges it.
"""
