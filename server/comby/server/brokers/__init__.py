"""Adapters that carry wake-ups and events out of the process."""
