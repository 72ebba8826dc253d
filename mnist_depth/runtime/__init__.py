"""Process start-up: settings, streams, signals, shadowed modules, hidden imports, and the machine."""
