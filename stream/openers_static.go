//go:build linux && static

package stream

var openers = []opener{pulse}
