"""Train one run: one config to one run folder."""
