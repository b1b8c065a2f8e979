"""A user's project: orders, stock, and the process between them."""
