//go:build !controls

package stitch

// controls is whether planted faults count. In every build but those of some tests it
// is false, and the compiler leaves them out.
const controls = false
