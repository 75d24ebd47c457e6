"""What the user wrote: the schema of a sweep file, its overrides, and the presets of published settings."""
