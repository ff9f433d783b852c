//go:build tools

// Package tools pins the Docker Engine 29 of the lab's modern host; lab/binaries.py builds it.
package tools

import (
	_ "github.com/moby/moby/v2/cmd/docker-proxy"
	_ "github.com/moby/moby/v2/cmd/dockerd"
)
