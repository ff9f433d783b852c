"""Entry of the installed plugin."""

from toolchain.plugins.command.plugin import main

main()
