"""Labelled sets of real imagery as their authors publish them, read in place: nothing is downloaded or rewritten."""
