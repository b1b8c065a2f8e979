"""Adapters of the stores, one room for each technology."""
