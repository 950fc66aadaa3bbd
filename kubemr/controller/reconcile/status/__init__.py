"""What the operator writes for people to read: status, conditions and Events."""
