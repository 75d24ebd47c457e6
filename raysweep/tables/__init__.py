"""The published view: rows of the committed results as the Parquet tables of a sweep."""
