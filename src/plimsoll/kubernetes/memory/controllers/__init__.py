"""Small controllers that a test switches on: what makes pods of workloads, and what runs them."""
