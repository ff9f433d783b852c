"""Python for the language host, which lists the packages of a program before it runs it."""
