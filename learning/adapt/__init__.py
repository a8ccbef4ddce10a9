"""Adaptation: from labelled images of one domain and unlabelled ones of another to a model for the other."""
