"""Reading the tables of a sweep and splitting their rows by setting."""
