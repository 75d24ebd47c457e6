"""One module per question of the paper: the Parquet tables in, a figure and a table out."""
