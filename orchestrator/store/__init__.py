"""PostgreSQL: the only place with SQL. Small modules per subject, set-based statements."""
