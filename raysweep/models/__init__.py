"""Networks in which every layer scales with one `width`, how they are built, initialised and mixed."""
