"""Ways to run a plan; each is thin over :func:`mage.generator.shards.render_shard`."""
