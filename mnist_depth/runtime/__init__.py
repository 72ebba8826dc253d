"""How the process starts: settings, streams, signals, shadowed modules, hidden imports, and the machine it runs on."""
