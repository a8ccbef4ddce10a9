"""Translation: pictures of the source domain that look like the target's, with labels that stay where they are."""
