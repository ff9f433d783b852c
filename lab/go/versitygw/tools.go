//go:build tools

// Package tools pins the object store that the lab runs; lab/binaries.py builds it.
package tools

import _ "github.com/versity/versitygw/cmd/versitygw"
