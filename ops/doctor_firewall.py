"""Which questions of the firewalls doctor asks, on the server and on the client. Pure."""
