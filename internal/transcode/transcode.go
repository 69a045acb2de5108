// Package transcode runs sound through a codec: audio in, .sotto out, and back.
// Both ways stream in constant memory, and each channel is a stream of its own.
package transcode

import (
	"fmt"
	"strings"
)

// DamageError says that the input was damaged and that the output holds what
// could be saved.
type DamageError struct {
	Damage []error
}

// Error names each damage, up to three of them.
func (e *DamageError) Error() string {
	var parts []string
	for _, d := range e.Damage[:min(len(e.Damage), 3)] {
		parts = append(parts, d.Error())
	}
	if n := len(e.Damage) - len(parts); n > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(parts, "; ")
}

// Unwrap gives all of the damage to errors.Is.
func (e *DamageError) Unwrap() []error { return e.Damage }
