"""Train many runs: workers, backends, search, cost."""
