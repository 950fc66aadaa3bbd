"""From `spec.inputsFrom` to the inputs of map tasks: listed, cut, packed and written, in little memory.

`access` says by whose rights, `sources` what is there, `splitting` what a task gets of it, `plan` where it is written.
Everything here blocks, and is called in slices of about a second (`reconcile.planning`).
"""
