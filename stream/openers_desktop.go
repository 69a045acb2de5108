//go:build darwin || windows

package stream

var openers = []opener{otoDevice}
