"""The phases of a job: one module for each step of the table in `reconcile/__init__.py`."""
