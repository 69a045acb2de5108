// Package all makes codec.Load know every family of models. Import it for that
// effect.
package all

import (
	_ "github.com/sotto-audio/sotto/codec/academicodec"
	_ "github.com/sotto-audio/sotto/codec/bigcodec"
	_ "github.com/sotto-audio/sotto/codec/dac"
	_ "github.com/sotto-audio/sotto/codec/encodec"
	_ "github.com/sotto-audio/sotto/codec/hificodec"
	_ "github.com/sotto-audio/sotto/codec/lyra"
	_ "github.com/sotto-audio/sotto/codec/mimi"
	_ "github.com/sotto-audio/sotto/codec/snac"
	_ "github.com/sotto-audio/sotto/codec/sotto"
	_ "github.com/sotto-audio/sotto/codec/speechtokenizer"
	_ "github.com/sotto-audio/sotto/codec/vocos"
	_ "github.com/sotto-audio/sotto/codec/wavtokenizer"
)
