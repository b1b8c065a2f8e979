"""What a domain developer writes with: aggregates, handlers, projections, reactors. Pure: no I/O and no event loop."""
