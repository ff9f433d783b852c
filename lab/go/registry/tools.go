//go:build tools

// Package tools pins the registry that the lab runs; lab/binaries.py builds it.
package tools

import _ "github.com/distribution/distribution/v3/cmd/registry"
