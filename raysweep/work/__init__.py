"""Carries out work on a store, without Ray: trains a trial, or aligns and compares the networks of a tile."""
