"""How often `diagnose` is right: random small networks whose problems are defined by training them."""
