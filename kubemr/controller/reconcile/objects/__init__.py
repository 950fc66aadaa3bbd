"""The objects of a job: what they look like, how they are created and deleted."""
