//go:build tools

// Package tools pins the crictl that the lab's hosts carry; lab/binaries.py builds it.
package tools

import _ "sigs.k8s.io/cri-tools/cmd/crictl"
