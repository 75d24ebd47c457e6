"""One module or package for each question of the paper: from the Parquet tables to figures and texts."""
