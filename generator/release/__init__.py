"""A release: a dataset with all that others need to trust, cite, load and reproduce it; one module per document."""
