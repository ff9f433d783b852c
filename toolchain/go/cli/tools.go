//go:build tools

// Package cli pins the Pulumi command line; go.sum is complete for its import.
package cli

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
