//go:build !unix

package main

import (
	"errors"
	"time"
)

// processorTime is not measured here.
func processorTime() (time.Duration, error) {
	return 0, errors.New("--cpu: processor time is measured on Unix only")
}
