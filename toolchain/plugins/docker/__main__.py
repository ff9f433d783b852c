"""Entry of the installed plugin."""

from toolchain.plugins.docker.plugin import main

main()
