"""What happens to a job in each phase, one step per file."""
