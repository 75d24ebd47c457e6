"""Networks whose every layer scales with one `width`: `build`, `initialise`, `flat`, `layers`."""
