package main

import (
	"github.com/sotto-audio/sotto/asr"
	"github.com/sotto-audio/sotto/asr/sotto"
)

// embeddedRecognizer is the recogniser inside this program.
func embeddedRecognizer() (asr.Recognizer, error) { return sotto.Default() }
