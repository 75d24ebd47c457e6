"""The commands of the command line, one per file, with the log and the progress that they show."""
