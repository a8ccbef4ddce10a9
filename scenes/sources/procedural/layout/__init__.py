"""Layouts of procedural cities: streets, blocks between them, parcels, and what is built on each."""
