"""Turn `spec.inputsFrom` into the inputs of map tasks: list, split, pack and write them, with little memory.

- `access`: the credentials, and the addresses that may be read;
- `sources`: the files that exist;
- `splitting`: the splits of the files;
- `plan`: the split plan, in the job's storage.

All functions here block, and the operator calls them in slices of about a second (`reconcile.phases.plan_inputs`).
"""
