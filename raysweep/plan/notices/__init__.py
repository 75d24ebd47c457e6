"""What is said of a plan before it is carried out: what has no effect, is missing, or is to do again."""
