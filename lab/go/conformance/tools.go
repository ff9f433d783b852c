//go:build tools

// Package tools pins the conformance suite of the OCI distribution specification; lab/binaries.py builds it.
package tools

import _ "github.com/opencontainers/distribution-spec/conformance"
