"""Object stores behind one protocol: S3, a plain directory, read-only http(s)."""
