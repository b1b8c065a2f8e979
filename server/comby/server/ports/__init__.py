"""What the application needs from the outside: abstract stores and the broker. Every error is documented here."""
