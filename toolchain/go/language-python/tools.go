//go:build tools

// Package languagepython pins the last Python language host that was part of a served module.
package languagepython

import _ "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"
