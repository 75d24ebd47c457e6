"""Ray, which no other room imports: trials on Tune, the pool of alignment actors, and the stages of a run."""
