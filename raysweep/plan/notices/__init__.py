"""What is said of a plan before it starts: what has no effect, is missing, or has to be done again."""
