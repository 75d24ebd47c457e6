"""The commands of the command line, one per file; the only place that prints."""
