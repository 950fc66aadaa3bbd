"""The objects of a job: build, create and delete them."""
