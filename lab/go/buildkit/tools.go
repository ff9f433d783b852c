//go:build tools

// Package tools pins the BuildKit of the lab's modern host, which is the one in its Docker Engine; lab/binaries.py
// builds it. With the same modules as in ../dockerd, most of it is compiled already.
package tools

import (
	_ "github.com/moby/buildkit/cmd/buildctl"
	_ "github.com/moby/buildkit/cmd/buildkitd"
)
