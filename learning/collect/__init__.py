"""Real imagery without labels, fetched over an area into shards with its licence and provenance."""
