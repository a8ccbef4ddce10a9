"""A dataset in the browser: a local page that filters samples and shows every layer of one. Needs the base install."""
