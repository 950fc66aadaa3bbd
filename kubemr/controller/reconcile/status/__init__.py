"""What the operator writes for people: status, conditions and Events."""
