"""Results of finished runs: tables, figures, a diagnosis, and the report that combines them."""
