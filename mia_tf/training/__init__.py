"""Training engines and what they share."""
