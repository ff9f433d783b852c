"""The offline `docker` plugin: images, containers, networks and volumes of a Docker host."""
