"""How the process starts: allocator settings, hidden imports, standard error, environment."""
