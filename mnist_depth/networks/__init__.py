"""Networks of the lectures: registries of their parts, and the builder that puts them together."""
