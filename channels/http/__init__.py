"""SMS aggregators with an HTTP API: what to send and how to read it stands in YAML."""
