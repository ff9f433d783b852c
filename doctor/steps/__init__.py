"""The steps of a walk, one a file, in the order in which a pull meets them."""
