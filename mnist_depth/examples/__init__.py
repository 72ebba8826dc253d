"""Short programs to copy."""
