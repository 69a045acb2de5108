//go:build linux && !oto && !static

package stream

var openers = []opener{pulse, alsa}
