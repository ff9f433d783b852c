"""The offline `command` plugin: local.Command, remote.Command and remote.CopyToRemote of pulumi-command."""
