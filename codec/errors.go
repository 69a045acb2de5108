package codec

import (
	"errors"
	"fmt"
)

// ErrFormat says that the input is not a .sotto file, or that its header is
// damaged; errors that wrap it say which.
var ErrFormat = errors.New("not a readable .sotto file")

// VersionError says that a .sotto file was written in a form that this program
// does not know.
type VersionError struct {
	Version, Mode int // as read from the file
}

func (e *VersionError) Error() string {
	if e.Version != formatVersion {
		return fmt.Sprintf("the file has .sotto format version %d, this program reads version %d: use a newer program", e.Version, formatVersion)
	}
	return fmt.Sprintf("the file has coding mode %d, this program reads modes %d (bit-packed) and %d (entropy-coded): use a newer program", e.Mode, modePacked, modeEntropy)
}

// WeightsError says that tokens were made by other weights than those at hand.
type WeightsError struct {
	NeedName string
	Need     Fingerprint
	HaveName string
	Have     Fingerprint
}

func (e *WeightsError) Error() string {
	return fmt.Sprintf("the tokens were made with weights %s (fingerprint %s), the model at hand is %s (fingerprint %s): load %s",
		e.NeedName, e.Need, e.HaveName, e.Have, e.NeedName)
}

// EntropyError says that the network that codes a file's payloads is not at hand.
type EntropyError struct {
	Model   string      // that made the tokens
	Weights Fingerprint // of the model
	Need    Fingerprint // the network's ID
}

func (e *EntropyError) Error() string {
	return fmt.Sprintf("the tokens are entropy-coded with network %s for weights %s (%s), which this program does not have: load %s with its network", e.Need, e.Weights, e.Model, e.Model)
}
