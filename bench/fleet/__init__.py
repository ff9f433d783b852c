"""A fleet of light hosts on this machine, and how long ours, ansible and pyinfra take to configure it."""
