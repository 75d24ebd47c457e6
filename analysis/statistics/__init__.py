"""Means, intervals, decisions and their words, from values and rows; no figures."""
