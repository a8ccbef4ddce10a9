"""CorrMatch's region propagation as it is defined: what the fast way is held to, by tests and by the benchmark."""

from __future__ import annotations
