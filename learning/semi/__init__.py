"""Semi-supervision: a few labelled images and many unlabelled ones of one domain."""
