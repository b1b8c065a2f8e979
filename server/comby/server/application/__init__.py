"""The facade and its parts: from a dispatched command to its commit, and from the log to queries, projections,
reactors and subscribers.

It knows ports and domain; it knows no transport, no database and no broker.
"""
