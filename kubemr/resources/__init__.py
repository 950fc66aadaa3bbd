"""kubemr's own resource types: their definitions, schemas and validation."""
