//go:build tools

// Package languageyaml pins the YAML language host; go.sum is complete for its import.
package languageyaml

import _ "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml"
