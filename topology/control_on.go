//go:build controls

package topology

const controls = true
