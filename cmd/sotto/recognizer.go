package main

import (
	"errors"

	"github.com/sotto-audio/sotto/asr"
)

// embeddedRecognizer is the recogniser inside this program.
func embeddedRecognizer() (asr.Recognizer, error) {
	return nil, errors.New("there is no recogniser inside this program yet: give --model")
}
