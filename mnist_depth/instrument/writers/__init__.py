"""Where measurements go: event files, JSON lines, memory, or several at once."""
