"""What a sweep is: the file, its overrides, identities, and the plan (desired minus done)."""
