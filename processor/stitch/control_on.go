//go:build controls

package stitch

const controls = true
