"""Encoders whose weights others have published, and how these are read."""
