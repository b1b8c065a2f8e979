"""The broker of a single process."""
