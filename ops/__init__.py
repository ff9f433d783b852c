"""The commands behind make: bring a stack up, preview it, take it away, prove that it works."""
