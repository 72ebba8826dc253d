"""What finished runs say: tables, figures, a diagnosis, and the report that puts them together."""
