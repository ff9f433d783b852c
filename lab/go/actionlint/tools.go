//go:build tools

// Package tools pins the actionlint that checks .github/workflows; lab/binaries.py builds it.
package tools

import _ "github.com/rhysd/actionlint/cmd/actionlint"
