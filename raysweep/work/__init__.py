"""Jobs against a store, without Ray: train a trial, align and compare a tile."""
