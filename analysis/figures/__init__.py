"""The look that all figures share, and the panels that several of them are made of."""
