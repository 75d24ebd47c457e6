"""The documented columns of the tables: for each its name, its type and its meaning."""
