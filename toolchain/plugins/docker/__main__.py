"""Entry of the installed plugin."""

from toolchain.plugins.shared.entry import run

run("docker")
